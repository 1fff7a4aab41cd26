"""Checkpoints of a meta-training run, so that a killed one goes on exactly where it was."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jaxtyping import PyTree


class Checkpoints:
    """The checkpoints in one folder, written atomically by Orbax; the newest few are kept."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=True, enable_async_checkpointing=False
        )
        self._manager = ocp.CheckpointManager(
            folder.resolve(), options=options, item_handlers=ocp.StandardCheckpointHandler()
        )

    def latest(self) -> int | None:
        """The newest checkpoint's step, or `None` where there is no checkpoint."""
        return self._manager.latest_step()

    def save(self, step: int, state: PyTree) -> None:
        """Writes `state` as the checkpoint of `step`."""
        with _interrupts_held_back():
            self._manager.save(step, args=ocp.args.StandardSave(_numbered(state)))

    def restore(self, step: int, like: PyTree) -> PyTree:
        """Reads the checkpoint of `step` into the structure of `like`.

        **Raises:** `ValueError` if the checkpoint holds something else.
        """
        target = _numbered(like)
        try:
            # Seen before anything is read: a read that fails half-way leaves others unfinished.
            found = self._manager.item_metadata(step).items()
            if _shapes(dict(found)) != _shapes(target):
                raise ValueError("The shapes differ.")
            saved = self._manager.restore(step, args=ocp.args.StandardRestore(target))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The checkpoint of step {step} does not fit this run's settings: was the run "
                "started with other settings, another version or another number of devices?"
            ) from error
        leaves, treedef = jax.tree.flatten(like)
        values = [
            jax.random.wrap_key_data(saved[name]) if _is_key(leaf) else saved[name]
            for name, leaf in zip(target, leaves, strict=True)
        ]
        return jax.tree.unflatten(treedef, values)

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.close()


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _numbered(state: PyTree) -> dict[str, Any]:
    """The leaves by number; random keys as the integers that they are made of."""
    leaves = jax.tree.leaves(state)
    return {
        f"{number:04d}": jax.random.key_data(leaf) if _is_key(leaf) else leaf
        for number, leaf in enumerate(leaves)
    }


def _shapes(leaves: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], Any]]:
    return {name: (tuple(leaf.shape), leaf.dtype) for name, leaf in leaves.items()}


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Lets Ctrl-C wait until the block is done, since Orbax's threads do not stop half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = []
    previous = signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if received and callable(previous):
        previous(*received[-1])
