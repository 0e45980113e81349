"""What a page asks: names and values of an address, checked before anyone uses them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from urllib.parse import parse_qs

from gmaps.errors import UsageError, unknown_name

#: No question has as many parts, and no part is as long.
_MOST, _LONGEST = 32, 400


class Query:
    """The part of an address behind the question mark.

    Raises
    ------
    UsageError
        It has too many parts, or too long ones.
    """

    def __init__(self, text: str) -> None:
        try:
            found = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST, errors="strict")
        except ValueError as error:
            raise UsageError(f"the page asks what cannot be read: {error}") from None
        self._values = {name: values[-1] for name, values in found.items()}
        if any(len(value) > _LONGEST for value in self._values.values()):
            raise UsageError("the page asks for a name of more than 400 characters")

    def text(self, name: str, default: str = "") -> str:
        """As it stands."""
        return self._values.get(name, default)

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of some words; the first unless another is asked for."""
        value = self.text(name, known[0])
        if value not in known:
            raise unknown_name(name, value, known)
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number from `low` to `high`."""
        text = self.text(name)
        if text == "" and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise UsageError(f"{name} is a number from {low:g} to {high:g}, not {text[:40]!r}")
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        text = self.text(name)
        if text == "" and default is not None:
            return default
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19 and low <= int(text) <= high):
            raise UsageError(f"{name} is a whole number from {low} to {high}, not {text[:40]!r}")
        return int(text)
