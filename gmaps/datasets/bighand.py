"""BigHand2.2M, Yuan et al. (CVPR 2017), in its own tree: people, each seen from several sides.

Frames, labels and camera are HANDS17's, which was taken from it. Only the names differ: a line of labels begins with
digits alone, and its file, `full_annotation/Subject_1/76 150_*.txt`, is called after the folder of its frames,
`Subject_1/76 150`. Some copies have lost the space.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from gmaps.datasets.base import Check, DatasetInfo, Split
from gmaps.datasets.hands17 import MOST_LINES, SKELETON, Hands17, Part, check_part
from gmaps.datasets.reader import some_names
from gmaps.errors import DatasetError, unknown_name
from gmaps.formats.litter import is_litter

_ANNOTATION = "full_annotation"
_TEST_SUBJECT = "Subject_1"
_SUBJECT = re.compile(r"Subject_(\d{1,3})")

INFO = DatasetInfo(
    name="bighand",
    title="BigHand2.2M, in its own tree",
    homepage="http://icvl.ee.ic.ac.uk/hands17/challenge/",
    terms="Given on request, for research; ask the authors.",
    tree="ROOT/Subject_1/{76 150, ..., ego}/image_D00000001.png, ... and "
    "ROOT/full_annotation/Subject_1/{76 150, ..., ego}_*.txt; subjects and views may be missing",
    citation="S. Yuan, Q. Ye, B. Stenger, S. Jain, T.-K. Kim. BigHand2.2M Benchmark: Hand Pose Dataset and State of "
    "the Art Analysis. CVPR 2017.",
    skeleton=SKELETON.name,
    half_side=125.0,
    depth_range=(100.0, 1000.0),
    notes="Counts of frames are not published, so --check compares labels with frames alone. The field has no split "
    "of its own for this tree: one subject is left out.",
    options={"test_subject": f"the subject of the test split (default {_TEST_SUBJECT}); all others train"},
)


def find_parts(root: Path) -> list[Part]:
    """Every label file, with the folder that it is called after; people in the order of their numbers."""
    found: list[Part] = []
    subjects = [m for name in _listing(root / _ANNOTATION) if (m := _SUBJECT.fullmatch(name))]
    for subject in (m[0] for m in sorted(subjects, key=lambda m: int(m[1]))):
        folders = {name.replace(" ", ""): name for name in _listing(root / subject)}
        for file in _listing(root / _ANNOTATION / subject):
            if not file.endswith(".txt") or file.lower().startswith("readme"):
                continue
            view = file.removesuffix(".txt").split("_", 1)[0]
            folder = folders.get(view.replace(" ", ""), view)
            labels, first = f"{_ANNOTATION}/{subject}/{file}", len(found) * MOST_LINES
            found.append(Part(labels, f"{subject}/{folder}", subject, view, first))
    if not found:
        raise DatasetError(
            f"{root}: no {_ANNOTATION}/Subject_*/*.txt here, but {some_names(root)}; the tree must be {INFO.tree}"
        )
    return found


class BigHand(Hands17):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO

    def _all_parts(self) -> list[Part]:
        parts = find_parts(self.path)
        subjects = sorted({p.subject for p in parts})
        test = self.options["test_subject"]
        if test not in subjects and (self.split != "all" or test != _TEST_SUBJECT):
            raise unknown_name("subject here", test, subjects)
        return parts

    def _chosen(self, part: Part) -> bool:
        return self.split == "all" or (part.subject == self.options["test_subject"]) == (self.split == "test")


def load(root: Path, *, split: Split = "all", test_subject: str = _TEST_SUBJECT) -> BigHand:
    """A reader; called by `gmaps.load_dataset`."""
    return BigHand(Path(root), split, {"test_subject": str(test_subject)})


def check(root: Path) -> list[Check]:
    """Labels against frames, every line of labels, every frame's PNG header; no pixel is read."""
    return [line for part in find_parts(Path(root)) for line in check_part(Path(root), part)]


def _listing(path: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(path) if not is_litter(name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DatasetError(f"{path}: cannot be listed ({error.strerror or error}); see to its permissions") from error
