"""Are labels and centre file in the convention that they are read in? Judged by some frames, before the first one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.center import find_center
from gmaps.conventions import find_reading
from gmaps.datasets.base import DataSet
from gmaps.datasets.children import scout
from gmaps.datasets.label_axes import judge_labels
from gmaps.errors import DatasetError

#: Frames that are looked at.
_FRAMES = 24
#: Centres that are no farther from the middle of a hand, mm, are centres.
_NEAR_MM = 30.0


def check_label_axes(dataset: DataSet) -> None:
    """Refuse labels that lie beside the hands, and in another convention would lie in them.

    Of data sets whose users say what their labels mean (`described`); others' readers know.

    Raises
    ------
    DatasetError
        Saying which.
    """
    verdict = judge_labels(dataset) if getattr(dataset, "described", False) else None
    if verdict is not None and verdict.reading is not None:
        share, better = (f"{100 * part:.0f} %" for part in (verdict.share, verdict.better))
        raise DatasetError(
            f"{dataset.info.name}: {share} of joints lie where depth shows something as far away; as "
            f"{verdict.reading.describe()}, {better} would: correct the labels, or what is said of their axes, unit "
            "and kind"
        )


def check_centers(dataset: DataSet, centers: NDArray[np.float32], path: str) -> None:
    """Refuse a centre file that another reading explains.

    Parameters
    ----------
    dataset
        Whose frames the centres are of.
    centers : (N, 3) float32
        mm, camera axes, as the file was read; NaN where it says invalid.
    path
        The file; "uvd" in its name decides how it was read.

    Raises
    ------
    DatasetError
        Saying which reading puts the centres where the hands are, and what to do.
    """
    read_as = "uvd" if "uvd" in path.rpartition("/")[2] else "xyz"
    known = np.flatnonzero(np.isfinite(centers).all(axis=1))
    if not len(known):
        return
    rows = known[np.unique(np.linspace(0, len(known) - 1, _FRAMES).astype(int))]
    kept, middles = _hands(dataset, rows)
    if not kept:
        return
    points = centers[kept].astype(np.float64)
    found = find_reading(points[:, None], middles[:, None], dataset.camera, read_as, _NEAR_MM)
    if found is not None:
        raise DatasetError(
            f"{path}: read as {read_as}, its centres are {found.before:.0f} mm from the hands; as "
            f"{found.describe()}, they would be {found.after:.0f} mm from them. {_cure(found.coordinates, read_as)}"
        )


def _hands(dataset: DataSet, rows: NDArray[np.int64]) -> tuple[list[int], NDArray[np.float64]]:
    """Rows whose hand is known, by joints or else by depth, and about where it is, mm."""
    info = dataset.info

    def middle(row: int) -> NDArray[np.float64]:
        frame = dataset.read(row)
        how = "joints" if frame.labelled else "com"
        return np.asarray(find_center(frame, how, info.half_side, info.depth_range), np.float64)

    found = {row: m for row, m in scout(middle, rows.tolist()) if isinstance(m, np.ndarray)}
    return list(found), np.array(list(found.values()), np.float64)


def _cure(coordinates: str, read_as: str) -> str:
    if coordinates == read_as:
        return "Write it so: mm, x right, y down, z forward; V2V's files of NYU have y up"
    if coordinates == "uvd":
        return "Files of u v d (px, px, mm) have uvd in their name: rename it"
    return "Files with uvd in their name hold u v d (px, px, mm): rename it, x y z in mm"
