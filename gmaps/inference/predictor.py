"""Joints by a trained network: of all frames of a store, or of one depth image."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.center import find_center
from gmaps.crop import crop_frame
from gmaps.errors import FrameError, StoreError
from gmaps.formats import png
from gmaps.frame import Crop, Cube, Frame
from gmaps.maps import Encoder, MapParams
from gmaps.maps.multiview import views
from gmaps.nets.handmap import HandMap, ModelParams
from gmaps.skeleton import Skeleton
from gmaps.store import Store
from gmaps.training.checkpoint import check_store, load_checkpoint, restore_model
from gmaps.training.device import Device, open_device
from gmaps.training.feed import in_order, make_dataset, make_loader
from gmaps.training.fit import predict_batches

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


def predict_store(
    store: Store, checkpoint: str | os.PathLike[str], *, batch: int = 128, workers: int = 0, device: str = "auto",
    precision: str = "float32",
) -> Predictions:  # fmt: skip
    """Joints of every row of a store.

    Parameters
    ----------
    store
        Crops of the kind that the checkpoint has learnt.
    checkpoint
        A file of `gmaps train`, or its run's folder, of which best.pt is taken.
    batch, workers, device, precision
        How to compute.

    Raises
    ------
    CheckpointError
        It is damaged, or has learnt another skeleton or other crops.
    StoreError
        No row holds a crop.
    """
    state = load_checkpoint(checkpoint)
    check_store(state, store, checkpoint)
    net = restore_model(state, checkpoint)
    data = make_dataset(store, net.params, guided=False, on_the_fly=net.params.reads not in store.maps)
    joints = np.full((len(store), len(store.skeleton), 3), np.nan, np.float32)
    errors = np.full(len(store), np.nan, np.float32)
    with open_device(device, precision) as opened:
        net = opened.place(net)
        steps = in_order(np.arange(len(data)), batch)
        for positions, (xyz, error) in zip(
            steps, predict_batches(net, make_loader(data, steps, workers), opened), strict=True
        ):
            joints[data.rows[positions]], errors[data.rows[positions]] = xyz, error
    known = np.isfinite(joints[:, 0, 0])
    if not known.any():
        raise StoreError(f"{store.path} holds no frame with a crop: nothing can be predicted")
    # A row before the first known one repeats that.
    nearest = np.maximum.accumulate(np.where(known, np.arange(len(store)), np.flatnonzero(known)[0]))
    return Predictions(joints[nearest], errors, np.flatnonzero(~known))


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


def read_depth(path: str | os.PathLike[str], unit: float = 1.0) -> Array:
    """A depth image: a 16-bit grey PNG, or an array in a .npy file.

    Parameters
    ----------
    path
        The file.
    unit
        mm that a value of 1 stands for.

    Returns
    -------
    (H, W) float32
        mm; 0 where nothing was seen.

    Raises
    ------
    FrameError
        No such file, or no depth image.
    """
    file = Path(path)
    try:
        if file.suffix == ".npy":
            image = np.load(file, allow_pickle=False)
        else:
            data = file.read_bytes()
            width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
            image = png.decode(data, str(file), "grey16", (width, height))
    except FileNotFoundError:
        raise FrameError(f"{file}: no such depth image") from None
    except (OSError, ValueError, EOFError) as error:
        raise FrameError(f"{file}: cannot be read as a depth image: {error}") from None
    if image.ndim != 2 or not np.issubdtype(image.dtype, np.number) or np.iscomplexobj(image):
        raise FrameError(f"{file}: a depth image is (H, W) numbers, this is {image.shape} {image.dtype}")
    depth = image.astype(np.float32) * np.float32(unit)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def predict_frame(
    depth: Array, camera: Camera, checkpoint: str | os.PathLike[str], *, name: str = "frame",
    depth_range: tuple[float, float] = (100.0, 1500.0), center: NDArray[np.floating] | None = None,
    device: str = "auto",
) -> Frame:  # fmt: skip
    """Joints of one depth image, found without any ground truth.

    Parameters
    ----------
    depth : (H, W)
        mm, 0 where nothing was seen; the hand is what is nearest in `depth_range`.
    camera
        Its intrinsics.
    checkpoint
        See `predict_store`.
    name
        What messages and the picture call it.
    depth_range
        mm.
    center : (3,), optional
        The hand's centre, mm, camera axes, where it is known.
    device
        "auto", "cpu" or "cuda".

    Returns
    -------
    Frame
        With the predicted joints, mm.

    Raises
    ------
    FrameError
        There is no hand in the range.
    """
    state = load_checkpoint(checkpoint)
    net = restore_model(state, checkpoint)
    blank = np.zeros((len(net.skeleton), 3), np.float32)
    blank[:, 2] = depth_range[1]
    frame, half = Frame(np.ascontiguousarray(depth, np.float32), camera, blank, name=name), state["crop"]["half_side"]
    cube = Cube(find_center(frame, "com" if center is None else center, half, depth_range), half)
    crop = crop_frame(frame, cube, size=state["crop"]["size"], projection=state["crop"]["projection"])
    with open_device(device, "float32") as opened, torch.inference_mode():
        unit = _run(opened.place(net), _read(crop, net.params, net.skeleton), opened)
    joints = unit * np.float32(cube.half_side) + np.asarray(cube.center, np.float32)
    return Frame(frame.depth, camera, joints, name=name)


def _read(crop: Crop, params: ModelParams, skeleton: Skeleton) -> NDArray[Any]:
    """What the network reads of a crop, channels last."""
    if params.reads == "depth":
        return crop.depth[..., None]
    if params.reads == "views":
        return views(crop, params.size)
    return Encoder(MapParams((params.reads,), params.size // 2), skeleton).crop(crop)[params.reads]


def _run(net: HandMap, seen: NDArray[Any], device: Device) -> Array:
    x = torch.from_numpy(np.moveaxis(seen, -1, 0)[None].copy()).to(device.torch)
    found: Array = net(device.lay_out(x)).joints[0].cpu().numpy()
    return found
