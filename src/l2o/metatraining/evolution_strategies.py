"""What evolution strategies share: pairs of opposite perturbations of the meta-parameters."""

import abc
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from l2o.metatraining.meta_gradient import MetaGradient, MetaLoss
from l2o.metatraining.staggered import Staggered, StaggeredProblem
from l2o.metatraining.window import Carried, Window, run_window
from l2o.optimizers import LearnedOptimizer
from l2o.support.checks import check_number


class Twins(eqx.Module):
    """An inner problem that is optimized twice, with opposite perturbations."""

    carried: Carried
    """Leaves have a leading axis for the two."""
    noise_key: PRNGKeyArray
    """The randomness of the present perturbation, which is drawn again in every window."""
    noise: LearnedOptimizer
    """The sum of the perturbations that led here, each once."""


class EvolutionStrategies(Staggered):
    """Meta-gradients of perturbed meta-parameters, without derivatives.

    Each inner problem is optimized twice, with the meta-parameters moved by `e ~ N(0, sigma^2)` and
    by `-e`, on the same minibatches. With `x` the sum of the perturbations that led to the losses
    of a window, each once, `(L+ - L-) x / (2 sigma^2)` is the estimate of it. Kinds differ in when
    a perturbation is drawn anew, and in what is forgotten of it.

    **Arguments:** `sigma`, the standard deviation of the perturbations.

    **Raises:** `ValueError` if its square, or one over that, is beyond single precision.
    """

    sigma: float = eqx.field(static=True, default=0.01)

    def __check_init__(self) -> None:
        check_number("sigma", self.sigma, least=1e-18, most=1e18)

    @abc.abstractmethod
    def draws_anew(self, window: Int[Array, ""]) -> Bool[Array, ""] | bool:
        """Whether a window begins with a new perturbation, as the first of a problem always does.

        **Arguments:** `window`, how many of the problem came before.
        """

    def after_window(self, twins: Twins) -> Twins:
        """What is carried on from the end of a window; by default all."""
        return twins

    def start(self, optimizer: LearnedOptimizer, carried: Carried, key: PRNGKeyArray) -> Twins:
        """Both at the same initialisation."""
        return Twins(
            carried=jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), carried),
            noise_key=key,
            noise=jax.tree.map(jnp.zeros_like, eqx.filter(optimizer, eqx.is_inexact_array)),
        )

    def through_window(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        window: Window,
        problem: StaggeredProblem,
        key: PRNGKeyArray,
    ) -> tuple[MetaGradient, Twins]:
        """Runs the window twice; the meta-loss is the mean of both."""
        twins: Twins = problem.carried
        meta_parameters = eqx.filter(optimizer, eqx.is_inexact_array)
        is_new = problem.fresh | self.draws_anew(problem.window)
        noise_key = jax.tree.map(partial(jnp.where, is_new), key, twins.noise_key)
        perturbation = _normal(meta_parameters, noise_key, self.sigma)
        noise = jax.tree.map(
            lambda drawn, sum: jnp.where(is_new, drawn, 0) + sum, perturbation, twins.noise
        )

        def run(
            sign: Float[Array, ""], carried: Carried
        ) -> tuple[tuple[Float[Array, ""], Float[Array, ""]], Carried]:
            moved = jax.tree.map(
                lambda leaf, by: leaf + sign.astype(leaf.dtype) * by, meta_parameters, perturbation
            )
            own = window.begun_from(carried)
            end = run_window(eqx.combine(moved, optimizer), meta_loss, own)
            return (end.meta_loss, end.regularization), own.carried_to(end)

        (losses, added), carried = jax.vmap(run)(jnp.array([1.0, -1.0]), twins.carried)
        slope = (losses[0] - losses[1]) / (2 * self.sigma**2)
        gradient = jax.tree.map(lambda leaf: slope.astype(leaf.dtype) * leaf, noise)
        found = MetaGradient(jnp.mean(losses), jnp.mean(added), gradient)
        return found, self.after_window(Twins(carried, noise_key, noise))


def _normal(like: PyTree, key: PRNGKeyArray, sigma: float) -> PyTree:
    """Normal noise in the shapes of a tree."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        sigma * jax.random.normal(key, leaf.shape, leaf.dtype)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)
