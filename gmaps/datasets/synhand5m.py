"""SynHand5M, Malik et al. (3DV 2018): five million synthetic hands with depth, joints, segmentation and mesh.

The set is given on request, and how its files lie is not published: nothing about it is assumed here, neither the
number of joints nor of vertices. It is read by the layout of docs/folder.md, in which a `dataset.toml` says what
there is; `gmaps synth --layout synhand` writes it.
"""

from __future__ import annotations

from pathlib import Path

from gmaps.datasets.base import Check, DatasetInfo, Split
from gmaps.datasets.folder import INFO as FOLDER
from gmaps.datasets.folder import Folder
from gmaps.datasets.folder import check as check_folder
from gmaps.datasets.folder.description import FILE
from gmaps.errors import DatasetError

INFO = DatasetInfo(
    name="synhand5m",
    title="SynHand5M, synthetic hands with segmentation and mesh",
    homepage="https://arxiv.org/abs/1808.09208",
    terms="Those under which the authors give it: ask them.",
    tree=f"""ROOT/{FILE}
ROOT/{{train,test}}/depth/00000000.png          16-bit, mm
ROOT/{{train,test}}/joints/00000000.npy         (J, 3) float32, mm
ROOT/{{train,test}}/segmentation/00000000.png   8-bit, places in segmentation.labels
ROOT/{{train,test}}/vertices/00000000.npy       (V, 3) float32, mm
ROOT/faces.npy                                (T, 3) int32
The published layout is not known to gmaps: this one is generic, and {FILE} says where yours differs (patterns,
formats, units, axes, camera, skeleton).""",
    citation="J. Malik, A. Elhayek, F. Nunnari, K. Varanasi, K. Tamaddon, A. Heloir, D. Stricker. DeepHPS: "
    "End-to-end Estimation of 3D Hand Pose and Shape by Learning from Synthetic Depth. 3DV 2018.",
    skeleton=FOLDER.skeleton,
    notes="Number and order of the joints, camera and splits are those of your dataset.toml; none is assumed. "
    "`gmaps synth OUT --layout synhand` writes such a tree.",
    options=FOLDER.options,
)


def load(root: Path, *, split: Split = "all", cut: str = "", mask: str = "") -> Folder:
    """A reader; called by `gmaps.load_dataset`."""
    data = Folder(Path(root), split, str(cut), INFO, str(mask))
    if data.description.joints is None or data.description.segmentation is None:
        raise DatasetError(
            f"{Path(root) / FILE}: SynHand5M has [joints] and [segmentation], and here they are not both; "
            "`--dataset folder` reads trees without"
        )
    return data


def check(root: Path) -> list[Check]:
    """As of a folder: every file's header and size."""
    return check_folder(root)
