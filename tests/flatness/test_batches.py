import jax
import jax.numpy as jnp

from l2o.flatness import (
    entropy_gap,
    entropy_gap_by_sgld,
    expected_sharpness,
    filter_norms,
    loss_surface,
    power_iteration,
    rescaled,
    sgld_mean,
    sharpness,
    spectral_density,
    top_eigenvalue,
    trace,
)


def test_all_measures_of_several_networks_at_once(small_network, key, assert_trees_close):
    loss, params, _ = small_network

    def measure(params, key):
        relative = rescaled(loss, params, filter_norms(params))
        return {
            "eigenvalues": (
                top_eigenvalue(*relative, key, num_products=12),
                power_iteration(loss, params, key, num_iterations=3),
            ),
            "trace": trace(loss, params, key, num_probes=8),
            "moments": spectral_density(loss, params, key, num_probes=4, num_products=6).moment(2),
            "sharpness": sharpness(loss, params, key, num_steps=2, radius=0.5),
            "expected": expected_sharpness(loss, params, key, sigma=0.5, num_samples=8),
            "gap": entropy_gap(loss, params, 10.0, key, num_samples=8, rank=3),
            "by SGLD": entropy_gap_by_sgld(
                loss, params, 10.0, key, step_size=0.01, num_steps=4, num_chains=8
            ),
            "mean": sgld_mean(lambda p, _: jax.grad(loss)(p), params, 1.0, 0.1, 3, 0.1, 0.75, key),
            "surface": loss_surface(loss, params, key, num_points=4).losses,
        }

    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf / 2]), params)
    keys = jax.random.split(key, 2)
    together = jax.jit(jax.vmap(measure))(batch, keys)
    first = jax.tree.map(lambda leaf: leaf[0], together)
    assert_trees_close(first, jax.jit(measure)(params, keys[0]), rtol=5e-3, atol=1e-4)
    assert all(jnp.any(leaf[0] != leaf[1]) for leaf in jax.tree.leaves(together))
