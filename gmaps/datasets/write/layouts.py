"""The trees that `gmaps synth` writes: which hand goes into which file, and the files that describe the others.

A layout says where frame n of N lies, who is seen and in what pose; it writes that frame's files, and, when all
frames are there, the labels. What it writes depends on seed and numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.msra import GESTURES
from gmaps.datasets.msra import SUBJECTS as MSRA_SUBJECTS
from gmaps.datasets.msra.bin_files import CAMERA as MSRA_CAMERA
from gmaps.datasets.nyu import CAMERA as NYU_CAMERA
from gmaps.datasets.nyu import EXPECTED as NYU_FRAMES
from gmaps.datasets.nyu import SECOND_PERSON
from gmaps.datasets.write import frame_files
from gmaps.errors import UsageError, unknown_name
from gmaps.synth.nyu_joints import nyu_joints
from gmaps.synth.poses import FAMILIES
from gmaps.synth.skin import PARTS, hand_mesh
from gmaps.synth.stage import Stage

#: The families of poses behind MSRA's gestures, in their order.
_GESTURE_POSES = (
    "point", "two", "three", "four", "open", "relaxed", "claw", "fist", "hook", "little", "pinch", "L", "grasp",
    "free", "thumb", "flat", "Y",
)  # fmt: skip
#: The camera of `folder` and `synhand`: the usual numbers of a short-range depth camera of 640 x 480.
CAMERA = Camera(475.0, 475.0, 320.0, 240.0, 640, 480)
PEOPLE = 10


class Item(NamedTuple):
    """Where a frame goes: a folder below the root, its number there, and who and what it shows.

    Of a frame of a sequence also the number of the sequence's first frame in the folder.
    """

    folder: str
    number: int
    subject: int
    family: str
    first: int = 0


class Made(NamedTuple):
    """One frame.

    Parameters
    ----------
    depth : (H, W) float32
        As the sensor saw it, mm, 0 = no data.
    parts : (H, W) uint8
        As a perfect camera sees it: 0 nothing, else 1 + the place in `gmaps.synth.skin.PARTS`.
    joints : (21, 3) float32
        mm, camera axes.
    vertices : (V, 3) float64
        mm, camera axes.
    """

    depth: NDArray[np.float32]
    parts: NDArray[np.uint8]
    joints: NDArray[np.float32]
    vertices: NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """One kind of tree.

    Parameters
    ----------
    stage
        Camera and distances.
    sensor
        Name of the sensor that the real set's camera resembles.
    place
        (n, N) -> the item of frame n of N; consecutive frames fill one folder after the other.
    write
        Writes one frame: (folder's path, item, the frame).
    finish
        Writes all the rest: (root, the items in order, their joints (N, 21, 3) float32).
    folders
        Below each item's folder, to be made before.
    """

    stage: Stage
    sensor: str
    place: Callable[[int, int], Item]
    write: Callable[[Path, Item, Made], None]
    finish: Callable[[Path, list[Item], NDArray[np.float32]], None]
    folders: tuple[str, ...] = ()


def _share(n: int, total: int, parts: int) -> tuple[int, int]:
    """The part that holds n when `total` things go to `parts` parts as evenly as can be, and n's number in it."""
    if total < parts:  # a small tree has all people, too
        return n * parts // total, 0
    small, larger = divmod(total, parts)
    edge = larger * (small + 1)
    if n < edge:
        return n // (small + 1), n % (small + 1)
    return larger + (n - edge) // small, (n - edge) % small


def _by_folder(items: list[Item], joints: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    start = 0
    for folder, group in groupby(items, key=lambda item: item.folder):
        stop = start + sum(1 for _ in group)
        yield folder, joints[start:stop]
        start = stop


# --- MSRA ------------------------------------------------------------------------------------------------------


def _msra_place(n: int, total: int) -> Item:
    part, number = _share(n, total, len(MSRA_SUBJECTS) * len(GESTURES))
    subject, gesture = divmod(part, len(GESTURES))
    return Item(f"{MSRA_SUBJECTS[subject]}/{GESTURES[gesture]}", number, subject, _GESTURE_POSES[gesture])


def _msra_write(folder: Path, item: Item, made: Made) -> None:
    frame_files.write_msra_bin(folder / f"{item.number:06d}_depth.bin", made.depth)


def _msra_finish(root: Path, items: list[Item], joints: NDArray[np.float32]) -> None:
    for folder, rows in _by_folder(items, joints):
        frame_files.write_joint_txt(root / folder / "joint.txt", rows)


# --- NYU -------------------------------------------------------------------------------------------------------


def _nyu_place(n: int, total: int) -> Item:
    test = round(total * NYU_FRAMES["test"] / sum(NYU_FRAMES.values()))
    train = total - max(test, 1 if total > 1 else 0)
    if n < train:
        return Item("train", n, 0, FAMILIES[n % len(FAMILIES)])
    return Item("test", n - train, int(n - train >= SECOND_PERSON), FAMILIES[n % len(FAMILIES)])


def _nyu_write(folder: Path, item: Item, made: Made) -> None:
    frame_files.write_nyu_png(folder / f"depth_1_{item.number + 1:07d}.png", made.depth)


def _nyu_finish(root: Path, items: list[Item], joints: NDArray[np.float32]) -> None:
    for folder, rows in _by_folder(items, joints):
        frame_files.write_joint_data(root / folder / "joint_data.mat", nyu_joints(rows))


# --- folder and synhand ----------------------------------------------------------------------------------------

_TOML_CAMERA = "\n".join(
    f"{k} = {v}" for k, v in CAMERA.to_dict().items()
)  # fx, fy, cx, cy, width, height, as the file wants them

_FOLDER_TOML = f"""\
title = "Synthetic hands, written by gmaps synth"
terms = "None: no person and no camera was involved."
frames = @
depth_range = [200, 900]

[camera]
{_TOML_CAMERA}

[depth]
files = "{{subject}}/{{sequence}}/{{frame:[0-9]{{6}}}}.png"
unit = 0.1

[joints]
files = "{{subject}}/{{sequence}}/joints.csv"
axes = ["right", "down", "forward"]

[skeleton]
name = "msra21"

[splits]
test = {{ subject = ["S{PEOPLE - 1}"] }}
"""

_SYNHAND_TOML = f"""\
title = "Synthetic hands with parts and meshes, written by gmaps synth"
terms = "None: no person and no camera was involved."
frames = @
depth_range = [200, 900]

[camera]
{_TOML_CAMERA}

[depth]
files = "{{split}}/depth/{{frame:[0-9]{{8}}}}.png"

[joints]
files = "{{split}}/joints/{{frame}}.npy"
axes = ["right", "down", "forward"]

[skeleton]
name = "msra21"

[segmentation]
files = "{{split}}/segmentation/{{frame}}.png"
labels = ["nothing", {", ".join(f'"{p}"' for p in PARTS)}]

[mesh]
files = "{{split}}/vertices/{{frame}}.npy"
axes = ["right", "down", "forward"]
faces = "faces.npy"
"""


def _folder_place(n: int, total: int) -> Item:
    part, number = _share(n, total, PEOPLE * len(FAMILIES))
    subject, family = divmod(part, len(FAMILIES))
    return Item(f"S{subject}/{FAMILIES[family]}", number, subject, FAMILIES[family])


def _folder_write(folder: Path, item: Item, made: Made) -> None:
    frame_files.write_grey_png(folder / f"{item.number:06d}.png", made.depth * np.float32(10))


def _folder_finish(root: Path, items: list[Item], joints: NDArray[np.float32]) -> None:
    for folder, rows in _by_folder(items, joints):
        lines = [",".join(f"{v:.9g}" for v in row) for row in rows.reshape(len(rows), -1).astype(np.float64)]
        (root / folder / "joints.csv").write_text("\n".join(lines) + "\n")
    (root / "dataset.toml").write_text(_FOLDER_TOML.replace("@", str(len(items))))


def _synhand_place(n: int, total: int) -> Item:
    test = total // PEOPLE if total > 1 else 0
    test = max(test, min(1, total - 1))
    train = total - test
    if n < train:
        return Item("train", n, n % (PEOPLE - 1), FAMILIES[n // (PEOPLE - 1) % len(FAMILIES)])
    return Item("test", n - train, PEOPLE - 1, FAMILIES[(n - train) % len(FAMILIES)])


def _synhand_write(folder: Path, item: Item, made: Made) -> None:
    name = f"{item.number:08d}"
    frame_files.write_grey_png(folder / "depth" / f"{name}.png", made.depth)
    frame_files.write_grey_png(folder / "segmentation" / f"{name}.png", made.parts)
    np.save(folder / "joints" / f"{name}.npy", made.joints.astype("<f4"))
    np.save(folder / "vertices" / f"{name}.npy", made.vertices.astype("<f4"))


def _synhand_finish(root: Path, items: list[Item], joints: NDArray[np.float32]) -> None:
    np.save(root / "faces.npy", hand_mesh().triangles.astype("<i4"))
    (root / "dataset.toml").write_text(_SYNHAND_TOML.replace("@", str(len(items))))


LAYOUTS: dict[str, Layout] = {
    "msra": Layout(Stage(MSRA_CAMERA, (250.0, 550.0)), "tof", _msra_place, _msra_write, _msra_finish),
    "nyu": Layout(Stage(NYU_CAMERA, (600.0, 1000.0), 450.0), "structured", _nyu_place, _nyu_write, _nyu_finish),
    "folder": Layout(Stage(CAMERA, (300.0, 650.0)), "structured", _folder_place, _folder_write, _folder_finish),
    "synhand": Layout(
        Stage(CAMERA, (300.0, 650.0)), "none", _synhand_place, _synhand_write, _synhand_finish,
        ("depth", "segmentation", "joints", "vertices"),
    ),
}  # fmt: skip


def get_layout(name: str) -> Layout:
    """A layout by name.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    if name not in LAYOUTS:
        raise unknown_name("layout", name, LAYOUTS)
    return LAYOUTS[name]


def make_items(name: str, frames: int) -> list[Item]:
    """Where all frames of a tree go, in order.

    Raises
    ------
    UsageError
        Fewer than one frame.
    """
    if frames < 1:
        raise UsageError(f"a tree holds at least one frame, not {frames}")
    place = get_layout(name).place
    return [place(n, frames) for n in range(frames)]


def make_sequences(items: list[Item]) -> list[Item]:
    """The same frames as sequences: one a person and folder, whose people follow one after the other."""
    made = []
    for _, group in groupby(items, key=lambda item: item.folder):
        frames = list(group)
        people = sorted(item.subject for item in frames)
        for item, person in zip(frames, people, strict=True):
            made.append(item._replace(subject=person, first=frames[people.index(person)].number))
    return made
