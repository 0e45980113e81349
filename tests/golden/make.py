"""Writes the golden stores: `python -m tests.golden.make`, once for each MAPS_VERSION; the old ones are kept.

Eight synthetic frames in MSRA's layout lie in `frames/`. `v1/` holds the stores that the first version of the maps
made of them; a folder for each later version follows. Stores of every version must be read to the last bit; those
of today's version must also come out of a build to the last byte.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import gmaps
from gmaps.maps import MAPS_VERSION

HERE = Path(__file__).parent
FRAMES = HERE / "frames"
DIGESTS = "digests.json"

_LINES = ("signed_edt", "geodesic", "geodesic_weighted", "euclidean", "heatmap")
_PLANAR = (*_LINES, "geodesic_surface", "offset", "limb", "limb_lpm_each", "limb_ldm_g6")
_VIEWS = ("views_euclidean", "views_geodesic", "views_geodesic_weighted")

#: Every family of 2D maps, every type and layout.
BUILDS: dict[str, dict[str, Any]] = {
    "packed": {"maps": (*_PLANAR, *_VIEWS), "map_size": 32},
    "plain": {"maps": (*_PLANAR, *_VIEWS), "map_size": 16, "layout": "plain", "dtype": "float32", "crop_size": 64},
    "bytes": {"maps": _PLANAR[1:], "map_size": 16, "dtype": "uint8", "crop_size": 64, "projection": "perspective"},
    "handmap": {"maps": _LINES, "map_size": 32, "profile": "handmap"},
    "bridged": {"maps": ("geodesic", "geodesic_surface"), "map_size": 24, "bridge": 2.0, "normalize": "theta"},
}


def build(name: str, out: Path) -> None:
    """One golden store, three shards of it so that the last one is short."""
    gmaps.build("msra", out, root=FRAMES, workers=0, progress=False, shard_samples=3, **BUILDS[name])


def digests(path: Path) -> dict[str, str]:
    """SHA-256 of the values of every array, as the reader gives them."""
    store = gmaps.open_store(path)
    stored = store.read(range(len(store)), decode=False)
    return {
        name: hashlib.sha256(f"{a.dtype.str}{a.shape}".encode() + a.tobytes()).hexdigest()
        for name, a in sorted(stored.items())
    }


def main() -> None:
    """All of them, and the digests of their values."""
    folder = HERE / f"v{MAPS_VERSION}"
    if folder.exists():
        sys.exit(f"{folder} is there: golden stores are written once for a version of the maps")
    for name in BUILDS:
        build(name, folder / f"{name}.zarr")
    made = {name: digests(folder / f"{name}.zarr") for name in BUILDS}
    (folder / DIGESTS).write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
