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

    ```pycon
    >>> l2o.composition.Composed("RNNProp", {"max_step": 0.1}).but(hidden_size=4).keywords
    {'max_step': 0.1, 'hidden_size': 4}
    ```
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
        """The settings by name: those that all of the kind have, and those of the callable.

        **Raises:** `ValueError` as `maker` does.
        """
        maker = self.maker(kind)
        shared = {setting.name: setting for setting in kind.shared}
        return {**shared, **_own_settings(maker, kind)}

    def completed(self, kind: Kind) -> "Composed":
        """The same under the name that commands show, with all keywords.

        **Raises:** `ValueError` as `maker` does, for unknown keywords and for wrong types.
        """
        name = self.name if self.is_own else find_member(kind, self.name).name
        return replace(self, name=name, keywords=complete(name, self.settings(kind), self.keywords))

    def make(self, kind: Kind, **given: Any) -> tuple[Any, dict[str, Any]]:
        """What the callable makes of the keywords, and of the arguments that it takes of `given`.

        **Returns:** that, and the values of the settings that all of the kind have, which are not
        the callable's own, for the caller to see to.

        **Raises:** `ValueError` for settings out of range, and in a sentence whatever a person's
        own code raises.
        """
        maker = self.maker(kind)
        keywords = complete(self.name, self.settings(kind), self.keywords)
        own = _own_settings(maker, kind)
        shared = {name: value for name, value in keywords.items() if name not in own}
        if not callable(maker):
            return maker, shared
        keywords = {name: keywords[name] for name in own}
        taken = {name: value for name, value in given.items() if _takes(maker, name)}
        if not self.is_own:
            return maker(**keywords, **taken), shared
        try:
            return maker(**keywords, **taken), shared
        # Whatever a person's code raises, or ends the program with.
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"{self.name} cannot be made: {error_in_a_line(error, self.name)}."
            ) from error


def _without_lists(value: Any) -> Any:
    return tuple(map(_without_lists, value)) if isinstance(value, list) else value


def _own_settings(maker: Any, kind: Kind) -> dict[str, Setting]:
    """The settings of a class or function; of a thing that is made already there are none."""
    return settings_of(maker, kind.given) if callable(maker) else {}


def _takes(maker: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(maker).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
