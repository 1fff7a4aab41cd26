"""What can be explained: names, runs, saved optimizers, a person's own; JAX is left alone."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from l2o.composition import is_reference
from l2o.deploy.files import is_saved_optimizer
from l2o.runs.hand_designed import check_hand_designed, weights_losses
from l2o.runs.run_folder import ExplanationFolder, RunFolder
from l2o.support.checks import check_unique


def check_subjects(name_or_run: str, against: Sequence[str], *, distill: bool = False) -> None:
    """Makes sure that there is all that is to be explained.

    **Arguments:** as for `explain`.

    **Raises:** `ValueError` for an unknown name, one given twice in `against`, and `distill`
    without a run.
    """
    check_unique("against", against)
    for name in (name_or_run, *against):
        if not (is_run(name) or is_saved_optimizer(Path(name)) or is_reference(name)):
            try:
                check_hand_designed(name)
            except ValueError as error:
                raise ValueError(f"{name} is no folder of a run, either. {error}") from None
            if weights_losses(name):
                raise ValueError(
                    f"{name} takes the gradients of several objectives; only optimizers of one "
                    "gradient can be explained."
                )
    if distill and not is_run(name_or_run):
        raise ValueError(f"--distill is for runs; {name_or_run} is no folder of one.")


def is_run(name: str) -> bool:
    """Whether this is the folder of a run."""
    return RunFolder(Path(name)).is_run()


def explanation_folder(name_or_run: str) -> ExplanationFolder:
    """Where an explanation is written unless somewhere else is named."""
    if is_run(name_or_run):
        return RunFolder(Path(name_or_run)).explanation
    word = re.sub(r"[^\w-]+", "-", name_or_run)
    return ExplanationFolder(Path("runs") / f"explain-{word}")


def read_settings(texts: Sequence[str]) -> dict[str, float]:
    """Reads `name=value` texts.

    ```pycon
    >>> l2o.runs.read_settings(["learning-rate=0.1", "momentum=0.9"])
    {'learning_rate': 0.1, 'momentum': 0.9}
    ```

    **Raises:** `ValueError` for a text of another form, a value that is not finite, and a name
    given twice.
    """
    settings: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.strip().replace("-", "_")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"--set takes name=value with a number, got {text!r}.") from None
        if not math.isfinite(number):
            raise ValueError(f"--set takes finite numbers, got {text!r}.")
        if name in settings:
            raise ValueError(
                f"--set takes every name once, got {name} = {settings[name]:g} and {number:g}."
            )
        settings[name] = number
    return settings
