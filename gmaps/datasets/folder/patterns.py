"""Patterns of file names: "{subject}/{sequence}/{frame:[0-9]{6}}.png".

A placeholder stands for a name or a part of one. After a colon it may say which characters and how many; no more of
regular expressions is allowed, for some of them take for ever.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gmaps.errors import DatasetError
from gmaps.formats.litter import is_litter

#: In the order of a frame's values.
PLACEHOLDERS = ("split", "subject", "sequence", "frame")
#: Values of the placeholders of one file; "" for those that its pattern does not have.
Values = tuple[str, str, str, str]

_NAMES = "|".join(PLACEHOLDERS)
_PART = re.compile(
    rf"\{{({_NAMES})(?::(\[[A-Za-z0-9_.-]+\])(\{{[0-9]{{1,3}}\}}|\{{[0-9]{{1,3}},[0-9]{{1,3}}\}}|\+)?)?\}}"
)
# No control characters, and none that Python makes of bytes that are no UTF-8: such names cannot be printed.
_ANY = r"[^/\x00-\x1f\x7f\ud800-\udfff]"
_LONGEST = 500


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern; made by `parse_pattern`.

    Parameters
    ----------
    text
        As it was written.
    template
        For `str.format`: the text without what follows the colons.
    names
        Its placeholders.
    """

    text: str
    template: str
    names: frozenset[str]

    @property
    def suffix(self) -> str:
        """In small letters, with its dot."""
        return Path(self.template).suffix.lower()

    def path(self, values: Values) -> str:
        """The file of one frame, below the root."""
        return self.template.format(**dict(zip(PLACEHOLDERS, values, strict=True)))

    def walk(self, root: Path) -> Iterator[Values]:
        """Values of all files below a root that match, in no order.

        Raises
        ------
        DatasetError
            A directory that cannot be listed.
        """
        yield from _walk(str(root), self.steps(), {})

    def steps(self) -> list[str | re.Pattern[str]]:
        """What each part of a path must be, or match."""
        return [_segment(s) for s in self.text.split("/")]


def parse_pattern(text: str, what: str) -> Pattern:
    """Check a pattern.

    Parameters
    ----------
    text
        The pattern.
    what
        What messages call it: "dataset.toml: depth.files".

    Raises
    ------
    DatasetError
        A path that leaves the root, an unknown placeholder, more of a regular expression than is allowed.
    """
    if not text or len(text) > _LONGEST or any(c < " " or c == "\x7f" for c in text):
        raise DatasetError(f"{what} must be a pattern of 1 to {_LONGEST} printable characters, not {text[:60]!r}")
    if any(s in ("", ".", "..") for s in text.split("/")):
        raise DatasetError(f"{what} must be a path below the root, without . and .., not {text!r}")
    rest = _PART.sub("", text)
    if "{" in rest or "}" in rest:
        raise DatasetError(
            f"{what}: {text!r} has braces that are none of {', '.join(f'{{{n}}}' for n in PLACEHOLDERS)}, with or "
            "without a class of characters and their number, as in {frame:[0-9]{6}}"
        )
    found = [m[1] for m in _PART.finditer(text)]
    if len(found) > 2 * len(PLACEHOLDERS):
        raise DatasetError(f"{what}: {text!r} has {len(found)} placeholders, more than anybody can follow")
    for segment in text.split("/"):
        try:
            _segment(segment)
        except re.error as error:
            raise DatasetError(f"{what}: {segment!r} is no pattern ({error})") from error
    return Pattern(text, _PART.sub(lambda m: f"{{{m[1]}}}", text), frozenset(found))


def _segment(text: str) -> str | re.Pattern[str]:
    """A name, or what matches it."""
    if not _PART.search(text):
        return text
    out, at, seen = "", 0, set()
    for m in _PART.finditer(text):
        out += re.escape(text[at : m.start()])
        name, chars, number = m.groups()
        out += f"(?P={name})" if name in seen else f"(?P<{name}>{chars or _ANY}{number or '+'})"
        seen.add(name)
        at = m.end()
    with warnings.catch_warnings():
        # "[a--z]" will mean something else to some Python to come, and is what it is to this one.
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(out + re.escape(text[at:]))


def _walk(folder: str, steps: list[str | re.Pattern[str]], known: dict[str, str]) -> Iterator[Values]:
    step, last = steps[0], len(steps) == 1
    try:
        if isinstance(step, str):
            # Not os.path's: to them a file that the disk fails to show is none.
            path = Path(folder, step)
            if last and path.is_file():
                yield _values(known)
            elif not last and path.is_dir():
                yield from _walk(str(path), steps[1:], known)
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                match = step.fullmatch(entry.name)
                # Neither a directory under a frame's name nor a pipe, which would be waited for.
                if match is None or is_litter(entry.name) or not (entry.is_file() if last else entry.is_dir()):
                    continue
                bound = match.groupdict()
                if any(known.get(k, v) != v for k, v in bound.items()):
                    continue
                if last:
                    yield _values({**known, **bound})
                else:
                    yield from _walk(os.path.join(folder, entry.name), steps[1:], {**known, **bound})
    except OSError as error:
        raise DatasetError(
            f"{folder}: cannot be listed ({error.strerror or error}); see to its permissions and its disk"
        ) from error


def _values(known: dict[str, str]) -> Values:
    return known.get("split", ""), known.get("subject", ""), known.get("sequence", ""), known.get("frame", "")
