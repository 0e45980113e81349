"""README and every page, read one after the other in one fresh folder: each printed command and program in its turn.

What runs is what is printed, but for what stands in `INSTEAD` and `NOT_RUN`. A page alone (`-k quickstart`) is read
in a folder in which nothing but `make demo` was done.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.datasets.write.tree import write_tree
from gmaps.maps import kind

ROOT = Path(__file__).parents[2]

#: Printed -> run. Fewer frames, smaller networks, no further processes, places of this test.
INSTEAD = {
    r"--workers \d+": "--workers 0",
    r"--frames 1000+|--frames 5000": "--frames 60",
    r"-O frames=50000 -O people=2000": "-O frames=100 -O people=10",
    r"--limit 2000": "--limit 400",
    r"-P size=128 -P width=32": "-P size=128 -P width=8",  # the maps of its store have 32 rows
    r"(gmaps train .*(geodesic_weighted|--augment).*)": r"\1 --size 32 --stem 8 --width 8 --head 8,8,8 --hidden 32",
    r"(gmaps train .*)": r"\1 --minutes 0.01 --workers 0",
    r"~/": "home/",  # a tree of MSRA lies there, and one of HANDS17
    r"/shared/": "shared/",
    r"--scheduler tcp://head:8786": "--workers 0",
    r"s3://bucket": "memory://bucket",
    r"TrainParams\(epochs=1, workers=0\)": "TrainParams(epochs=1, minutes=0.01, workers=0)",
}
#: What is no command of ours, or goes on until Ctrl-C, and is not run here.
NOT_RUN = ("make ", "gmaps view", "python3 -m venv", ".venv/bin/pip", "source ", "dask ")
#: Commands whose exit code is another than 0: this tree of MSRA is not whole, and `--check` says so.
EXIT_CODES = {"gmaps datasets msra --check ~/data/msra": 1}
#: Commands on data sets of which no tree is made here; that they parse is for the other tests of the pages.
NO_TREE = re.compile(r"\b(dexycb|ho3d|hocap|panoptic)\b")
#: Page -> whether what its programs left behind is right.
CHECKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "store-format.md": lambda names: (names["depth"] == gmaps.open_store("synthetic.zarr")[42].depth).all(),
    "packed-codec.md": lambda names: (
        names["geodesic"] == gmaps.open_store("synthetic.zarr")[42].maps["geodesic"]
    ).all(),
    "quickstart.md": lambda names: (
        names["item"]["maps"]["geodesic_weighted"].shape == (64, 21, 32, 32) and names["mm"].shape == (32, 32, 21)
    ),
}


def pages() -> list[Path]:
    """README, then the pages in the order of the navigation."""
    text = (ROOT / "mkdocs.yml").read_text()
    nav = yaml.safe_load(text[text.index("nav:") :])["nav"]
    return [ROOT / "README.md", *(ROOT / "docs" / name for entry in nav for name in entry.values())]


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of every block of Python, and of every line of every block of commands."""
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", page.read_text(), re.M | re.S):
        if language == "python":
            yield language, block
        else:
            yield from ((language, line) for line in block.splitlines() if line)


def substituted(text: str) -> str:
    """What is run for what is printed."""
    for pattern, instead in INSTEAD.items():
        text = re.sub(pattern, instead, text)
    return text


def run_command(line: str) -> None:
    """One printed line, in this process."""
    printed = re.sub(r"\s+#.*|\s*&\s*$", "", re.sub(r"\s+#.*", "", line)).strip()
    if printed.startswith(NOT_RUN) or NO_TREE.search(printed):
        return
    assert printed.startswith("gmaps "), f"who runs this? {line}"
    words = substituted(printed)
    done = CliRunner().invoke(main, shlex.split(words)[1:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == EXIT_CODES.get(printed, 0), f"{printed}\n{words}\n{done.output}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A fresh folder, after `make demo`, with the data sets that the pages speak of."""
    pytest.importorskip("torch")
    pytest.importorskip("h5py")
    made = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.delenv("GMAPS_STORE", raising=False)
        patch.delenv("GMAPS_DATA", raising=False)
        patch.syspath_prepend(str(made))
        write_tree("home/data/msra", "msra", frames=160)
        write_hands17(made / "home" / "data" / "hands17" / "frame")
        (made / "shared").mkdir()
        (made / "shared" / "msra").symlink_to(made / "home" / "data" / "msra")
        for line in re.findall(r"^\t\$\(BIN\)/(gmaps .*)", (ROOT / "Makefile").read_text(), re.M):
            run_command(line)
        yield made


def write_hands17(root: Path) -> None:
    """Two test frames of HANDS17: no joints, a box."""
    (root / "images").mkdir(parents=True)
    image = np.zeros((480, 640), np.uint16)
    image[180:300, 260:380] = 420
    for k in (1, 2):
        cv2.imwrite(str(root / "images" / f"image_D{k:08d}.png"), image)
    (root / "BoundingBox.txt").write_text("".join(f"image_D{k:08d}.png\t250\t170\t140\t140\n" for k in (1, 2)))


@pytest.mark.parametrize("page", [p for p in pages() if any(steps(p))], ids=lambda p: p.name)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_page_runs_as_it_is_printed(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(kind, "_REGISTRY", dict(kind._REGISTRY))
    monkeypatch.setattr("gmaps.cli.track.PATIENCE", 0.0)  # nobody opens the page of --live
    names: dict[str, Any] = {}
    for language, text in steps(page):
        try:
            if language == "sh":
                run_command(text)
            else:
                exec(compile(substituted(text), page.name, "exec"), names)
        except BaseException as error:
            error.add_note(f"in {page.name}: {text}")
            raise
    if page.name in CHECKS:
        assert CHECKS[page.name](names)
