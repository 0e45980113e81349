"""Parameters in a kind's name: `ball_offset:k=60:axes=uvd`.

The name is what is asked for, what a store's array is called and what a checkpoint remembers, so that one build may
hold a kind twice, with k = 60 and with k = 80.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmaps.errors import UsageError, unknown_name

#: Of a parameter: a number, or a word.
Value = float | str
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True)
class Option:
    """A parameter that a kind takes.

    Parameters
    ----------
    name
        As it is said.
    default
        What it is where nobody says.
    about
        What it does, with its unit.
    low, high
        Least and most of a number.
    whole
        Whether a number has no fraction.
    choices
        Of words.
    """

    name: str
    default: Value
    about: str
    low: float = 0.0
    high: float = 1e5
    whole: bool = False
    choices: tuple[str, ...] = ()

    def read(self, kind: str, text: str) -> Value:
        """A value as it was typed.

        Raises
        ------
        UsageError
            It is no number, out of range, or no such word.
        """
        if self.choices:
            if text not in self.choices:
                raise unknown_name(f"{self.name} of {kind}", text, self.choices)
            return text
        number = float(text) if _NUMBER.fullmatch(text) else -1.0
        if not self.low <= number <= self.high or (self.whole and number != int(number)):
            what = "a whole number" if self.whole else "a number"
            raise UsageError(f"{kind}:{self.name} is {what} of {self.low:g} to {self.high:g}, not {text!r}")
        return int(number) if self.whole else number


def split_name(name: str) -> tuple[str, list[str]]:
    """The kind's own name, and NAME=VALUE of its parameters as they were typed."""
    family, *rest = name.split(":")
    return family, rest


def read_options(kind: str, options: Sequence[Option], typed: Sequence[str]) -> dict[str, Value]:
    """All parameters of a kind: as typed, and the defaults of the others.

    Raises
    ------
    UsageError
        The kind takes none, or none of this name; one is given twice; a value that cannot be.
    """
    if typed and not options:
        raise UsageError(f"the map {kind} takes no parameters, and {':'.join(typed)!r} was given")
    known, found = {o.name: o for o in options}, {}
    for part in typed:
        key, _, text = part.partition("=")
        if key not in known:
            raise unknown_name(f"parameter of {kind}", key, known)
        if key in found:
            raise UsageError(f"{kind}: {key} is given twice")
        found[key] = known[key].read(kind, text)
    return defaults(options) | found


def defaults(options: Sequence[Option]) -> dict[str, Value]:
    """Each parameter's default."""
    return {o.name: o.default for o in options}


def describe(parameters: Mapping[str, Value]) -> str:
    """For people: "k=80, axes=camera"."""
    return ", ".join(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
                     for key, value in parameters.items())  # fmt: skip
