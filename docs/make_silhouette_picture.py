"""Draw a hand that holds a ball over a table, both ways: `python docs/make_silhouette_picture.py`, from the root.

The scene is made up, as are those of the tests, from which it comes: no data set's picture may be shown here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gmaps.crop import crop_frame
from gmaps.frame import Cube, Frame
from gmaps.maps import encode
from gmaps.plot.sample import save_figure

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.object_scenes import held

IMAGES = Path(__file__).parent / "img"
#: The tip of the index finger, in openpose21.
JOINT = 8
KINDS = ("signed_edt", "geodesic")


def main() -> None:
    seen = held(0)
    frame = Frame(seen.depth, seen.camera, seen.joints, mask=seen.hand)
    cube = Cube(tuple(float(v) for v in seen.joints.mean(axis=0)), 125.0)
    bare = Frame(seen.depth, seen.camera, seen.joints)
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    for row, (name, what) in enumerate((("depth", bare), ("segmentation", frame))):
        crop = crop_frame(what, cube)
        maps = encode(crop, KINDS, size=64)
        left, middle, right = axes[row]
        left.imshow(np.where(crop.depth < 1, crop.depth, np.nan), cmap="gray_r")
        left.contour(crop.mask, [0.5], colors="#e6194b", linewidths=1)
        left.set_title(f"--silhouette {name}")
        edt = maps["signed_edt"][..., 0]
        middle.imshow(edt, cmap="coolwarm", vmin=-60, vmax=60)
        middle.set_title("signed_edt")
        image = maps["geodesic"][..., JOINT]
        right.imshow(np.where(image > 0, image, np.nan), cmap="viridis", vmin=0, vmax=1)
        px = crop.joints_px(64)[JOINT]
        right.plot(px[1], px[0], "o", color="#f58231", markersize=7)
        right.set_title("geodesic of the index finger's tip")
        for a in axes[row]:
            a.set_xticks([])
            a.set_yticks([])
    save_figure(figure, str(IMAGES / "silhouette.png"))


if __name__ == "__main__":
    main()
