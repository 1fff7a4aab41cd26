"""The arithmetic floor: the matrix products of recurrent cells, and nothing else.

The columns of the products are the coordinates. They are divided among the devices. A processor
takes them in blocks that fit its cache, all steps of one block after another; an accelerator all
at once.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

_LARGEST_BLOCK = 512


def forward_products(weights, coordinates, num_steps):
    """A program that makes the forward products of `num_steps` steps.

    Each of the weights is (rows, inputs) and is multiplied with (inputs, coordinates).
    """

    def products(inputs, _):
        outputs = [weight @ x for weight, x in zip(weights, inputs, strict=True)]
        # One number of each product goes into the next step, so that none can be left out.
        return [_touch(x, y) for x, y in zip(inputs, outputs, strict=True)], None

    def begin(columns):
        return [jnp.ones((weight.shape[1], columns)) for weight in weights]

    return _on_all_devices(products, begin, coordinates, num_steps)


def all_products(weights, coordinates, num_steps):
    """Forward products, and those of the derivatives by inputs and by weights."""

    def products(carry, _):
        inputs, cotangents, gradients = carry
        outputs = [weight @ x for weight, x in zip(weights, inputs, strict=True)]
        back = [weight.T @ d for weight, d in zip(weights, cotangents, strict=True)]
        gradients = [g + d @ x.T for g, d, x in zip(gradients, cotangents, inputs, strict=True)]
        # Both factors change from step to step, or the compiler would make a product but once.
        inputs = [_touch(x, y) for x, y in zip(inputs, back, strict=True)]
        cotangents = [_touch(d, y) for d, y in zip(cotangents, outputs, strict=True)]
        return (inputs, cotangents, gradients), None

    def begin(columns):
        inputs = [jnp.ones((weight.shape[1], columns)) for weight in weights]
        cotangents = [jnp.ones((weight.shape[0], columns)) for weight in weights]
        return inputs, cotangents, [jnp.zeros_like(weight) for weight in weights]

    return _on_all_devices(products, begin, coordinates, num_steps)


def _on_all_devices(products, begin, coordinates, num_steps):
    """A program that makes the products of every block in turn, on every device its share."""
    devices = np.array(jax.devices())
    own = math.ceil(coordinates / len(devices))
    num_blocks = math.ceil(own / _LARGEST_BLOCK) if jax.default_backend() == "cpu" else 1
    columns = math.ceil(own / num_blocks)

    def on_one_device(_):
        carry, _ = jax.lax.scan(products, begin(columns), None, length=num_steps * num_blocks)
        # All that came of it, in one number for every device.
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(carry))[None]

    spec = PartitionSpec("devices")
    program = jax.jit(
        jax.shard_map(
            on_one_device,
            mesh=Mesh(devices, ("devices",)),
            in_specs=spec,
            out_specs=spec,
            check_vma=False,
        )
    )
    return lambda: jax.block_until_ready(program(jnp.arange(len(devices))))


def _touch(x, y):
    return x.at[0, 0].set(1e-9 * y[0, 0])
