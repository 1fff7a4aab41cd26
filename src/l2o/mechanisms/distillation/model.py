"""A closed-form optimizer whose mechanisms can be left out one by one."""

from functools import reduce

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from l2o.mechanisms.distillation.momentum import Momentum
from l2o.mechanisms.distillation.numbers import (
    ADAPTATION,
    DECAY,
    MOMENTUM,
    OFFSET,
    SATURATION,
    WARM_UP,
    Form,
    Numbers,
    Part,
    mode,
)
from l2o.mechanisms.distillation.optimizer import DistilledOptimizer
from l2o.mechanisms.precision import in_double_precision


class Model(eqx.Module):
    """A closed-form optimizer while it is fitted.

    **Arguments:** `numbers`, as they are; `idle`, values at which mechanisms do nothing; `free`,
    which numbers are fitted, the others being idle; `form`.
    """

    numbers: Numbers
    idle: Numbers
    free: Numbers
    form: Form = eqx.field(static=True)

    @classmethod
    def of(cls, numbers: Numbers, idle: Numbers, form: Form) -> "Model":
        """The model with all mechanisms."""
        return cls(numbers, idle, jax.tree.map(lambda _: True, numbers), form)

    def has(self, part: Part) -> bool:
        """Whether any of a part's numbers is fitted."""
        return any(part.where(self.free))

    def without(self, part: Part) -> "Model":
        """The model without a part."""
        idle = part.where(self.idle)
        return type(self)(
            eqx.tree_at(part.where, self.numbers, idle),
            self.idle,
            eqx.tree_at(part.where, self.free, [False] * len(idle)),
            self.form,
        )

    def with_modes(self, number: int) -> "Model":
        """The model with its first modes alone."""
        return reduce(Model.without, map(mode, self.modes[number:]), self)

    @property
    def modes(self) -> list[int]:
        """Which modes of momentum there are."""
        return [index for index, is_free in enumerate(self.free.alphas) if is_free]

    @property
    def num_numbers(self) -> int:
        """How many numbers are fitted."""
        return sum(map(bool, jax.tree.leaves(self.free)))

    @property
    def has_opposing_momenta(self) -> bool:
        """Whether some of its modes go down the gradient, and some up."""
        alphas = [float(self.numbers.alphas[index]) for index in self.modes]
        return min(alphas) < 0 < max(alphas)

    @in_double_precision
    def optimizer_with_idle_parts(self) -> DistilledOptimizer:
        """The same optimizer with all mechanisms, those too that do nothing.

        All models with as many modes are one program so.
        """
        form = Form(*map(jnp.asarray, self.form))
        return _in_single_precision(self.numbers.build(form))

    @in_double_precision
    def optimizer(self) -> DistilledOptimizer:
        """The optimizer with the mechanisms that there are, in single precision."""
        # Without momentum, before and after it are the same.
        after_momentum = self.form.after_momentum and self.has(MOMENTUM)
        whole = self.numbers.build(Form(after_momentum, self.form.corrected))
        optimizer = DistilledOptimizer(
            self._momentum(whole.momentum),
            whole.saturation if self.has(SATURATION) else None,
            whole.adaptation if self.has(ADAPTATION) else None,
            whole.warm_up if self.has(WARM_UP) else None,
            whole.decay if self.has(DECAY) else None,
            whole.offset if self.has(OFFSET) else None,
        )
        return _in_single_precision(optimizer)

    def _momentum(self, whole: Momentum) -> Momentum:
        """The modes that there are, the slowest first; one at most is without memory."""
        betas, alphas = np.asarray(whole.betas), np.asarray(whole.alphas)
        lasting = [index for index in self.modes if self.free.betas[index]]
        lasting = sorted(lasting, key=lambda index: -betas[index])
        instant = [index for index in self.modes if not self.free.betas[index]]
        betas = [*betas[lasting], *[0.0] * bool(instant)]
        alphas = [*alphas[lasting], *[np.sum(alphas[instant])] * bool(instant)]
        corrected = bool(whole.corrected and lasting)
        return Momentum(jnp.asarray(betas), jnp.asarray(alphas), corrected)


def _in_single_precision(optimizer: DistilledOptimizer) -> DistilledOptimizer:
    numbers, rest = eqx.partition(optimizer, eqx.is_inexact_array)
    single = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), numbers)
    return eqx.combine(single, rest)
