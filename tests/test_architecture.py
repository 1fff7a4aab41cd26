import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def output_of(program):
    """What a Python program prints, run where the project lies."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lower_rooms_never_import_upper_ones():
    # Which rooms lie above which is written in pyproject.toml.
    output = output_of(
        "import sys; from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(no_cache=True))"
    )
    assert "1 kept" in output


def test_what_shows_a_run_leaves_tensorboard_alone():
    # It would import all of PyTorch where that is installed.
    program = "import sys, l2o.metatraining; print('tensorboardX' in sys.modules)"
    assert output_of(program).strip() == "False"


def test_the_package_is_quick_to_import():
    program = "import sys, l2o; print(*sorted({'jax', 'numpy', 'equinox'} & set(sys.modules)))"
    assert output_of(program).strip() == ""


def test_no_module_is_hidden_by_a_function_of_its_name():
    # `l2o.room.name` is the module to Python until the room's face imports a function of that name.
    hidden = output_of(
        "import importlib, pkgutil, types, l2o\n"
        "for found in pkgutil.walk_packages(l2o.__path__, 'l2o.'):\n"
        "    room, _, name = found.name.rpartition('.')\n"
        "    module = importlib.import_module(room)\n"
        "    there = getattr(module, name, module)\n"
        "    if name != '__main__' and not isinstance(there, types.ModuleType):\n"
        "        print(found.name)"
    )
    assert hidden.split() == []


def test_imports_stand_on_top_of_modules():
    # Elsewhere only where a module has to be light and there is no lighter way.
    late = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "src").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(late) < 20, late


def test_names_of_files_are_said_once():
    # What is in a run is known by one object, and by the room that writes it.
    said = {
        literal: [
            path.name
            for path in (ROOT / "src").rglob("*.py")
            if not path.is_relative_to(ROOT / "src" / "l2o" / "studies")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and node.value == literal
        ]
        for literal in ("metrics.jsonl", "model.safetensors", "evaluation.json", "report.html")
    }
    assert said == {
        "metrics.jsonl": ["files.py"],
        "model.safetensors": ["files.py"],
        "evaluation.json": ["run_folder.py"],
        "report.html": ["run_folder.py"],
    }
