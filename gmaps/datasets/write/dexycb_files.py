"""DexYCB's files, from gmaps' own convention back to theirs: for tests, and for other programs' data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.camera import Camera
from gmaps.datasets.dexycb.label_file import HAND, POSE
from gmaps.datasets.write.frame_files import write_grey_png


def write_frame(
    folder: str | os.PathLike[str],
    number: int,
    depth: NDArray[np.float32],
    joints: ArrayLike | None,
    hand: NDArray[np.bool_],
    pose: ArrayLike | None = None,
) -> None:
    """Write one camera's frame: its depth and its labels.

    Parameters
    ----------
    folder
        The camera's.
    number
        Of the moment.
    depth : (480, 640) float32
        mm, 0 = no data; rounded to whole mm.
    joints : (21, 3)
        mm, in the axes of this camera; None where no hand is in the picture.
    hand : (480, 640) bool
        Which pixels are hand.
    pose : (51,), optional
        MANO's; 0 unless given.
    """
    folder = Path(folder)
    write_grey_png(folder / f"aligned_depth_to_color_{number:06d}.png", depth)
    metres = np.full((1, 21, 3), -1.0) if joints is None else np.asarray(joints, np.float64)[None] / 1000
    np.savez_compressed(
        folder / f"labels_{number:06d}.npz",
        seg=np.where(hand, HAND, 0).astype(np.uint8),
        pose_y=np.zeros((1, 3, 4), np.float32),
        pose_m=np.zeros((1, POSE), np.float32) if pose is None else np.asarray(pose, np.float32).reshape(1, POSE),
        joint_3d=metres.astype(np.float32),
        joint_2d=np.full((1, 21, 2), -1, np.float32),
    )


def write_meta(folder: str | os.PathLike[str], frames: int, side: str, serials: Sequence[str], mano: str) -> None:
    """Write a recording's `meta.yml`.

    Parameters
    ----------
    folder
        The recording's.
    frames
        Of each camera.
    side
        "right" or "left".
    serials
        Of the cameras.
    mano
        Name of the hand's calibration.
    """
    lines = ["extrinsics: '20200702_151821'", "mano_calib:", f"- {mano}", "mano_sides:", f"- {side}"]
    lines += [f"num_frames: {frames}", "serials:", *(f"- '{s}'" for s in serials), "ycb_grasp_ind: 0", "ycb_ids:"]
    Path(folder, "meta.yml").write_text("\n".join([*lines, "- 1", "- 2"]) + "\n")


def write_calibration(
    root: str | os.PathLike[str], cameras: dict[str, Camera], betas: dict[str, Sequence[float]]
) -> None:
    """Write `calibration/`: intrinsics of each serial number, and the shape of each hand.

    Parameters
    ----------
    root
        The data set.
    cameras
        Serial number -> its colour camera.
    betas
        Calibration -> ten numbers.
    """
    folder = Path(root, "calibration", "intrinsics")
    folder.mkdir(parents=True, exist_ok=True)
    for serial, c in cameras.items():
        numbers = f"  fx: {c.fx!r}\n  fy: {c.fy!r}\n  ppx: {c.cx!r}\n  ppy: {c.cy!r}\n"
        other = "  fx: 380.0\n  fy: 380.0\n  ppx: 320.0\n  ppy: 240.0\n"
        (folder / f"{serial}_{c.width}x{c.height}.yml").write_text(f"color:\n{numbers}depth:\n{other}")
    for mano, shape in betas.items():
        place = Path(root, "calibration", f"mano_{mano}")
        place.mkdir(parents=True, exist_ok=True)
        # As the toolkit's program wrote it, tag included.
        values = "".join(f"- {float(v)!r}\n" for v in shape)
        (place / "mano.yml").write_text(f"betas: !!python/tuple\n{values}")
