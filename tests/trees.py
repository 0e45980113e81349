"""Trees of data sets that `gmaps synth` does not write, of synthetic hands; and what they hold."""

from __future__ import annotations

import numpy as np

from gmaps.datasets import icvl
from gmaps.datasets.hands17 import CAMERA as HANDS17
from gmaps.datasets.write.frame_files import write_grey_png
from gmaps.skeleton import get_skeleton
from gmaps.synth.render import render_mesh
from gmaps.synth.stage import Stage, make_hand

FRAMES = 3
MSRA = get_skeleton("msra21")


def hands(camera, nearest, farthest):
    """Depth and 21 joints of a few hands before a camera."""
    for k, family in enumerate(("open", "point", "relaxed")):
        scene = make_hand(5, k, k, family, Stage(camera, (nearest, farthest)))
        yield render_mesh(scene.vertices(), camera).depth, scene.joints


def icvl_tree(root):
    camera = icvl.CAMERAS["standard"]
    folder = root / "Testing" / "Depth" / "test_seq_1"
    folder.mkdir(parents=True)
    named = {name: k for k, name in enumerate(MSRA.joints)}
    lines, truth = [], []
    for k, (depth, joints) in enumerate(hands(camera, 250, 450)):
        write_grey_png(folder / f"image_{k:04d}.png", depth)
        own = [0.5 * (joints[named["wrist"]] + joints[named["middle_mcp"]])]
        for finger in ("thumb", "index", "middle", "ring", "little"):
            own += [joints[named[f"{finger}_{part}"]] for part in ("mcp", "pip", "tip")]
        truth.append((depth, np.array(own)))
        uvd = camera.project(np.array(own))
        lines.append(f"test_seq_1/image_{k:04d}.png " + " ".join(f"{v:.4f}" for v in uvd.ravel()) + " \r\r\n")
    (root / "Testing" / "test_seq_1.txt").write_bytes("".join(lines).encode())
    return "icvl", truth


def hands17_rows(folder):
    """Frames, and a line for each without its name."""
    folder.mkdir(parents=True)
    columns = MSRA.mapping_to(get_skeleton("hands17"))
    lines, truth = [], []
    for k, (depth, joints) in enumerate(hands(HANDS17, 350, 650)):
        write_grey_png(folder / f"image_D{k + 1:08d}.png", depth)
        own = joints[list(columns)]
        truth.append((depth, own))
        lines.append("\t".join(f"{v:.4f}" for v in own.ravel()))
    return lines, truth


def hands17_tree(root):
    lines, truth = hands17_rows(root / "training" / "images")
    named = [f"image_D{k + 1:08d}.png\t{line}\n" for k, line in enumerate(lines)]
    (root / "training" / "Training_Annotation.txt").write_text("".join(named))
    return "hands17", truth


def bighand_tree(root):
    lines, truth = hands17_rows(root / "Subject_1" / "76 150")
    labels = root / "full_annotation" / "Subject_1"
    labels.mkdir(parents=True)
    named = [f"{k + 1:08d}\t{line}\n" for k, line in enumerate(lines)]
    (labels / "76 150_loc_shift_made_by_qi_20180112_v2.txt").write_text("".join(named))
    return "bighand", truth
