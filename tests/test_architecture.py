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
