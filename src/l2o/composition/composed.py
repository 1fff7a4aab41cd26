"""Something made by a name and keywords: what JSON, flags and Python code say alike."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from l2o.composition.catalogue import Kind, find_member
from l2o.composition.references import error_in_a_line, find_object
from l2o.composition.settings import Setting, complete, settings_of


@dataclass(frozen=True)
class Composed:
    """A name, and keywords for the callable that it stands for.

    >>> Composed("RNNProp", {"max_step": 0.1}).but(hidden_size=4).keywords
    {'max_step': 0.1, 'hidden_size': 4}
    """

    name: str
    """One that a kind lists, or `module:attribute` or `file.py:attribute` of a person's own."""
    keywords: Mapping[str, Any] = field(default_factory=dict)
    """Those not given have their defaults."""
    confirmed: bool = field(default=True, compare=False, repr=False)
    """Whether a command line or Python code names it; a person's own is not imported else."""

    def __post_init__(self) -> None:
        # JSON has no tuples, and with lists equal ones would not be equal.
        keywords = {name: _without_lists(value) for name, value in self.keywords.items()}
        object.__setattr__(self, "keywords", keywords)

    def __hash__(self) -> int:
        """Equal ones have equal names."""
        return hash(self.name)

    @property
    def is_own(self) -> bool:
        """Whether it is a person's own."""
        return ":" in self.name

    def but(self, **keywords: Any) -> "Composed":
        """The same with other keywords."""
        return replace(self, keywords={**self.keywords, **keywords})

    def as_dict(self) -> dict[str, Any]:
        """What JSON has of it."""
        return {"name": self.name, "keywords": dict(self.keywords)}

    def maker(self, kind: Kind) -> Callable[..., Any]:
        """The callable; of a person's own it may be the thing itself.

        **Raises:** `ValueError` for an unknown name, and for code of a person's own that only a
        file names.
        """
        if not self.is_own:
            return find_member(kind, self.name).load()
        if not self.confirmed:
            how = (
                f"where you name it: add {kind.flag} {self.name}"
                if kind.flag
                else "from Python: no command can name it"
            )
            raise ValueError(
                f"The {kind.title} here is {self.name}, code of your own, which is run only {how}."
            )
        return find_object(self.name)

    def settings(self, kind: Kind) -> dict[str, Setting]:
        """The settings of the callable by name; none of what is no callable.

        **Raises:** `ValueError` as `maker` does.
        """
        maker = self.maker(kind)
        return settings_of(maker, kind.given) if _makes(maker) else {}

    def completed(self, kind: Kind, more: Mapping[str, Setting] | None = None) -> "Composed":
        """The same under the name that commands show, with all keywords.

        **Arguments:** `kind`; `more`, settings that all of the kind have beside their own.

        **Raises:** `ValueError` as `maker` does, for unknown keywords and for wrong types.
        """
        settings = {**(more or {}), **self.settings(kind)}
        name = self.name if self.is_own else find_member(kind, self.name).name
        return replace(self, name=name, keywords=complete(name, settings, self.keywords))

    def make(self, kind: Kind, **given: Any) -> Any:
        """What the callable makes of the keywords, and of the arguments that it takes of `given`.

        **Raises:** `ValueError` for settings out of range, and in a sentence whatever a person's
        own code raises.
        """
        maker = self.maker(kind)
        if not _makes(maker):
            if self.keywords:
                raise ValueError(f"{self.name} is made already, and takes no settings.")
            return maker
        keywords = complete(self.name, settings_of(maker, kind.given), self.keywords)
        taken = {name: value for name, value in given.items() if _takes(maker, name)}
        if not self.is_own:
            return maker(**keywords, **taken)
        try:
            return maker(**keywords, **taken)
        # Whatever a person's code raises, or ends the program with.
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"{self.name} cannot be made: {error_in_a_line(error, self.name)}."
            ) from error


def _without_lists(value: Any) -> Any:
    return tuple(map(_without_lists, value)) if isinstance(value, list) else value


def _makes(maker: Any) -> bool:
    """Whether this is a class or a function, rather than the thing itself."""
    return callable(maker)


def _takes(maker: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(maker).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
