"""Small stores for tests, and what is in them."""

from __future__ import annotations

import math

import numpy as np

import gmaps
from gmaps.evaluation import get_protocol, write_table
from gmaps.skeleton import get_skeleton
from gmaps.store.schema import MapArray, make_layout
from gmaps.store.writer import ShardWriter, finish_store

KINDS = (
    MapArray("geodesic", (8, 8, 21), True, (0.0, 1.0)),
    MapArray("signed_edt", (8, 8, 1), False, (-math.inf, math.inf)),
    MapArray("heatmap", (8, 8, 21), False, (0.0, 1.0)),
)
ATTRIBUTES = {
    "format": 1,
    "crop": {"projection": "orthographic"},
    "skeleton": get_skeleton("msra21").to_dict(),
}

#: Of `predicted_store`: rows, and those with the largest errors, the largest first.
ROWS, WORST = 24, [7, 19, 3]


def content(path):
    """Bytes of every file below a path."""
    return {f.relative_to(path).as_posix(): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def predicted_store(folder):
    """h.zarr and pred.txt: off by 5 mm to the right, in rows 7, 19 and 3 by 60, 50 and 40."""
    options = {"dataset_options": {"frames": ROWS}, "workers": 0, "progress": False, "crop_size": 64}
    gmaps.build("synthetic", folder / "h.zarr", ("geodesic",), **options)
    joints = np.asarray(gmaps.open_store(folder / "h.zarr").column("joints"), np.float64)
    off = np.full(ROWS, 5.0)
    off[WORST] = 60, 50, 40
    joints[..., 0] += off[:, None]
    write_table(folder / "pred.txt", get_protocol("synthetic").to_file(joints))


def fake_rows(n, seed=0, kinds=KINDS, joints=21, size=16):
    """n rows of float values; depth is representable in float16, as a crop's is."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        depth = np.where(rng.random((size, size)) < 0.4, rng.normal(0, 0.3, (size, size)), 1).astype(np.float16)
        row = {
            "depth": depth.astype(np.float32),
            "joints": rng.normal(0, 100, (joints, 3)).astype(np.float32),
            "cube": np.array([1.5, -2, 400, 120], np.float32),
            "frame": 100 + i,
            "subject": i % 3,
            "sequence": i % 5,
            "valid": True,
        }
        for m in kinds:
            row[f"maps/{m.kind}"] = rng.random(m.shape, np.float32)
            if m.scaled:
                row[f"maps/{m.kind}_scale"] = rng.uniform(50, 200, m.shape[-1]).astype(np.float32)
        rows.append(row)
    return rows


def write_store(path, rows, *, kinds=KINDS, shard=4, dtype="float16", joints=21, size=16, rejects=()):
    layout = make_layout(joints, size, kinds, dtype)
    records = []
    for start in range(0, len(rows), shard):
        with ShardWriter(path, layout, start // shard, shard) as w:
            for row in rows[start : start + shard]:
                w.append(row)
            records += w.close()
    finish_store(path, layout, len(rows), shard, ATTRIBUTES, rejects, records)
    return path
