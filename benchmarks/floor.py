"""The arithmetic floor: the matrix products of stacked recurrent cells, and nothing else."""

import jax
import jax.numpy as jnp


def forward_products(weights, coordinates, num_steps):
    """The forward products of `num_steps` steps; each weight is (rows, inputs)."""

    def products(inputs, _):
        outputs = [weight @ x for weight, x in zip(weights, inputs, strict=True)]
        # One number of each product goes into the next step, so that none can be left out.
        return [_touch(x, y) for x, y in zip(inputs, outputs, strict=True)], None

    inputs = [jnp.ones((weight.shape[1], coordinates)) for weight in weights]
    return jax.lax.scan(products, inputs, None, length=num_steps)[0]


def all_products(weights, coordinates, num_steps):
    """Forward products, and those of the derivatives by inputs and by weights."""

    def products(carry, _):
        inputs, cotangents, gradients = carry
        outputs = [weight @ x for weight, x in zip(weights, inputs, strict=True)]
        back = [weight.T @ d for weight, d in zip(weights, cotangents, strict=True)]
        gradients = [g + d @ x.T for g, d, x in zip(gradients, cotangents, inputs, strict=True)]
        inputs = [_touch(x, y) for x, y in zip(inputs, outputs, strict=True)]
        inputs = [_touch(x, y) for x, y in zip(inputs, back, strict=True)]
        return (inputs, cotangents, gradients), None

    inputs = [jnp.ones((weight.shape[1], coordinates)) for weight in weights]
    cotangents = [jnp.ones((weight.shape[0], coordinates)) for weight in weights]
    gradients = [jnp.zeros_like(weight) for weight in weights]
    return jax.lax.scan(products, (inputs, cotangents, gradients), None, length=num_steps)[0]


def _touch(x, y):
    return x.at[0, 0].set(1e-9 * y[0, 0])
