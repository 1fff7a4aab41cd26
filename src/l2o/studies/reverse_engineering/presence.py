"""In how many of the meta-trained optimizers each mechanism is found."""

from collections.abc import Callable, Sequence

from l2o.studies.reverse_engineering.rows import Mechanisms, Presence

# As the analyses have it: less than this share of the largest learning rate is no change.
_RELATIVE_CHANGE = 0.05
_SHARE_CLIPPED = 0.01


def _momentum(found: Mechanisms) -> bool:
    return found["momentum"]["present"]


def _saturation(found: Mechanisms) -> bool:
    return found["clipping"]["saturates"]


def _clipping(found: Mechanisms) -> bool:
    clipping = found["clipping"]
    return clipping["saturates"] and (
        clipping["share_of_gradients_beyond_half_height"] >= _SHARE_CLIPPED
    )


def _schedule(found: Mechanisms) -> bool:
    return found["schedule"]["present"]


def _warmup(found: Mechanisms) -> bool:
    rise = found["schedule"]["rise"]
    return rise is not None and 1 / rise < 1 - _RELATIVE_CHANGE


def _decay(found: Mechanisms) -> bool:
    fall = found["schedule"]["fall"]
    return fall is not None and fall < 1 - _RELATIVE_CHANGE


def _adaptation(found: Mechanisms) -> bool:
    return found["adaptation"]["present"]


def _slower_for_large_gradients(found: Mechanisms) -> bool:
    """Whether, on both arms, the learning rate is smaller at the end than at the largest."""
    adaptation = found["adaptation"]
    pairs = [
        (gradient, rate)
        for gradient, rate in zip(
            adaptation["gradients"], adaptation["effective_learning_rate"], strict=True
        )
        if rate is not None
    ]
    arms = [[(abs(g), rate) for g, rate in pairs if g * sign > 0] for sign in (-1, 1)]
    return all(
        arm and max(arm)[1] < (1 - _RELATIVE_CHANGE) * max(rate for _, rate in arm) for arm in arms
    )


MECHANISMS: dict[str, tuple[str, Callable[[Mechanisms], bool]]] = {
    "momentum": (
        "the response to a gradient is at least half explained by one momentum with beta of at "
        "least 0.5",
        _momentum,
    ),
    "saturation": ("large gradients give no larger updates", _saturation),
    "clipping in use": (
        "at least one in a hundred gradients met lies beyond half the peak of updates",
        _clipping,
    ),
    "schedule": (
        "without gradients, the learning rate changes by more than 5 % of its largest value",
        _schedule,
    ),
    "warm-up": ("it rises by more than 5 % of its largest value before it falls", _warmup),
    "decay": ("it ends more than 5 % below its largest value", _decay),
    "adaptation": (
        "constant gradients of different size give learning rates that differ by more than 5 %",
        _adaptation,
    ),
    "smaller steps for large gradients": (
        "on both signs, the largest constant gradient's learning rate is more than 5 % below the "
        "largest",
        _slower_for_large_gradients,
    ),
}
"""Each mechanism, what counts as finding it, and whether it was found in an optimizer."""


def presence(mechanisms: Sequence[Mechanisms]) -> list[Presence]:
    """Counts the optimizers in which each mechanism is found.

    **Arguments:** `mechanisms`, what `analyse` found in each optimizer, with its `seed`.

    **Returns:** for each mechanism its `name`, the `criterion`, and the `seeds` with it and the
    number of optimizers looked at, `of`.
    """
    return [
        {
            "name": name,
            "criterion": criterion,
            "seeds": [found["seed"] for found in mechanisms if is_present(found)],
            "of": len(mechanisms),
        }
        for name, (criterion, is_present) in MECHANISMS.items()
    ]
