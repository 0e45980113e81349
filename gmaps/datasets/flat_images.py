"""Colour images with joints in the plane and no depth: what `panoptic`, `onehand10k` and `nsrm` share.

Such a frame's joints are u, v in pixels, and 1; its cube is a square around the hand, in pixels, and its crop the
image in that square. Maps that know joints in the plane can be made of it, and no others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, Index, Split, Window
from gmaps.datasets.reader import Reader, digest, read_bytes
from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.formats.picture import parse_picture, picture_size
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton

SKELETON = get_skeleton("openpose21")
#: A crop is a square of so many times the longer side of the box around the hand (NSRM, WACV 2020).
SCALE = 2.2
#: Pixels and mm are one: u v 1 is x y z.
PLANE = Camera(1.0, 1.0, 0.0, 0.0, 1, 1)
_LARGEST_IMAGE, _LARGEST_JSON = 2**26, 2**29
_NO_DEPTH = np.zeros((0, 0), np.float32)


class FlatLabels(NamedTuple):
    """Hands of a file, N of them.

    Parameters
    ----------
    names
        Of their images, below the folder of images.
    joints : (N, 21, 2) float32
        u, v; NaN where nobody marked a joint.
    number : (N,) int64
        Of the annotation, which no other has.
    """

    names: tuple[str, ...]
    joints: NDArray[np.float32]
    number: NDArray[np.int64]


def parse_coco(data: bytes, name: str) -> FlatLabels:
    """Hands of a COCO-style JSON: images, and annotations with 21 x (u, v, visible).

    Parameters
    ----------
    data, name
        The file's bytes, and what messages call it.

    Raises
    ------
    DatasetError
        Something else.
    """
    said = _parse(data, name)
    images, annotations = (said.get(k) if isinstance(said, dict) else None for k in ("images", "annotations"))
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise DatasetError(f"{name}: has no images and annotations, as COCO's files have; restore it")
    files: dict[Any, str] = {}
    for image in images:
        if (
            not isinstance(image, dict)
            or not _is_name(image.get("file_name"))
            or not isinstance(image.get("id"), int)
        ):
            raise DatasetError(f"{name}: an image without id and file_name; restore it")
        files[image["id"]] = image["file_name"]
    names, values, numbers = [], [], []
    for k, a in enumerate(annotations):
        image = a.get("image_id") if isinstance(a, dict) else None
        if not isinstance(image, int) or image not in files:
            raise DatasetError(f"{name}: annotation {k} is of no image that the file names; restore it")
        names.append(files[image])
        values.append(_numbers(a.get("keypoints"), (21, 3), f"{name}: annotation {k}: keypoints"))
        number = a.get("id", k)
        numbers.append(number if isinstance(number, int) and 0 <= number < 2**62 else k)
    points = np.array(values, np.float64).reshape(-1, 21, 3)
    joints = np.where(points[..., 2:] > 0, points[..., :2], np.nan)
    return _labels(names, joints, numbers, name)


def parse_named(data: bytes, name: str) -> FlatLabels:
    """Hands of NSRM's `labels.json`: image -> 21 x (u, v).

    Raises
    ------
    DatasetError
        Something else.
    """
    said = _parse(data, name)
    if not isinstance(said, dict) or not all(_is_name(k) for k in said):
        raise DatasetError(f"{name}: no images by name; restore it")
    names = sorted(said)
    values = [_numbers(said[k], (21, 2), f"{name}: {k}") for k in names]
    return _labels(names, np.array(values, np.float64).reshape(-1, 21, 2), list(range(len(names))), name)


def parse_partitions(data: bytes, name: str) -> dict[str, list[str]]:
    """NSRM's `partitions.json`: train, valid and test -> images.

    Raises
    ------
    DatasetError
        Something else.
    """
    said = _parse(data, name)
    parts = {k: said.get(k) for k in ("train", "valid", "test")} if isinstance(said, dict) else {}
    if not parts or not all(isinstance(v, list) and all(isinstance(n, str) for n in v) for v in parts.values()):
        raise DatasetError(f"{name}: has no lists train, valid and test; restore it")
    return parts  # type: ignore[return-value]


def _parse(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{name}: no JSON ({str(error)[:100]}); restore it from the archive") from error


def _is_name(name: Any) -> bool:
    """Whether a file's name leads nowhere else."""
    return (
        isinstance(name, str) and 0 < len(name) < 200 and name.isprintable() and ".." not in name and name[0] != "/"
    )


def _numbers(value: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    try:
        return np.array(value, np.float64).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        raise DatasetError(f"{what} are not {shape[0]} x {shape[1]} numbers; restore it") from None


def _labels(names: list[str], joints: NDArray[np.float64], numbers: list[int], name: str) -> FlatLabels:
    if not names:
        raise DatasetError(f"{name}: names no hand; restore it")
    if len(set(numbers)) != len(numbers):
        numbers = list(range(len(numbers)))
    with np.errstate(over="ignore"):
        return FlatLabels(tuple(names), joints.astype(np.float32), np.array(numbers, np.int64))


class FlatImages(Reader):
    """Base of the readers: a subclass's module says its `INFO` and how labels are read.

    Parameters
    ----------
    root, split
        As of any reader.
    info
        The data set's.
    scale
        Side of a crop, in units of the longer side of the box around the hand; 0 for the whole image.
    read_labels
        (root, split) -> labels, and the folder of the images.
    """

    skeleton = SKELETON
    camera = PLANE
    #: No depth: see the module.
    flat = True
    colored = True

    def __init__(
        self, root: Path, split: Split, info: DatasetInfo, scale: float,
        read_labels: Callable[[Path, Split], tuple[FlatLabels, str]],
    ) -> None:  # fmt: skip
        super().__init__(root, split, {} if scale == SCALE else {"scale": scale})
        self.info, self.path, self.scale, self.read_labels = info, root.absolute(), scale, read_labels

    @cached_property
    def _labels(self) -> tuple[FlatLabels, str]:
        return self.read_labels(self.path, self.split)

    def _make_index(self) -> Index:
        number = self._labels[0].number
        zeros = np.zeros(len(number), np.int16)
        return Index(number, zeros, zeros, ("all",), ("all",))

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        i = self.position(i)
        labels, folder = self._labels
        name = f"{folder}/{labels.names[i]}"
        uv = labels.joints[i]
        if not np.isfinite(uv).all():
            missing = int((~np.isfinite(uv).all(axis=1)).sum())
            raise FrameError(f"{name}: {missing} of its 21 joints are not marked")
        if np.abs(uv).max() > 1e5:
            raise FrameError(f"{name}: a joint is {np.abs(uv).max():g} pixels away, which no picture shows")
        image = parse_picture(read_bytes(f"{self.path}/{name}", name, _LARGEST_IMAGE), name)
        joints = np.concatenate([uv, np.ones((21, 1), np.float32)], axis=1)
        return Frame(
            _NO_DEPTH, PLANE, joints, int(labels.number[i]), name=name, box=self._square(uv, image), color=image
        )

    def frame_files(self, i: int) -> tuple[str, ...]:
        """See `Reader.frame_files`."""
        labels, folder = self._labels
        return (f"{self.path}/{folder}/{labels.names[self.position(i)]}",)

    def _square(self, uv: NDArray[np.float32], image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
        low, high = uv.min(axis=0).astype(float), uv.max(axis=0).astype(float)
        side = self.scale * float((high - low).max())
        middle = (low + high) / 2
        if not self.scale:
            side, middle = float(max(image.shape[:2])), np.array([image.shape[1] - 1, image.shape[0] - 1]) / 2
        if side <= 0:
            raise FrameError("all its joints are one point, so there is no box around the hand")
        return float(middle[0] - side / 2), float(middle[1] - side / 2), side, side

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        labels, _ = self._labels
        said = np.frombuffer("\n".join(labels.names).encode(), np.uint8)
        return {
            "dataset": self.info.name, "split": self.split, "frames": len(self), **self.options,
            "labels": digest(labels.joints, labels.number, said),
        }  # fmt: skip


def read_json(root: Path, name: str) -> bytes:
    """A label file.

    Raises
    ------
    DatasetError
        It cannot be read.
    """
    try:
        return read_bytes(root / name, name, _LARGEST_JSON)
    except FrameError as error:
        raise DatasetError(f"{root}: {error}") from error


def read_coco(info: DatasetInfo, root: Path, split: Split) -> tuple[FlatLabels, str]:
    """A split's labels in `annotations/NAME_SPLIT.json`, COCO's form, and the folder that its images' names are in.

    Raises
    ------
    DatasetError
        There is no such file, or it holds something else.
    """
    name = f"annotations/{info.name}_{split}.json"
    if not (root / name).is_file():
        raise DatasetError(f"{root}: no {name} here; the tree must be {info.tree}")
    return parse_coco(read_json(root, name), name), "imgs"


def parse_scale(value: Any, name: str) -> float:
    """The option `scale`.

    Raises
    ------
    UsageError
        No number from 1 to 10, or 0.
    """
    try:
        scale = float(value)
    except (TypeError, ValueError):
        scale = math.nan
    if not (1 <= scale <= 10 or scale == 0):
        raise UsageError(f"scale of {name} is from 1 to 10, in units of the hand's box, or 0: not {value!r}")
    return scale


def check_images(
    root: Path, read: Callable[[Path, Split], tuple[FlatLabels, str]], splits: tuple[Split, ...]
) -> list[Check]:
    """Every split's labels, and every image's header."""
    checks = []
    for split in splits:
        try:
            labels, folder = read(root, split)
        except DatasetError as error:
            checks.append(Check(split, "unreadable", None, str(error)))
            continue
        bad = []
        for name in sorted(set(labels.names)):
            try:
                picture_size(read_bytes(f"{root}/{folder}/{name}", name, _LARGEST_IMAGE), name)
            except FrameError as error:
                bad.append(str(error))
        problem = f"{len(bad)} images cannot be read, first: {bad[0]}" if bad else ""
        checks.append(Check(split, len(labels.names), None, problem))
    return checks
