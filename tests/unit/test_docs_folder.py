"""docs/folder.md: its dataset.toml is complete, and reads the tree that the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from gmaps.datasets import check_dataset, load_dataset
from gmaps.datasets.folder.description import read_description
from gmaps.formats import strict_toml

PAGE = (Path(__file__).parents[2] / "docs" / "folder.md").read_text()
(TOML,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)
PEOPLE, GESTURES, FRAMES = ("anna", "ben", "carl", "dora"), ("fist", "open"), 3


@pytest.fixture
def hands(tmp_path):
    """The page's tree, and the joints (mm, y down) of each of its folders."""
    root, rng, truth = tmp_path / "hands", np.random.default_rng(0), {}
    for person in PEOPLE:
        for gesture in GESTURES:
            folder = root / person / gesture
            folder.mkdir(parents=True)
            joints = rng.uniform((-80, -80, 350), (80, 80, 600), (FRAMES, 22, 3))
            truth[f"{person}/{gesture}"] = joints
            metres = joints * [0.001, -0.001, 0.001]
            lines = ["frame by frame", *(",".join(f"{v:.9g}" for v in row) for row in metres.reshape(FRAMES, -1))]
            (folder / "joints.csv").write_text("\n".join(lines))
            for k in range(FRAMES):
                depth = np.full((480, 640), 65535, np.uint16)
                depth[100:300, 200:400] = 8 * 500 + k
                depth[0, 0] = 8 * 4001
                parts = np.zeros((480, 640), np.uint8)
                parts[100:250], parts[250:300] = 1, 2
                cv2.imwrite(str(folder / f"depth_{k:05d}.png"), depth)
                cv2.imwrite(str(folder / f"parts_{k:05d}.png"), parts)
                np.save(folder / f"mesh_{k:05d}.npy", metres[k])
    np.save(root / "triangles.npy", np.array([[0, 1, 2]]))
    (root / "dataset.toml").write_text(TOML)
    return root, truth


def test_the_pages_description_reads_the_pages_tree(hands):
    root, truth = hands
    problems = [c for c in check_dataset("folder", root) if not c.ok]
    assert not problems
    data, cut = load_dataset("folder", root), load_dataset("folder", root, split="test", cut="forearm")
    assert (len(data), len(cut), len(load_dataset("folder", root, split="train"))) == (24, 6, 18)
    assert data.index().subjects == PEOPLE
    assert data.info.half_side == 110
    for i in range(len(data)):
        frame = data.read(i)
        folder, number = frame.name.rsplit("/", 1)[0], int(frame.name[-9:-4])
        np.testing.assert_allclose(frame.joints, truth[folder][number], atol=1e-3)
        np.testing.assert_allclose(data.vertices(i), truth[folder][number], atol=1e-3)
        assert (np.unique(frame.depth) == [0, 500 + number / 8]).all()
    assert np.count_nonzero(cut.read(0).depth) == 150 * 200
    assert data.skeleton.name == "gestures22"
    assert [data.skeleton.joints[j] for j in data.skeleton.evaluation][1] == "index_tip"


def test_the_page_names_every_key_there_is(hands, monkeypatch):
    asked = set()
    close = strict_toml.Table.close

    def spy(table):
        asked.update((table.name, key) for key in table._asked)
        close(table)

    monkeypatch.setattr(strict_toml.Table, "close", spy)
    read_description(hands[0])
    assert len(asked) > 40
    for table, key in sorted(a for a in asked if a[0] != "skeleton.common"):  # its keys are joints
        assert re.search(rf"^{key} = |\[{table + '.' if table else ''}{key}\]|`{key}`|[.`]{key}\b", PAGE, re.M), (
            table,
            key,
        )
