"""Settings that are equal in value, as one object, so that compiled programs are shared.

JAX keeps a compiled program for the very functions that it was made of. An Optax transformation is
a few closures, made anew by every `optax.adam(1e-3)`, so that each would be a program of its own:
seconds of compilation, and memory that is never given back.
"""

import dataclasses
import functools
import hashlib
import threading
import types
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np

Tree = TypeVar("Tree")

# What these functions do is decided by their code and by what they close over. Of others it may
# also depend on globals that change, so that only the very same function is the same.
_SETTLED = ("optax", "jax", "equinox", "l2o")

# So many settings are remembered, the latest used; a forgotten one is compiled again.
_MOST_REMEMBERED = 1024

_remembered: OrderedDict[Hashable, tuple[Any, list[Any]]] = OrderedDict()
_lock = threading.Lock()


def canonical(tree: Tree) -> Tree:
    """The same tree, with all that is static in it replaced by the first that was equal to it.

    What is static: fields that are no leaves, and leaves that are no arrays. Functions of Optax,
    JAX, Equinox and this library are equal if their code is the same and what they close over is
    equal; other functions only if they are the same object. Arrays among the leaves stay as they
    are, since programs take them as arguments.

    **Arguments:** `tree`, any pytree: an optimizer, a task family, an Optax transformation.

    **Returns:** a tree of the same meaning, for which programs compiled for an equal one serve.
    """
    leaves, treedef = jax.tree.flatten(tree)
    try:
        key = (len(leaves), _Comparison().of_tree(tree))
    except _NoConstantError:
        return tree
    with _lock:
        static = [None if eqx.is_array(leaf) else leaf for leaf in leaves]
        treedef, static = _remembered.setdefault(key, (treedef, static))
        _remembered.move_to_end(key)
        while len(_remembered) > _MOST_REMEMBERED:
            _remembered.popitem(last=False)
    merged = [
        leaf if eqx.is_array(leaf) else kept for leaf, kept in zip(leaves, static, strict=True)
    ]
    return jax.tree.unflatten(treedef, merged)


class _NoConstantError(Exception):
    """What was met cannot be compared by value, such as a number that is not known yet."""


class _Identity:
    """Something that is equal to nothing but itself."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


class _Comparison:
    """Turns things into keys that are equal where the things are."""

    def __init__(self) -> None:
        # Functions may hold themselves in their closures, and objects their own methods.
        self._met: dict[int, int] = {}

    def of_tree(self, node: Any) -> Hashable:
        """The key of a pytree, in which arrays stand for any of their kind."""
        if eqx.is_array(node):
            return "array"
        return self._of(node, self.of_tree)

    def of_value(self, value: Any) -> Hashable:
        """The key of a constant of a program, arrays with their content."""
        if isinstance(value, jax.core.Tracer):
            raise _NoConstantError
        if isinstance(value, jax.Array):
            return _array_key(value)
        if isinstance(value, np.ndarray | np.generic):
            return (type(value), value.shape, str(value.dtype), _digest(value))
        return self._of(value, self.of_value)

    def _of(self, value: Any, of_part: Any) -> Hashable:
        kind = type(value)
        match value:
            case eqx.Module():
                return (kind, *self._fields(value, of_part))
            case tuple() | list():
                return (kind, *(of_part(part) for part in value))
            case dict():
                parts = ((self.of_value(name), of_part(part)) for name, part in value.items())
                return (kind, *parts)
            case set() | frozenset():
                return (kind, frozenset(self.of_value(part) for part in value))
            case float():
                # Zeros of both signs differ, and what is not a number is the same as itself.
                return (kind, value.hex())
            case complex():
                return (kind, value.real.hex(), value.imag.hex())
            case functools.partial():
                parts = (value.func, value.args, value.keywords)
                return (kind, *(self.of_value(part) for part in parts))
            case types.MethodType():
                return (kind, self.of_value(value.__func__), self._owner(value.__self__))
            case types.FunctionType() if _is_settled(value):
                return self._function(value)
        try:
            hash(value)
        except TypeError:
            raise _NoConstantError from None
        return (kind, value)

    def _fields(self, module: eqx.Module, of_part: Any) -> list[Hashable]:
        content = vars(module)
        return [
            (
                field.name,
                (self.of_value if field.metadata.get("static") else of_part)(content[field.name]),
            )
            for field in dataclasses.fields(module)
            if field.name in content
        ]

    def _function(self, function: types.FunctionType) -> Hashable:
        # The code itself, since equal code may stand in different modules.
        held = [_content(cell) for cell in function.__closure__ or ()]
        parts = (held, function.__defaults__, function.__kwdefaults__, vars(function))
        return self._once(function, _Identity(function.__code__), parts)

    def _owner(self, owner: Any) -> Hashable:
        """The key of what a method belongs to, such as `optax.MultiSteps`."""
        kind = type(owner)
        is_plain = kind.__eq__ is object.__eq__ and hasattr(owner, "__dict__")
        if not (is_plain and _is_of_settled(kind.__module__)):
            return self.of_value(owner)
        return self._once(owner, kind, vars(owner))

    def _once(self, value: Any, kind: Hashable, parts: Any) -> Hashable:
        """The key of something whose parts may lead back to it."""
        if id(value) in self._met:
            return ("the same as number", self._met[id(value)])
        self._met[id(value)] = len(self._met)
        return (kind, self.of_value(parts))


def _is_settled(function: types.FunctionType) -> bool:
    # Not `__module__`, which a decorator copies from what it wraps.
    return _is_of_settled(str(function.__globals__.get("__name__", "")))


def _is_of_settled(module: str) -> bool:
    return module.split(".")[0] in _SETTLED


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # A variable that was never set, as one of `optax.exponential_decay` without an end value.
        return types.CellType


def _array_key(array: jax.Array) -> Hashable:
    if not array.is_fully_addressable:
        return _Identity(array)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        # Numbers that are known are so while something else is traced, too.
        with jax.ensure_compile_time_eval():
            data = np.asarray(jax.random.key_data(array))
        return (jax.Array, array.shape, str(array.dtype), _digest(data))
    return (jax.Array, array.aval, _digest(np.asarray(array)))


def _digest(array: np.ndarray | np.generic) -> Hashable:
    if array.dtype.hasobject:
        return _Identity(array)
    return hashlib.sha256(array.tobytes()).digest()
