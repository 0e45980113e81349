"""What NSRM's program reads (Chen et al., WACV 2020): square crops of colour images, and `labels.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gmaps.datasets.base import Check, DatasetInfo, Split
from gmaps.datasets.flat_images import (
    SKELETON,
    FlatImages,
    FlatLabels,
    check_images,
    parse_named,
    parse_partitions,
    parse_scale,
    read_json,
)
from gmaps.errors import DatasetError

_PARTS = {"train": "train", "val": "valid", "test": "test"}
_SPLITS: tuple[Split, ...] = ("train", "val", "test")

INFO = DatasetInfo(
    name="nsrm",
    title="Crops with 2D joints, as NSRM's program reads them",
    homepage="https://github.com/HowieMa/NSRMhand",
    terms="Those of the images' own data set.",
    tree="ROOT/{labels.json, partitions.json, imgs/00000000.jpg, ...}",
    citation="Y. Chen, H. Ma, D. Kong, X. Yan, J. Wu, W. Fan, X. Xie. Nonparametric Structure Regularization Machine "
    "for 2D Hand Pose Estimation. WACV 2020.",
    skeleton=SKELETON.name,
    splits=("train", "val", "test", "all"),
    half_side=1.0,
    notes="No depth: take --maps of heatmap and limbs. Images are crops of 2.2 times the hand's box already.",
    options={"scale": "side of a crop, in units of the hand's box (default 0: the whole image, as it was cut)"},
)


def _read(root: Path, split: Split) -> tuple[FlatLabels, str]:
    labels = parse_named(read_json(root, "labels.json"), "labels.json")
    if split == "all":
        return labels, "imgs"
    parts = parse_partitions(read_json(root, "partitions.json"), "partitions.json")
    at = {name: k for k, name in enumerate(labels.names)}
    wanted = parts[_PARTS[split]]
    unknown = [name for name in wanted if name not in at]
    if unknown or not wanted:
        what = f"{unknown[0]!r}, which labels.json has not" if unknown else "nothing"
        raise DatasetError(f"{root}: partitions.json: {_PARTS[split]} has {what}; both must be of one release")
    rows = np.array([at[name] for name in wanted])
    return FlatLabels(tuple(wanted), labels.joints[rows], labels.number[rows]), "imgs"


def load(root: Path, *, split: Split = "all", scale: Any = 0) -> FlatImages:
    """A reader; called by `gmaps.load_dataset`."""
    return FlatImages(Path(root), split, INFO, parse_scale(scale, INFO.name), _read)


def check(root: Path) -> list[Check]:
    """Labels and partitions, and every image's header."""
    return check_images(Path(root), _read, _SPLITS)
