"""YAML read strictly: mappings, sequences and scalars, and nothing that a loader would have to construct.

PyYAML, which Dask brings along, tells the events of a file; what is made of them is made here. So tags say nothing
(`!!python/tuple` is a list, and no tag makes an object), an alias is refused before it multiplies, and whatever a
damaged file does ends as one of our errors.
"""

from __future__ import annotations

import math
import re
from typing import Any

from gmaps.errors import DatasetError

#: Bytes; descriptions of recordings are a page of text.
_LARGEST = 2**16
#: Levels of nesting; calibrations have four.
_DEEPEST = 16
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
#: Tags of what is read as the plain list or mapping that it is written as.
_HARMLESS = re.compile(
    r"tag:yaml\.org,2002:(?:python/(?:tuple|list|str|unicode|int|float|dict)|str|int|float|seq|map)"
)


def parse_yaml(data: bytes, name: str) -> Any:
    """What a YAML file holds.

    Parameters
    ----------
    data
        The file's bytes, UTF-8.
    name
        What messages call it.

    Returns
    -------
    dict, list, str, int, float or None
        Keys are strings. A scalar in quotes is a string; else what looks like a number is one.

    Raises
    ------
    DatasetError
        No YAML, more than one document, an alias, a tag that asks for an object, or a file that is larger or deeper
        than any calibration.
    """
    if len(data) > _LARGEST:
        raise DatasetError(f"{name}: {len(data):,} bytes, where such a file has at most {_LARGEST:,}; restore it")
    import yaml  # here, because few data sets need it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast
    try:
        return _Maker(name).made_of(yaml.parse(data.decode("utf-8"), Loader=loader))
    except DatasetError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise DatasetError(f"{name}: no YAML ({said}); restore it from the archive") from error


class _Maker:
    """Events to values, with a stack of one's own: no depth of a file is a depth of calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open: list[Any] = []
        self.keys: list[str | None] = []
        self.done: list[Any] = []

    def made_of(self, events: Any) -> Any:
        for event in events:
            kind = type(event).__name__
            tag = getattr(event, "tag", None)
            if tag not in (None, "!") and not _HARMLESS.fullmatch(tag):
                raise DatasetError(f"{self.name}: asks for a {tag[:60]!r}, which no such file needs; restore it")
            if kind == "ScalarEvent":
                self._put(_scalar(event.value, plain=event.implicit[0]))
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                if len(self.open) >= _DEEPEST:
                    raise DatasetError(f"{self.name}: nested deeper than {_DEEPEST} levels; restore it")
                self.open.append({} if kind == "MappingStartEvent" else [])
                self.keys.append(None)
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self.keys.pop()
                self._put(self.open.pop())
            elif kind == "AliasEvent":
                raise DatasetError(f"{self.name}: has an alias, *{event.anchor[:40]}; write its value out")
        if len(self.done) != 1:
            raise DatasetError(f"{self.name}: holds {len(self.done)} documents, not one; restore it")
        return self.done[0]

    def _put(self, value: Any) -> None:
        if not self.open:
            self.done.append(value)
        elif isinstance(self.open[-1], list):
            self.open[-1].append(value)
        elif self.keys[-1] is None:
            if isinstance(value, dict | list):
                raise DatasetError(f"{self.name}: has a key that is no word; restore it")
            self.keys[-1] = str(value)
        else:
            self.open[-1][self.keys[-1]] = value
            self.keys[-1] = None


def _scalar(text: str, plain: bool) -> Any:
    if not plain:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if len(text) < 64 and _NUMBER.fullmatch(text):
        return float(text)
    return None if text in ("", "~", "null") else text


def numbers(value: Any, count: int, name: str, what: str) -> list[float]:
    """`count` finite numbers from a list of a file, or one of lists; text such as "1e-3" is a number, too.

    Raises
    ------
    DatasetError
        Something else; with what was looked for.
    """
    flat = value if isinstance(value, list) else [value]
    if flat and all(isinstance(row, list) for row in flat):
        flat = [v for row in flat for v in row]
    try:
        found = [float(v) for v in flat]
    except (TypeError, ValueError, OverflowError):
        found = []
    if len(found) != count or not all(math.isfinite(v) for v in found):
        raise DatasetError(f"{name}: {what} is not {count} number{'s' * (count > 1)}; restore it from the archive")
    return found
