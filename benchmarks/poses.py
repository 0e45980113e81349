"""The hand fitted to joints of real poses: how near, how fast, and their angles beside the invented ones.

`GMAPS_POSES=FILE python -m benchmarks poses`, where FILE is an .npz with `joints` (N, 21, 3); `GMAPS_POSES_AS` says
what they are, by default "mano21,m,left". Nothing is written: such files are mostly not ours to show.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.pose_file import read_joints, right_hands
from gmaps.synth.fit_many import fit_hands
from gmaps.synth.hand import ANGLES, LIMITS
from gmaps.synth.poses import FAMILIES, random_shape
from gmaps.synth.poses import random_pose as invented

_SHADES = " .:-=+*#%@"
_BINS = 24


def _bar(values: NDArray[np.float64], low: float, high: float) -> str:
    """A histogram in one line, from one limit to the other."""
    counts, _ = np.histogram(values, _BINS, (low, high))
    shade = np.ceil(counts / max(counts.max(), 1) * (len(_SHADES) - 1)).astype(int)
    return "".join(_SHADES[k] for k in shade)


def run() -> None:
    """Fit all, print."""
    path = os.environ.get("GMAPS_POSES")
    if not path:
        sys.exit("set GMAPS_POSES to an .npz of joints (N, 21, 3), and GMAPS_POSES_AS to mano21,m,left or the like")
    skeleton, unit, side = os.environ.get("GMAPS_POSES_AS", "mano21,m,left").split(",")
    joints = right_hands(read_joints(path), skeleton=skeleton, unit=unit, side=side)  # type: ignore[arg-type]
    fit_hands(joints[:2])  # compiled
    begun, used = time.perf_counter(), time.process_time()
    found = fit_hands(joints)
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    error = found.error_mm
    print(
        f"{len(joints):,} poses in {seconds:.1f} s ({used:.1f} s of processors): "
        f"mean joint error {error.mean():.2f} mm, "
        f"median {np.median(error):.2f}, 90 % within {np.percentile(error, 90):.2f}, worst {error.max():.2f}"
    )
    rng = np.random.default_rng(0)
    ours = np.array([invented(FAMILIES[k % len(FAMILIES)], random_shape(rng), rng)[0] for k in range(3400)])
    print(f"\n{'angle':>16} {'limits':>9}  {'real':^{_BINS}}   {'invented':^{_BINS}}   real within invented 1-99 %")
    for k, name in enumerate(ANGLES):
        if name.startswith("wrist"):
            continue  # joints do not show it
        low, high = LIMITS[k]
        inner = np.percentile(ours[:, k], (1, 99))
        share = np.mean((found.angles[:, k] >= inner[0]) & (found.angles[:, k] <= inner[1]))
        real, own = (_bar(a[:, k], low, high) for a in (found.angles, ours))
        print(f"{name:>16} {low:4.0f} {high:4.0f}  {real} | {own} | {share:.0%}")
