"""Options in the form `name[:option[=value]]…`, which lanes and workloads share. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, Union

Value = Union[bool, int, float, str]


@dataclass(frozen=True)
class Option:
    """One option, as in `torch:workers=2`; without a least value, `decimal` and choices it is a flag."""

    name: str
    meaning: str
    least: int | None = None
    """The least value of an option that takes a whole number."""
    choices: tuple[str, ...] = ()
    """The values of an option that takes a word."""
    decimal: tuple[float, float] | None = None
    """The least value and the bound (not reached) of an option that takes a decimal number."""

    @property
    def usage(self) -> str:
        """`workers=N`, `backend=tensorflow|torch`, `dropout=X`, `compile`."""
        if self.least is not None:
            return f"{self.name}=N"
        if self.decimal is not None:
            return f"{self.name}=X"
        return f"{self.name}={'|'.join(self.choices)}" if self.choices else self.name

    def read(self, owner: str, text: str | None) -> Value:
        """The value that is written behind `=` (None without one); ValueError in one sentence."""
        usage = f"{owner}:{self.usage}"
        if self.least is not None:
            if text is None or not text.isdecimal() or int(text) < self.least:
                raise ValueError(f"{owner}:{self.name} needs a whole number from {self.least} up: {usage}")
            return int(text)
        if self.decimal is not None:
            low, high = self.decimal
            number = _decimal(text)
            if number is None or not low <= number < high:
                raise ValueError(f"{owner}:{self.name} needs a number from {low:g} to below {high:g}: {usage}")
            return number
        if self.choices:
            if text not in self.choices:
                raise ValueError(f"{owner}:{self.name} needs one of {', '.join(self.choices)}: {usage}")
            return text
        if text is not None:
            raise ValueError(f"{owner}:{self.name} takes no value: {usage}")
        return True


def read_options(owner: str, kind: str, known: Sequence[Option], parts: Iterable[str]) -> dict[str, Value]:
    """The values of `option[=value]` parts.

    Raises:
        ValueError: One sentence that names the nearest right option.
    """
    values: dict[str, Value] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        option: Option = named(name, known, f"option of {owner}")
        if option.name in values:
            raise ValueError(f"the {kind} {owner} gives {option.name} twice; give it once")
        values[option.name] = option.read(owner, text if equals else None)
    return values


def spelled(name: str, values: Mapping[str, Value]) -> str:
    """The text that `read_options` reads back."""
    return ":".join([name, *(key if value is True else f"{key}={value}" for key, value in values.items())])


_Named = TypeVar("_Named", bound=Any)


def named(name: str, things: Iterable[_Named], kind: str) -> _Named:
    """The thing of that name, or a ValueError that names the nearest one and all there are."""
    known = {thing.name: thing for thing in things}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    shown = f"'{name}'" if name else "an empty name"
    raise ValueError(f"{shown} is no {kind}: {hint}there {'are' if len(known) > 1 else 'is'} {', '.join(known)}")


def _decimal(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
