"""TOML read strictly: every key is asked for by name and type, and what nobody asked for is refused.

A key that is misspelt and silently left out would turn millimetres into tenths, or a test split into a training one.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from gmaps.errors import DatasetError
from gmaps.formats.regular import open_regular

#: Bytes; a description of a data set is a page of text.
_LARGEST = 2**18
#: Bytes of a line: tomllib takes seconds over a key of ten thousand dots.
_LONGEST_LINE = 2**14
_MISSING: Any = object()


class Table:
    """One table of a file. Ask for its keys, then `close` it.

    Parameters
    ----------
    values
        As `tomllib` gives them.
    file, name
        What messages call the file and the table: "dataset.toml", "camera"; the root's name is empty.
    """

    def __init__(self, values: dict[str, Any], file: str, name: str = "") -> None:
        self._values, self.file, self.name = values, file, name
        self._asked: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    @property
    def keys(self) -> tuple[str, ...]:
        """What it has, where the file chooses the names: all of these are then to be asked for."""
        return tuple(self._values)

    def fail(self, key: str, message: str) -> NoReturn:
        """Refuse the value of a key.

        Raises
        ------
        DatasetError
            Always; with file, key and message.
        """
        raise DatasetError(f"{self.file}: {self.name + '.' if self.name else ''}{key} {message}")

    def _get(self, key: str, default: Any) -> Any:
        self._asked.append(key)
        if key in self._values:
            return self._values[key]
        if default is _MISSING:
            there = ", ".join(sorted(self._values)) or "nothing"
            self.fail(key, f"is missing; {f'[{self.name}]' if self.name else 'the file'} has {there[:300]}")
        return default

    def number(
        self, key: str, default: Any = _MISSING, *, low: float = -math.inf, high: float, above: float = -math.inf
    ) -> float:
        """A number from `low` to `high`, and more than `above`."""
        value = self._get(key, default)
        if key not in self._values:
            return float(value)
        if not _is_number(value) or not (low <= value <= high and value > above):
            start = f"above {above:g} and" if math.isfinite(above) else f"from {low:g}"
            self.fail(key, f"must be a number {start} up to {high:g}, not {_shown(value)}")
        return float(value)

    def whole(self, key: str, default: Any = _MISSING, *, low: int, high: int) -> Any:
        """A whole number from `low` to `high`, or the default."""
        value = self._get(key, default)
        if key not in self._values:
            return value
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(key, f"must be a whole number from {low} to {high}, not {_shown(value)}")
        return value

    def text(self, key: str, default: Any = _MISSING, *, choices: Collection[str] | None = None) -> str:
        """A string, one of `choices` where there are any."""
        value = self._get(key, default)
        if not isinstance(value, str):
            self.fail(key, f"must be a string, not {_shown(value)}")
        if choices is not None and value not in choices:
            self.fail(key, f"must be one of {', '.join(choices)}, not {_shown(value)}")
        return value

    def texts(self, key: str, default: Any = _MISSING) -> tuple[str, ...]:
        """A list of strings that differ from each other."""
        value = self._get(key, default)
        if key not in self._values:
            return tuple(value)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            self.fail(key, f"must be a list of strings, not {_shown(value)}")
        if len(set(value)) < len(value):
            twice = next(v for v in value if value.count(v) > 1)
            self.fail(key, f"names {_shown(twice)} twice")
        return tuple(value)

    def numbers(self, key: str, default: Any = _MISSING, *, count: int | None = None) -> tuple[float, ...]:
        """A list of `count` finite numbers, or of any number of them."""
        value = self._get(key, default)
        if key not in self._values:
            return tuple(value)
        if not isinstance(value, list) or not all(map(_is_number, value)) or count not in (None, len(value)):
            self.fail(key, f"must be a list of {count or ''} numbers, not {_shown(value)}".replace("  ", " "))
        return tuple(float(v) for v in value)

    def wholes(self, key: str, default: Any = _MISSING, *, low: int, high: int) -> tuple[int, ...]:
        """A list of whole numbers from `low` to `high`."""
        value = self._get(key, default)
        if key not in self._values:
            return tuple(value)
        good = isinstance(value, list) and all(
            isinstance(v, int) and not isinstance(v, bool) and low <= v <= high for v in value
        )
        if not good:
            self.fail(key, f"must be a list of whole numbers from {low} to {high}, not {_shown(value)}")
        return tuple(value)

    def mixed(self, key: str) -> Any:
        """Whatever is there; the caller judges it."""
        return self._get(key, _MISSING)

    def table(self, key: str) -> Table | None:
        """A table within this one, or None."""
        return self.need_table(key) if key in self._values else self._get(key, None)

    def need_table(self, key: str) -> Table:
        """A table within this one."""
        value, name = self._get(key, _MISSING), f"{self.name}.{key}" if self.name else key
        if not isinstance(value, dict):
            self.fail(key, f"must be a table ([{name}]), not {_shown(value)}")
        return Table(value, self.file, name)

    def allow(self, *keys: str) -> None:
        """Keys that exist, whether anybody asks for them or not."""
        self._asked += keys

    def close(self) -> None:
        """Refuse keys that nobody asked for.

        Raises
        ------
        DatasetError
            Naming the key, the nearest that exists, and all that exist.
        """
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1, cutoff=0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                where = f"[{self.name}]" if self.name else "the file"
                known = ", ".join(sorted(set(self._asked)))
                raise DatasetError(f"{self.file}: {where} knows no key {_shown(key)}.{hint} It takes: {known}")


def read_toml(path: Path) -> Table:
    """The root table of a file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DatasetError
        No such file, too large a one, or one that is no TOML; the message has the line.
    """
    try:
        with open_regular(path) as f:
            data = f.read(_LARGEST + 1)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    return parse_toml(data, str(path))


def parse_toml(data: bytes, name: str) -> Table:
    """As `read_toml`, from bytes."""
    if len(data) > _LARGEST:
        raise DatasetError(f"{name}: longer than {_LARGEST:,} bytes; lists that long do not belong into it")
    if max(map(len, data.splitlines()), default=0) > _LONGEST_LINE:
        raise DatasetError(f"{name}: a line longer than {_LONGEST_LINE:,} bytes; break it")
    try:
        return Table(tomllib.loads(data.decode()), name)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise DatasetError(f"{name}: is no TOML: {str(error)[:300]}") from error


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300  # False for NaN; whole numbers can be longer than a float holds


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python prints, tables in tables
        return "a value too long to be shown"
    return text if len(text) <= 60 else text[:57] + "..."
