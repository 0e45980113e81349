"""`[camera]` and `[cameras]` of a `dataset.toml`: the usual one, and where several took the frames."""

from __future__ import annotations

from gmaps.camera import Camera
from gmaps.formats.strict_toml import Table

_MOST_PIXELS = 2**26


def read_camera(table: Table) -> Camera:
    """[camera]: size, focal lengths and principal point."""
    width, height = (table.whole(k, low=16, high=16384) for k in ("width", "height"))
    focal = [table.number(k, above=0, high=1e6) for k in ("fx", "fy")]
    center = [table.number(k, low=-1e6, high=1e6) for k in ("cx", "cy")]
    table.close()
    if width * height > _MOST_PIXELS:
        table.fail("width", f"times height is {width * height:,} pixels, more than {_MOST_PIXELS:,}")
    return Camera(focal[0], focal[1], center[0], center[1], width, height)


def read_cameras(root: Table, usual: Camera, known: frozenset[str]) -> tuple[str, dict[str, Camera]]:
    """[cameras.sequence.NAME], or of subjects: numbers of single cameras, whose images are of one size.

    Parameters
    ----------
    root
        The file.
    usual
        [camera], whose size all have.
    known
        The placeholders of depth.files.

    Returns
    -------
    by, cameras
        "subject" or "sequence", and name -> camera; empty where the file has none.

    Raises
    ------
    DatasetError
        Numbers that cannot be, or cameras of something else.
    """
    table = root.table("cameras")
    if table is None:
        return "", {}
    by = [k for k in ("subject", "sequence") if k in table]
    if len(by) != 1 or by[0] not in known:
        table.fail("", "are told by subject or by sequence, whichever depth.files has: [cameras.sequence.NAME]")
    named = table.need_table(by[0])
    table.close()
    found = {}
    for name in named.keys:
        own = named.need_table(name)
        fx, fy = (own.number(k, above=0, high=1e6) for k in ("fx", "fy"))
        cx, cy = (own.number(k, low=-1e6, high=1e6) for k in ("cx", "cy"))
        own.close()
        found[name] = Camera(fx, fy, cx, cy, usual.width, usual.height)
    named.close()
    return by[0], found
