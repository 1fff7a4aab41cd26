"""Dividing tasks, and the coordinates of few tasks, among devices."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PRNGKeyArray, PyTree

TASKS = "tasks"
"""The mesh axis that tasks are divided along."""
COORDINATES = "coordinates"
"""The mesh axis that the coordinates of a task are divided along."""
AXES = (TASKS, COORDINATES)


def device_mesh(num_tasks: int, *, split_coordinates: bool = False) -> Mesh:
    """The devices to divide the work among.

    **Arguments:** `num_tasks`, divided among as many devices as divide it evenly;
    `split_coordinates`, whether devices that are left over share the coordinates of a task.
    """
    devices = jax.devices()
    for_tasks = max(n for n in range(1, len(devices) + 1) if num_tasks % n == 0)
    for_coordinates = len(devices) // for_tasks if split_coordinates else 1
    used = np.array(devices[: for_tasks * for_coordinates])
    return Mesh(used.reshape(for_tasks, for_coordinates), AXES)


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Puts the arrays of `tree` on every device once, rather than at every call."""
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, NamedSharding(mesh, PartitionSpec())), rest)


def own_key(key: PRNGKeyArray) -> PRNGKeyArray:
    """Randomness of this device's own tasks, within `on_devices`."""
    return jax.random.fold_in(key, jax.lax.axis_index(TASKS))


def on_one_device(tree: PyTree) -> PyTree:
    """Brings arrays that are the same on all devices to the first one of this process."""
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda leaf: leaf.addressable_data(0), arrays), rest)


def on_devices(
    function: Callable[[Any, Any], tuple[Any, Any]], mesh: Mesh
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Runs `function(shared, own)` on every device of the mesh, each with its own part.

    **Arguments:** `function`, which gets a tree that is the same on all devices and this device's
    part of another one, and gives back such a pair; it may use `jax.lax.pmean` and
    `jax.lax.axis_index` along `AXES`. `mesh`, from `device_mesh`.

    **Returns:** the same function of whole trees: the leaves of the second have a leading axis
    that counts devices.
    """

    def call(shared: Any, own: Any) -> tuple[Any, Any]:
        arrays, rest = eqx.partition(shared, eqx.is_array)

        def run(arrays: Any, own: Any) -> tuple[Any, Any]:
            own = jax.tree.map(lambda leaf: leaf[0], own)
            shared, own = function(eqx.combine(arrays, rest), own)
            return shared, jax.tree.map(lambda leaf: leaf[None], own)

        specs = (PartitionSpec(), PartitionSpec(AXES))
        return jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=specs, check_vma=False)(
            arrays, own
        )

    return call
