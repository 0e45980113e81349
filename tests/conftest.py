"""What several tests need: the real files, where there are any, and data sets' trees written from them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gmaps.datasets.msra.bin_files import CAMERA as MSRA_CAMERA
from gmaps.datasets.msra.bin_files import parse_joints

if TYPE_CHECKING:
    from gmaps.viewer.server import Site, ViewServer
    from tests.browser import Browser

#: Real files of the data sets lie beside the repository, not in it.
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _need(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"needs the real {path.name}, which is not at {path}")
    return path


@cache
def _real_poses() -> np.ndarray:
    path = REAL_DATA / "msra" / "msra14_joint.txt"
    return parse_joints(path.read_bytes(), path.name)[0]


@cache
def _synthetic_poses() -> np.ndarray:
    from gmaps.datasets import load_dataset

    made = load_dataset("synthetic", frames=40, seed=7)
    return np.stack([made.read(i).joints for i in range(40)])


@cache
def _rendered(k: int, real: bool) -> np.ndarray:
    from gmaps.synth.render import render_hand

    return render_hand((_real_poses() if real else _synthetic_poses())[k], MSRA_CAMERA)


@cache
def _real_nyu_joints() -> np.ndarray:
    from gmaps.datasets.nyu import CAMERA

    with np.load(REAL_DATA / "nyu" / "joint_uvd_test_kinect1.npz") as file:
        return CAMERA.unproject(file["joint_uvd"])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files; skips where it is absent."""
    return _need(REAL_DATA)


@pytest.fixture(scope="session")
def real_poses() -> np.ndarray:
    """(400, 21, 3) float32 mm, camera axes: the real hands of MSRA's 2014 recordings. Skips where absent."""
    _need(REAL_DATA / "msra" / "msra14_joint.txt")
    return _real_poses()


@pytest.fixture
def msra_tree(tmp_path: Path) -> Callable[..., Path]:
    """Factory of MSRA trees: `msra_tree({"P0": {"1": 3}}, header=True)` -> root.

    The frames are synthetic, for no real one is to be had: written by the format, and rendered from the real poses
    (from synthetic ones where those are absent). Frame k of every folder shows pose k of the first 40.
    """
    from gmaps.datasets.write.frame_files import write_joint_txt, write_msra_bin

    real = (REAL_DATA / "msra" / "msra14_joint.txt").exists()

    def make(counts: dict[str, dict[str, int]], *, header: bool = True, root: Path | None = None) -> Path:
        root = root or tmp_path / "msra"
        poses = _real_poses() if real else _synthetic_poses()
        for subject, gestures in counts.items():
            for gesture, count in gestures.items():
                folder = root / subject / gesture
                folder.mkdir(parents=True)
                pose = np.arange(count) % 40
                write_joint_txt(folder / "joint.txt", poses[pose])
                for k in range(count):
                    write_msra_bin(folder / f"{k:06d}_depth.bin", _rendered(int(pose[k]), real), header=header)
        return root

    return make


@pytest.fixture
def nyu_tree(tmp_path: Path) -> Callable[..., Path]:
    """Factory of NYU test sets from the real frame 1 and the first `rows` real labels: `nyu_tree()` -> root.

    Skips where the real files are absent. Every number in `frames` is given the one real image.
    """
    image = _need(REAL_DATA / "nyu" / "depth_1_0000001.png")
    _need(REAL_DATA / "nyu" / "joint_uvd_test_kinect1.npz")

    def make(rows: int = 1, frames: Iterable[int] = (1,)) -> Path:
        from gmaps.datasets.write.frame_files import write_joint_data

        folder = tmp_path / "nyu" / "test"
        folder.mkdir(parents=True)
        write_joint_data(folder / "joint_data.mat", _real_nyu_joints()[:rows])
        for number in frames:
            shutil.copyfile(image, folder / f"depth_1_{number:07d}.png")
        return folder.parent

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; skips where there is none."""
    from tests.browser import Browser, find_chromium

    opened = Browser(find_chromium())
    yield opened
    opened.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., None]]:
    """Opens an address; afterwards nothing has gone wrong in its page, and nothing came from elsewhere."""
    opened: list[tuple[str, tuple[str, ...], Callable[[], None]]] = []

    def look(
        address: str, behind: str = "", expect: tuple[str, ...] = (), stop: Callable[[], None] = lambda: None
    ) -> None:
        opened.append((address, expect, stop))
        browser.events.clear()
        browser.resize(1280, 900)
        browser.open(address + behind)

    yield look
    for address, expect, stop in opened:
        problems = [p for p in browser.problems() if not any(e in p for e in expect)]
        foreign = [r for r in browser.requests() if not r.startswith((address, "about:", "data:"))]
        browser.open("about:blank")
        stop()
        assert problems == []
        assert foreign == []


@pytest.fixture
def show(look: Callable[..., None]) -> Callable[..., ViewServer]:
    """Opens a site's page: see `look`."""
    from gmaps.viewer.server import ViewServer

    def show(site: Site, behind: str = "", expect: tuple[str, ...] = ()) -> ViewServer:
        server = ViewServer()
        server.show(site)
        look(server.address, behind, expect, server.stop)
        return server

    return show
