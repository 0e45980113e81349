"""The metadata of a store's group and its other JSON, validated once on opening."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gmaps.errors import CorruptStoreError, StoreError
from gmaps.store.array_metadata import GROUP, wrong
from gmaps.store.names import is_inner, is_plain
from gmaps.store.schema import FORMAT, PACKED_ARRAYS, ROW_ARRAYS

_NUMBER = (int, float)
#: What the group's attributes are, where they are there; a tuple of one type is a list of it.
_ATTRIBUTES: dict[str, Any] = {
    "gmaps_version": str,
    "dataset": {"name": str, "spec": dict, "fingerprint": dict, "subjects": (str,), "sequences": (str,)},
    "skeleton": dict,
    "camera": dict,
    "crop": {"size": int, "projection": str, "half_side": _NUMBER, "center": str},
    "maps": {"maps": (str,), "size": int, "dtype": str, "layout": str},
    "fingerprint": str,
    "fingerprint_of": {"versions": dict, "maps": {"maps": (str,)}, "shard_samples": int},
    "counts": {"rejected": int, "joints_outside": int},
    PACKED_ARRAYS: {"arrays": dict},
}
_T = TypeVar("_T")


class Attributes(dict[str, Any]):
    """A store's attributes. To ask for what they do not have is no `KeyError`, but a `CorruptStoreError`."""

    where: str = "zarr.json"

    def __missing__(self, key: str) -> Any:
        raise CorruptStoreError(f"{self.where}: its attributes name no {key}; `gmaps verify` tells what is damaged")


def parse_json(content: bytes, where: object) -> Any:
    """A JSON file.

    Raises
    ------
    CorruptStoreError
        It is none.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CorruptStoreError(
            f"{where} cannot be read: {error}; `gmaps verify` tells what else is damaged"
        ) from error


def parse_group(where: Path | str, group: Any) -> tuple[Attributes, dict[str, Any] | None]:
    """A group's `zarr.json`, if it is one of ours.

    Returns
    -------
    attributes
        The group's own, without what they say of packed arrays.
    arrays
        Name -> `zarr.json` of the arrays that it lists, packed ones included; None where it lists none.

    Raises
    ------
    StoreError
        It is not ours, or has another format.
    CorruptStoreError
        It is ours, and damaged.
    """
    attributes = group.get("attributes") if isinstance(group, dict) else None
    version = attributes.get("format") if isinstance(attributes, dict) else None
    if attributes is None or version is None:
        raise StoreError(f"{where} is a Zarr group, but no gmaps store: its attributes name no format")
    if type(version) is not int or version != FORMAT:
        raise StoreError(
            f"{where} has format {version!r}; this gmaps reads format {FORMAT}. Build it again, or update gmaps"
        )
    path = f"{where}/{GROUP}"
    _check(attributes, _ATTRIBUTES, path, "attributes")
    projection = attributes.get("crop", {}).get("projection", "orthographic")
    if projection not in ("orthographic", "perspective"):
        raise wrong(path, f"a projection is orthographic or perspective, not {projection!r}")
    listed = group.get("consolidated_metadata")
    if listed is None:
        return _attributes(attributes, path), None
    metadata = listed.get("metadata") if isinstance(listed, dict) else None
    if not isinstance(metadata, dict):
        raise wrong(path, "its consolidated metadata list no arrays")
    # Where gmaps is not installed, zarr-python could not open a group whose consolidated metadata name our codec.
    metadata = metadata | attributes.get(PACKED_ARRAYS, {}).get("arrays", {})
    for name, meta in metadata.items():
        if not is_inner(name) or name.count("/") > 1 or not isinstance(meta, dict):
            raise wrong(path, f"its consolidated metadata name {name!r}, which can be no array of a store")
    return _attributes(attributes, path), metadata


def _attributes(values: Mapping[str, Any], where: str) -> Attributes:
    made = Attributes({k: _attributes(v, where) if isinstance(v, dict) else v for k, v in values.items()})
    made.pop(PACKED_ARRAYS, None)
    made.where = where
    return made


def _check(value: Any, kind: Any, where: str, what: str) -> None:
    """Refuse a value of another kind; what is not there is asked for by nobody yet."""
    if isinstance(kind, dict):
        _check(value, dict, where, what)
        for key in kind.keys() & value.keys():
            _check(value[key], kind[key], where, f"{what}.{key}")
    elif kind == (str,):
        good = isinstance(value, list) and all(isinstance(v, str) for v in value)
        if not good or (what.endswith("maps.maps") and not all(map(is_plain, value))):
            raise wrong(where, f"{what} is no list of names")
    elif not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, float) and value != value):
        raise wrong(where, f"{what} cannot be {str(value)[:60]!r}")


def made_from(where: object, what: str, make: Callable[[], _T]) -> _T:
    """What a store's attributes describe: its camera, its skeleton, its parameters.

    Raises
    ------
    CorruptStoreError
        The attributes describe none.
    """
    try:
        return make()
    except CorruptStoreError:
        raise
    except Exception as error:  # whatever a constructor says of values that it never expected
        raise wrong(f"{where}/{GROUP}", f"describes no {what} ({type(error).__name__}: {error})") from error


def parse_rejects(content: bytes, where: object) -> list[dict[str, Any]]:
    """The list of rejected frames.

    Raises
    ------
    CorruptStoreError
        It is none.
    """
    found = parse_json(content, where)
    kinds = {"row": int, "frame": int, "name": str, "reason": str}
    if not isinstance(found, list) or not all(isinstance(r, dict) and kinds.keys() <= r.keys() for r in found):
        raise CorruptStoreError(f"{where} is no list of rejected frames; `gmaps verify` tells what else is damaged")
    for r in found:
        for key, kind in kinds.items():
            _check(r[key], kind, str(where), key)
    return found


def in_order(found: Mapping[str, _T], attributes: Mapping[str, Any]) -> dict[str, _T]:
    """Arrays by name, in the order in which people want to see them."""
    kinds = attributes.get("maps", {}).get("maps", [])
    order = [*ROW_ARRAYS, *(f"maps/{kind}{end}" for kind in kinds for end in ("", "_scale"))]
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))] if name in found}
