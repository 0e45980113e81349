"""CMU Panoptic's hands in single images, Simon et al. (CVPR 2017), in the COCO-style JSON that most code reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gmaps.datasets.base import Check, DatasetInfo, Split
from gmaps.datasets.flat_images import SCALE, SKELETON, FlatImages, check_images, parse_scale, read_coco

_SPLITS: tuple[Split, ...] = ("train", "test")

INFO = DatasetInfo(
    name="panoptic",
    title="CMU Panoptic hands in single images: colour and 2D joints",
    homepage="http://domedb.perception.cs.cmu.edu/handdb.html",
    terms="Non-commercial research; see the homepage.",
    tree="ROOT/annotations/{panoptic_train.json, panoptic_test.json} and ROOT/imgs/...; "
    "one of the two may be missing",
    citation="T. Simon, H. Joo, I. Matthews, Y. Sheikh. Hand Keypoint Detection in Single Images using Multiview "
    "Bootstrapping. CVPR 2017.",
    skeleton=SKELETON.name,
    splits=("train", "test"),
    half_side=1.0,
    notes="No depth: take --maps of heatmap and limbs. Hands with a joint that nobody marked are rejected.",
    options={"scale": f"side of a crop, in units of the hand's box (default {SCALE:g}); 0: the whole image"},
)


_read = partial(read_coco, INFO)


def load(root: Path, *, split: Split = "train", scale: Any = SCALE) -> FlatImages:
    """A reader; called by `gmaps.load_dataset`."""
    return FlatImages(Path(root), split, INFO, parse_scale(scale, INFO.name), _read)


def check(root: Path) -> list[Check]:
    """Labels of both halves, and every image's header."""
    return check_images(Path(root), _read, _SPLITS)
