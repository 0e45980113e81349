"""How true the maps of `geodesic` are to the crop's own pixels: their cells are coarse, the ways must not be.

The truth shares nothing with the map: it is the exact polyhedral geodesic (Mitchell, Mount and Papadimitriou's, by
pygeodesic) on the triangles between the centres of the crop's own S x S hand pixels, laid flat, from the joint's
sub-pixel place. A cell stands for the pixels of its largest piece, by SciPy's labels. Three figures: the value
against the mean over those pixels, how far it lies outside of their range, and the share of (joint, cell) whose way
is cut: by more than 30 % and by more than 20 mm.

`python -m benchmarks.on_pixels [HANDS] [NYU.png]`: so many hands of mixed poses and as many open ones, of fresh
random seeds; with the first depth image of NYU's test set (and its labels, `joint_uvd_test_kinect1.npz`, beside it),
the figures of its 14 joints, and the map of its little finger's tip as a picture.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

import gmaps
from benchmarks.fidelity import Hand
from benchmarks.timing import RESULTS, write
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.datasets import nyu
from gmaps.datasets.write.frame_files import write_joint_data

SIZES = (16, 32, 48, 64, 128)
#: Joints of each hand that are measured: the exact algorithm is slow on all pixels.
JOINTS = 5
#: A way is cut where it is shorter by more than this share and this many mm.
CUT, CUT_MM = 0.3, 20.0
#: Families of poses whose fingers are side by side, and apart.
OPEN = ("open", "flat", "relaxed")


def pieces(mask: NDArray[np.bool_], size: int) -> list[tuple[int, NDArray[np.int64]]]:
    """Raveled cell, and the raveled pixels that it stands for: those of its largest piece."""
    side = len(mask)
    owner = ((np.arange(side) + 0.5) * size / side).astype(int)
    found = []
    for r in np.unique(owner):
        for c in np.unique(owner):
            rows, columns = np.flatnonzero(owner == r), np.flatnonzero(owner == c)
            labels, count = ndimage.label(mask[np.ix_(rows, columns)])
            if count:
                largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
                inside = np.argwhere(labels == largest)
                found.append((int(r * size + c), rows[inside[:, 0]] * side + columns[inside[:, 1]]))
    return found


def flat_hand(crop: gmaps.Crop) -> Hand:
    """The crop's own pixels as a mesh; nobody asks for the closed hand here."""
    return Hand(crop, crop.size, np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32))


def measure(crop: gmaps.Crop, joints: list[int], sizes: tuple[int, ...]) -> dict[int, NDArray[np.float64]]:
    """Map size -> sums of: errors, distances outside the range, cut ways, cells."""
    hand = flat_hand(crop)
    truths = np.full((len(joints), crop.size**2), np.inf)
    for k, j in enumerate(joints):
        truths[k, hand.cells] = hand.exact(hand.all_joints[j], True)
    found = {}
    for size in sizes:
        maps = gmaps.encode(crop, ("geodesic",), size=size)
        sums = np.zeros(4)
        for k, j in enumerate(joints):
            mm = (1 - maps["geodesic"][..., j].ravel()) * maps.scale["geodesic"][j]
            for cell, pixels in pieces(crop.mask, size):
                true = truths[k, pixels]
                true = true[np.isfinite(true)]
                if not len(true) or maps["geodesic"][..., j].ravel()[cell] == 0:
                    continue
                value, mean = mm[cell], true.mean()
                outside = max(true.min() - value, value - true.max(), 0.0)
                cut = value < (1 - CUT) * mean and mean - value > CUT_MM
                sums += abs(value - mean), outside, cut, 1
        found[size] = sums
    return found


def crops_of(hands: int, seed: int, families: tuple[str, ...] | None) -> list[gmaps.Crop]:
    """Crops of synthetic hands of all families of poses, or of some."""
    data = gmaps.load_dataset("synthetic", frames=hands * (1 if families is None else 8), seed=seed)
    index = data.index()
    chosen = [i for i in range(len(data)) if families is None or index.sequences[index.sequence[i]] in families]
    return [crop_dataset_frame(data.read(i), data.info.depth_range, CropParams()) for i in chosen[:hands]]


def nyu_crop(image: Path) -> tuple[gmaps.Crop, int]:
    """The first frame of NYU's test set, its labels beside it, and the number of its little finger's tip."""
    with np.load(image.with_name("joint_uvd_test_kinect1.npz")) as file:
        joints = nyu.CAMERA.unproject(file["joint_uvd"][:1])
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test"
        test.mkdir()
        write_joint_data(test / "joint_data.mat", joints)
        shutil.copyfile(image, test / "depth_1_0000001.png")
        data = gmaps.load_dataset("nyu", folder, split="test")
        crop = crop_dataset_frame(data.read(0), data.info.depth_range, CropParams(half_side=150.0))
        return crop, data.skeleton.joints.index("F1_KNU3_A")


def nyu_frame(image: Path) -> dict[str, Any]:
    """Figures of all joints of the real open hand, and the picture of one: the map, and the truth on the pixels."""
    crop, tip = nyu_crop(image)
    hand = flat_hand(crop)
    on = [j for j in nyu.SKELETON.evaluation if hand.locate(hand.all_joints[j]) is not None]
    maps = gmaps.encode(crop, ("geodesic",))
    truth = np.full(crop.size**2, np.nan)
    truth[hand.cells] = hand.exact(hand.all_joints[tip], True)
    truth[~np.isfinite(truth)] = np.nan
    mm = (1 - maps["geodesic"][..., tip]) * maps.scale["geodesic"][tip]
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    panels = {
        "geodesic, 32 x 32": np.where(maps["geodesic"][..., tip] > 0, mm, np.nan),
        "exact, on the crop's pixels": truth.reshape(crop.depth.shape),
    }
    for axes, (title, values) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        shown = axes.imshow(values, cmap="viridis_r", vmin=0, vmax=np.nanmax(truth))
        row, column = crop.joints_px(len(values))[tip]
        axes.plot(column, row, "o", ms=8, mfc="none", mec="red")
        axes.set_title(f"{title}: mm from the little finger's tip", fontsize=9)
        axes.set_axis_off()
        figure.colorbar(shown, ax=axes, shrink=0.8)
    path = RESULTS / "nyu_little_tip.png"
    figure.savefig(path, dpi=100)
    print(f"drawn to {path}")
    return _row("NYU's first test frame", 32, measure(crop, on, (32,))[32])


def _row(poses: str, size: int, sums: NDArray[np.float64]) -> dict[str, Any]:
    """A line of the table, printed."""
    error, outside, cut = (sums[:3] / sums[3]).tolist()
    print(f"| {poses} | {size} | {error:.2f} mm | {outside:.2f} mm | {100 * cut:.3f} % |")
    return {"poses": poses, "size": size, "error_mm": error, "outside_mm": outside, "cut": cut}


def run(hands: int = 40, image: str | None = None) -> list[dict[str, Any]]:
    """Measure and print."""
    seed = secrets.randbelow(2**31)
    print(f"\ngeodesic against the crop's own pixels: {hands} hands of seed {seed}, {JOINTS} joints each\n")
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    print("| poses | grid | value against the mean of its pixels | outside their range | ways cut short |")
    print("|---|---|---|---|---|")
    groups: tuple[tuple[str, tuple[str, ...] | None], ...] = (("mixed", None), ("open hands", OPEN))
    for poses, families in groups:
        sums = {size: np.zeros(4) for size in SIZES}
        for crop in crops_of(hands, seed, families):
            hand = flat_hand(crop)
            on = [
                j for j in rng.permutation(len(crop.joints)).tolist() if hand.locate(hand.all_joints[j]) is not None
            ]
            for size, one in measure(crop, on[:JOINTS], SIZES).items():
                sums[size] += one
        rows += [_row(poses, size, one) for size, one in sums.items()]
    if image is not None:
        rows.append(nyu_frame(Path(image)))
    print(f"\nwritten to {write('on_pixels', rows)}")
    return rows


if __name__ == "__main__":
    run(*(int(a) if a.isdigit() else a for a in sys.argv[1:]))  # type: ignore[arg-type]
