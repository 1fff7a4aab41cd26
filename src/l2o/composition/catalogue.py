"""What goes by a name: kinds of things, and a module for each kind that lists them.

Such a module has a docstring and imports, a line for every thing:

    from l2o.optimizers.rnnprop import RNNProp as RNNProp

Its text is read, and it is not imported, so that names and descriptions are there without JAX. The
line is all that a new thing needs beside its own file.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NoReturn

from l2o.composition.docstrings import first_paragraph
from l2o.composition.settings import REQUIRED, Setting
from l2o.support.checks import check_choice, did_you_mean, nearest


@dataclass(frozen=True)
class Kind:
    """A kind of things with names.

    ```pycon
    >>> l2o.composition.LEARNED_OPTIMIZER.flag
    '--optimizer'
    ```
    """

    title: str
    """What one is called."""
    flag: str
    """The flag that names one on the command line, if there is one."""
    modules: tuple[str, ...]
    """The modules that list them."""
    given: frozenset[str] = frozenset()
    """Arguments of theirs that are no settings, since whoever makes one gives them."""
    shared: tuple[Setting, ...] = ()
    """Settings that all have beside their own; whoever makes one sees to them."""
    is_proper: bool = False
    """Whether they go by the names of their classes, rather than by words with hyphens."""
    behind_weightings: tuple[str, ...] = ()
    """Those of the modules whose members go behind weightings, too, as WEIGHTING-MEMBER."""


@dataclass(frozen=True)
class Member:
    """Something that goes by a name.

    ```pycon
    >>> l2o.composition.find_member(l2o.composition.LEARNED_OPTIMIZER, "rnnprop").load().__name__
    'RNNProp'
    ```
    """

    name: str
    """As commands show it."""
    module: str
    """The module that it is defined in."""
    attribute: str
    """Its name there."""

    @property
    def description(self) -> str:
        """The first sentence of its docstring without markup; it is not imported for it."""
        for node in _parsed(self.module).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == self.attribute:
                return first_paragraph(ast.get_docstring(node)).replace("`", "")
        return ""

    def load(self) -> Callable[..., Any]:
        """The callable itself."""
        return getattr(importlib.import_module(self.module), self.attribute)


@dataclass(frozen=True)
class MemberBehindWeighting(Member):
    """A learned optimizer for one gradient behind a weighting of those of several losses."""

    weighting: str

    def load(self) -> Callable[..., Any]:
        """What makes both, of the settings of both."""
        room = importlib.import_module("l2o.multiobjective")
        return room.behind_weighting(self.weighting, super().load())


TASK_FAMILY = Kind(
    "task family",
    "--task",
    ("l2o.tasks.families", "l2o.multiobjective.problems.families"),
    frozenset({"judge_on"}),
    shared=(
        Setting(
            "max_log_scale",
            float,
            0.0,
            "Puts every parameter in random units: a factor of exp(U(-r, r)) with this r.",
        ),
    ),
)
LEARNED_OPTIMIZER = Kind(
    "learned optimizer",
    "--optimizer",
    ("l2o.optimizers.learned", "l2o.multiobjective.learned"),
    frozenset({"key"}),
    is_proper=True,
    behind_weightings=("l2o.optimizers.learned",),
)
REGULARIZER = Kind(
    "regularizer",
    "",
    ("l2o.metatraining.regularizers",),
    frozenset({"weight"}),
    shared=(
        Setting("weight", float, REQUIRED, "Factor in the meta-loss; there is none of it with 0."),
        Setting(
            "relative_to",
            Literal["nothing", "filters", "tensors"],
            "nothing",
            "Measures perturbations in units of the size of each unit's weights, or of each "
            "tensor.",
        ),
    ),
)
ESTIMATOR = Kind("estimator of meta-gradients", "--estimator", ("l2o.metatraining.estimators",))
WEIGHTING = Kind(
    "weighting of several losses",
    "--baselines",
    ("l2o.multiobjective.weightings.listed",),
    frozenset({"gramian", "jacobian", "losses", "num_objectives", "key", "preference"}),
)


@cache
def members(kind: Kind) -> dict[str, Member]:
    """All things of a kind by the names that commands show; JAX is left alone.

    ```pycon
    >>> "first-order" in l2o.composition.members(l2o.composition.ESTIMATOR)
    True
    ```
    """
    return _members_of(kind, kind.modules)


def behind_weightings(optimizers: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The weighting and the optimizer that each name WEIGHTING-OPTIMIZER stands for.

    ```pycon
    >>> l2o.composition.behind_weightings(["adam"])["upgrad-adam"]
    ('upgrad', 'adam')
    ```
    """
    return {
        f"{weighting}-{optimizer}": (weighting, optimizer)
        for optimizer in optimizers
        for weighting in members(WEIGHTING)
    }


def _members_of(kind: Kind, modules: Iterable[str]) -> dict[str, Member]:
    listed = [
        Member(
            alias.name if kind.is_proper else _in_words(alias.name, str(node.module)),
            str(node.module),
            alias.name,
        )
        for module in modules
        for node in _parsed(module).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    return {member.name: member for member in listed}


def find_member(kind: Kind, name: str, title: str | None = None) -> Member:
    """The thing of this name; case, hyphens, underscores and a "family" at its end do not count.

    ```pycon
    >>> l2o.composition.find_member(l2o.composition.TASK_FAMILY, "ImageMLP").name
    'image-mlp'
    ```

    **Arguments:** `kind`; `name`; `title`, what it is called where there is none of that name.

    **Raises:** `ValueError` if there is none, with the nearest one that there is.
    """
    known = members(kind) | _members_behind_weightings(kind)
    same = {_plain(shown): shown for shown in known}
    if _plain(name) not in same:
        if "(" in name and kind.behind_weightings:
            raise ValueError(
                f"Settings of a weighting are settings of the optimizer behind it, "
                f"--weighting-c 0.2 for one; its name is without, got {name}."
            )
        title = title or f"The {kind.title}"
        if kind.behind_weightings:
            refuse_optimizer(
                title,
                name,
                members(kind),
                [optimizer for _, optimizer in names_behind_weightings(kind).values()],
                "one for one gradient behind a weighting, such as upgrad-RNNProp",
            )
        check_choice(title, name, known)
    return known[same[_plain(name)]]


def refuse_optimizer(
    title: str, name: str, alone: Iterable[str], behind: Collection[str], shown: str
) -> NoReturn:
    """Says what is wrong with a name of an optimizer, or WEIGHTING-OPTIMIZER.

    ```pycon
    >>> try:
    ...     l2o.composition.refuse_optimizer("An optimizer", "adm", ["adam"], ["adam"], "it")
    ... except ValueError as error:
    ...     print("adam" in str(error))
    ...
    True
    ```

    **Arguments:** `title`, what is named; `name`; `alone`, all that there are; `behind`, those of
    them that go behind weightings; `shown`, what the others are, for several losses.

    **Raises:** `ValueError`, always.
    """
    alone = list(alone)
    weighting, _, optimizer = name.replace("_", "-").rpartition("-")
    nearest_optimizer = nearest(optimizer, alone)
    nearest_weighting = nearest(weighting, members(WEIGHTING))
    if weighting and nearest_optimizer and nearest_optimizer not in behind:
        hint = f" Of these, {nearest_optimizer} goes behind no weighting."
    elif nearest_weighting and nearest_optimizer:
        hint = f" Did you mean {f'{nearest_weighting}-{nearest_optimizer}'!r}?"
    elif not weighting or nearest(name, alone):
        hint = did_you_mean(name, alone)
    elif nearest_weighting:
        hint = f" There is no {optimizer} among them."
    else:
        hint = f" {weighting} is none of the weightings that `l2o list` shows."
    raise ValueError(
        f"{title} must be one of {', '.join(alone)}, or for several losses {shown}; got "
        f"{name!r}.{hint}"
    )


def names_behind_weightings(kind: Kind) -> dict[str, tuple[str, str]]:
    """The weighting and the member that each name WEIGHTING-MEMBER of a kind stands for.

    ```pycon
    >>> names = l2o.composition.names_behind_weightings(l2o.composition.LEARNED_OPTIMIZER)
    >>> names["upgrad-RNNProp"]
    ('upgrad', 'RNNProp')
    ```
    """
    return behind_weightings(_members_of(kind, kind.behind_weightings))


@cache
def _members_behind_weightings(kind: Kind) -> dict[str, Member]:
    optimizers = members(kind)
    return {
        name: MemberBehindWeighting(
            name, optimizers[optimizer].module, optimizers[optimizer].attribute, weighting
        )
        for name, (weighting, optimizer) in names_behind_weightings(kind).items()
    }


def _in_words(name: str, module: str) -> str:
    """The name of a callable in words, which are those of its file where that has the same name.

    >>> [_in_words(name, "m") for name in ("image_mlp_family", "SAMSharpness")]
    ['image-mlp', 'sam-sharpness']
    >>> _in_words("GradNorm", "l2o.multiobjective.weightings.gradnorm")
    'gradnorm'
    """
    file = module.rpartition(".")[2]
    if _plain(file) == _plain(name):
        name = file
    name = name.removesuffix("Family").removesuffix("_family").strip("_")
    words = re.sub("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return words.replace("_", "-").lower()


def _plain(name: str) -> str:
    return re.sub("[-_]", "", name).lower().removesuffix("family")


@cache
def _parsed(module: str) -> ast.Module:
    """The source of a module of this package, which is not imported for it."""
    package, *parts = module.split(".")
    path = "/".join(parts)
    for file in (f"{path}.py", f"{path}/__init__.py"):
        try:
            text = pkgutil.get_data(package, file)
        except FileNotFoundError:
            continue
        return ast.parse(text or b"")
    raise ModuleNotFoundError(f"There is no module {module}.")
