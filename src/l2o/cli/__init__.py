"""The command line `l2o`: reads arguments, calls the library, says what came of it."""

import sys
from collections.abc import Sequence

import l2o
from l2o.cli.command import Command
from l2o.cli.commands import (
    Demo,
    Eval,
    Explain,
    Flatness,
    List,
    Reproduce,
    Show,
    Tune,
)
from l2o.cli.terminal import PlainConsole, leave_broken_streams, prepare_terminal
from l2o.cli.training import Train
from l2o.support.bad_input import explains_itself, sentence_of
from l2o.support.checks import did_you_mean

_COMMANDS: dict[str, type[Command]] = {
    "train": Train,
    "eval": Eval,
    "tune": Tune,
    "explain": Explain,
    "flatness": Flatness,
    "list": List,
    "show": Show,
    "demo": Demo,
    "reproduce": Reproduce,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    **Arguments:** `argv`, what follows `l2o` on the command line; by default that of the process.

    **Returns:** the exit code: 0 on success; 2 on bad input, which one sentence on standard error
    explains; 130 when interrupted; 141 when nobody reads what it prints any more, as for a program
    that the system ends then.
    """
    prepare_terminal()
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        return 141
    finally:
        leave_broken_streams()


def _run(arguments: list[str]) -> int:
    """Runs a command whose output somebody reads."""
    errors = PlainConsole(stderr=True, soft_wrap=True)
    command = None
    try:
        code = 0
        try:
            command = _parse(arguments)
            command.run()
        except SystemExit as exit_:
            # tyro has said what was wrong, or shown the help that was asked for.
            code = exit_.code if isinstance(exit_.code, int) else 2
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        hint = "" if command is None else command.interruption_hint
        errors.print(f"Interrupted.{hint}")
        return 130
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if _is_out_of_memory(error):
            errors.print(
                "l2o: There is not enough memory: try fewer tasks at once, or smaller networks."
            )
        elif explains_itself(error):
            errors.print(f"l2o: {sentence_of(error)}")
        else:
            raise
        return 2
    return code


def _parse(arguments: list[str]) -> Command:
    """The command that the arguments ask for."""
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        PlainConsole().print(_overview())
        raise SystemExit(0)
    if name == "--version":
        print(f"l2o {l2o.__version__}")
        raise SystemExit(0)
    if name not in _COMMANDS:
        raise ValueError(
            f"There is no command {name!r}; there are {', '.join(_COMMANDS)}."
            f"{did_you_mean(name, _COMMANDS)}"
        )
    return _COMMANDS[name].parse(name, arguments[1:])


def _overview() -> str:
    """What `l2o --help` says."""
    lines = [
        f"  {name:<9} {(command.__doc__ or '').splitlines()[0]}"
        for name, command in _COMMANDS.items()
    ]
    return "\n".join(
        [
            "usage: l2o COMMAND [OPTIONS]",
            "       l2o --version",
            "",
            "Learning to optimize: meta-train optimizers, prove that they win, see how they work.",
            "",
            "commands:",
            *lines,
            "",
            "To begin with:",
            "  l2o train digits-rnnprop --out runs/x --seed 0 --meta-steps 200",
            "  l2o eval runs/x --tasks 16 --steps 200",
            "  l2o COMMAND --help",
            "",
            "Data sets that do not come along are read from the folder L2O_DATA; compiled",
            "programs are kept in L2O_CACHE (~/.cache/l2o).",
        ]
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or JAX, which has no class for that, found no memory."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
