"""Joints by a trained network, loaded once: of crops, of depth images, of all frames of a store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.capture.depth_file import read_depth
from gmaps.center import find_center
from gmaps.crop import CropParams, crop_frame
from gmaps.errors import StoreError, UsageError
from gmaps.frame import Crop, Cube, Frame
from gmaps.nets.inputs import batch_of, entries, map_kinds
from gmaps.skeleton import Skeleton
from gmaps.store import Store
from gmaps.training.checkpoint import check_store, load_checkpoint, restore_model
from gmaps.training.device import find_device
from gmaps.training.feed import in_order, make_dataset, make_loader, to_device
from gmaps.training.judge import decode_sure, predict_batches

__all__ = ["Predictions", "Predictor", "predict_frame", "predict_store", "read_depth", "store_camera", "to_uvd"]

Array = NDArray[np.float32]


class Predictions(NamedTuple):
    """What a network says of a store.

    Parameters
    ----------
    joints : (N, J, 3) float32
        mm, camera axes, one a row of the store.
    errors : (N,) float32
        Mean distance to the store's joints, mm; NaN for rejected rows.
    rejected
        Rows without a crop; they repeat the row before them.
    """

    joints: Array
    errors: Array
    rejected: NDArray[np.int64]


class Predictor:
    """A trained network, loaded once, for as many predictions as are wanted.

    Parameters
    ----------
    checkpoint
        A file of `gmaps train`, or its run's folder, of which best.pt is taken.
    device
        "auto", "cpu" or "cuda".
    precision
        "float32", "bf16", "fp16" or "auto".
    network
        MODULE:NAME, where the checkpoint is of a network of one's own: see `restore_model`.

    Raises
    ------
    CheckpointError
        It is damaged, or its network is not known here.

    Examples
    --------
    >>> predictor = Predictor("runs/x")  # doctest: +SKIP
    >>> predictor.frame(depth, camera).joints  # doctest: +SKIP
    >>> predictor.store(gmaps.open_store("msra.zarr")).joints  # doctest: +SKIP
    """

    def __init__(
        self, checkpoint: str | os.PathLike[str], *, device: str = "auto", precision: str = "float32",
        network: str | None = None,
    ) -> None:  # fmt: skip
        self.checkpoint = os.fspath(checkpoint)
        self._state = load_checkpoint(checkpoint)
        self._device = find_device(device, precision)
        self.net = self._device.place(restore_model(self._state, checkpoint, network))
        for part in ("optimizer", "weights"):
            self._state.pop(part, None)

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return self._device.torch

    @property
    def skeleton(self) -> Skeleton:
        """Of the joints that it gives."""
        found: Skeleton = self.net.skeleton
        return found

    @property
    def crop_params(self) -> CropParams:
        """How the crops were made that it has learnt."""
        crop = self._state["crop"]
        return CropParams(int(crop["size"]), crop["projection"], self.half_side)

    @property
    def half_side(self) -> float:
        """Of the cubes that it has learnt, mm."""
        return float(self._state["crop"]["half_side"])

    @property
    def crop_settings(self) -> dict[str, Any]:
        """Of the crops that it has learnt: "size", pixels a side; "half_side" of the cube, mm; "projection"."""
        return {name: self._state["crop"][name] for name in ("size", "half_side", "projection")}

    def check(self, store: Store) -> None:
        """Refuse a store of other crops than the network has learnt.

        Raises
        ------
        CheckpointError
            The message says in what they differ.
        """
        check_store(self._state, store, self.checkpoint)

    def batch(self, crops: Sequence[Crop]) -> dict[str, Any]:
        """What the network reads of crops, all of one size, as tensors on the CPU; and "cube", (N, 4), mm."""
        return batch_of(crops, self.net.inputs, self.net.size, self._state["maps"], self.skeleton)

    def crops(self, crops: Iterable[Crop], *, batch: int = 128) -> Array:
        """Joints of crops, all of one size; their own joints are not looked at.

        Parameters
        ----------
        crops
            As `crop` makes them, or `gmaps.crop_frame`.
        batch
            How many at a time.

        Returns
        -------
        (N, J, 3) float32
            mm, camera axes.
        """
        return self.judge(crops, batch=batch)[0]

    def judge(self, crops: Iterable[Crop], *, batch: int = 128) -> tuple[Array, Array]:
        """As `crops`, and how sure the network is, by its own maps, that each holds a hand.

        Returns
        -------
        joints : (N, J, 3) float32
            mm, camera axes.
        confidence : (N,) float32
            From 0 to 1; NaN of a network that does not know: see `Network.confidence`.
        """
        todo, found, sure = list(crops), [], []
        with torch.inference_mode():
            for k in range(0, len(todo), batch):
                made = self.batch(todo[k : k + batch])
                joints, confidence = decode_sure(self.net, to_device(made, self._device.torch), self._device)
                found.append(joints.cpu().numpy())
                sure.append(confidence.cpu().numpy())
        if not found:
            return np.empty((0, len(self.skeleton), 3), np.float32), np.empty(0, np.float32)
        return np.concatenate(found), np.concatenate(sure)

    def meshes(self, crops: Iterable[Crop]) -> Array:
        """Hands' surfaces in crops, of a network that gives them.

        Returns
        -------
        (N, V, 3) float32
            Vertices, mm, camera axes; `triangles` are theirs.

        Raises
        ------
        UsageError
            The network gives joints alone.
        """
        found = []
        with torch.inference_mode():
            for crop in crops:
                made = batch_of([crop], self.net.inputs, self.net.size, self._state["maps"], self.skeleton)
                batch = to_device(made, self._device.torch)
                output = self.net(*entries(batch, self.net.inputs))
                found.append(self.net.mesh(output).float().cpu().numpy())
        return np.concatenate(found) if found else np.empty((0, 0, 3), np.float32)

    @property
    def triangles(self) -> NDArray[np.int64]:
        """(T, 3): of the meshes; none where the network gives joints alone."""
        known = self.net.triangles
        found: NDArray[np.int64] = np.empty((0, 3), np.int64) if known is None else known.cpu().numpy()
        return found

    def crop(
        self, frame: Frame, center: Sequence[float] | NDArray[np.floating] | None = None,
        depth_range: tuple[float, float] = (100.0, 1500.0),
    ) -> Crop:  # fmt: skip
        """What the network sees of a frame.

        Raises
        ------
        FrameError
            There is no hand in the range.
        """
        crop, half = self._state["crop"], self.half_side
        found = find_center(frame, "com" if center is None else np.asarray(center), half, check_range(depth_range))
        return crop_frame(frame, Cube(found, half), size=crop["size"], projection=crop["projection"])

    def frame(
        self, depth: Array, camera: Camera, *, name: str = "frame",
        depth_range: tuple[float, float] = (100.0, 1500.0), center: NDArray[np.floating] | None = None,
    ) -> Frame:  # fmt: skip
        """Joints of one depth image, found without any ground truth; see `predict_frame`."""
        return self.frames([depth], camera, names=[name], depth_range=depth_range, centers=[center])[0]

    def frames(
        self, depths: Iterable[Array], camera: Camera, *, names: Sequence[str] | None = None,
        depth_range: tuple[float, float] = (100.0, 1500.0),
        centers: Sequence[NDArray[np.floating] | None] | None = None, batch: int = 128,
    ) -> list[Frame]:  # fmt: skip
        """As `frame`, of many images of one camera."""
        near, far = check_range(depth_range)
        images = [np.ascontiguousarray(d, np.float32) for d in depths]
        blank = np.full((len(self.skeleton), 3), (0, 0, far), np.float32)
        called = names if names is not None else [f"frame {k}" for k in range(len(images))]
        frames = [Frame(d, camera, blank, name=n) for d, n in zip(images, called, strict=True)]
        known = centers if centers is not None else [None] * len(images)
        seen = [self.crop(f, c, (near, far)) for f, c in zip(frames, known, strict=True)]
        joints = self.crops(seen, batch=batch)
        return [Frame(f.depth, camera, j, name=f.name) for f, j in zip(frames, joints, strict=True)]

    def store(self, store: Store, *, batch: int = 128, workers: int = 0) -> Predictions:
        """Joints of every row of a store of crops such as the checkpoint has learnt; see `predict_store`."""
        self.check(store)
        lacking = [kind for kind in map_kinds(self.net.inputs) if kind not in store.maps]
        data = make_dataset(store, self.net, learn=False, on_the_fly=bool(lacking))
        joints = np.full((len(store), len(store.skeleton), 3), np.nan, np.float32)
        errors = np.full(len(store), np.nan, np.float32)
        steps = in_order(np.arange(len(data)), batch)
        found = predict_batches(self.net, make_loader(data, steps, workers), self._device)
        for positions, (xyz, error) in zip(steps, found, strict=True):
            joints[data.rows[positions]], errors[data.rows[positions]] = xyz, error
        known = np.isfinite(joints[:, 0, 0])
        if not known.any():
            raise StoreError(f"{store.path} holds no frame with a crop: nothing can be predicted")
        # A row before the first known one repeats that.
        nearest = np.maximum.accumulate(np.where(known, np.arange(len(store)), np.flatnonzero(known)[0]))
        return Predictions(joints[nearest], errors, np.flatnonzero(~known))


def check_range(depth_range: Sequence[float]) -> tuple[float, float]:
    """Two depths, mm, between which a hand can be.

    Raises
    ------
    UsageError
        They are not finite, not in order, or before the camera.
    """
    near, far = (float(v) for v in depth_range)
    if not (np.isfinite([near, far]).all() and 0 <= near < far):
        raise UsageError(f"a depth range is NEAR,FAR in mm, 0 <= NEAR < FAR, both finite: got {near:g},{far:g}")
    return near, far


def predict_store(
    store: Store, checkpoint: str | os.PathLike[str], *, batch: int = 128, workers: int = 0, device: str = "auto",
    precision: str = "float32", network: str | None = None,
) -> Predictions:  # fmt: skip
    """Joints of every row of a store.

    Parameters
    ----------
    store
        Crops of the kind that the checkpoint has learnt.
    checkpoint, device, precision, network
        See `Predictor`.
    batch, workers
        How to read.

    Raises
    ------
    CheckpointError
        It is damaged, or has learnt another skeleton or other crops.
    StoreError
        No row holds a crop.
    """
    return Predictor(checkpoint, device=device, precision=precision, network=network).store(
        store, batch=batch, workers=workers
    )


def store_camera(store: Store) -> Camera:
    """The camera of a store's data set.

    Raises
    ------
    StoreError
        It names none.
    """
    try:
        return Camera(**store.attributes["camera"])
    except (KeyError, TypeError):
        raise StoreError(f"{store.path} names no camera, so there are no pixels to predict: build it again") from None


def to_uvd(joints: Array, camera: Camera, skeleton: Skeleton | None = None) -> NDArray[np.float64]:
    """Predictions as the field writes them, for `gmaps.evaluation.files.write_table`.

    Parameters
    ----------
    joints : (N, J, 3)
        mm, camera axes.
    camera
        Of the images.
    skeleton
        Gives the joints that its field evaluates, which alone are kept; None keeps all.

    Returns
    -------
    (N, J or fewer, 3) float64
        u v d of each joint, px and mm.
    """
    chosen = list(skeleton.evaluation) if skeleton is not None and skeleton.evaluation else slice(None)
    return camera.project(joints[:, chosen])


def predict_frame(
    depth: Array, camera: Camera, checkpoint: str | os.PathLike[str], *, name: str = "frame",
    depth_range: tuple[float, float] = (100.0, 1500.0), center: NDArray[np.floating] | None = None,
    device: str = "auto", network: str | None = None,
) -> Frame:  # fmt: skip
    """Joints of one depth image, found without any ground truth.

    Parameters
    ----------
    depth : (H, W)
        mm, 0 where nothing was seen; the hand is what is nearest in `depth_range`.
    camera
        Its intrinsics.
    checkpoint, device, network
        See `Predictor`.
    name
        What messages and the picture call it.
    depth_range
        mm.
    center : (3,), optional
        The hand's centre, mm, camera axes, where it is known.

    Returns
    -------
    Frame
        With the predicted joints, mm.

    Raises
    ------
    FrameError
        There is no hand in the range.
    UsageError
        The range is none.
    """
    predictor = Predictor(checkpoint, device=device, network=network)
    return predictor.frame(depth, camera, name=name, depth_range=depth_range, center=center)
