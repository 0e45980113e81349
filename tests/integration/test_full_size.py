"""Whole data sets at their full number of frames: synthetic trees, tiny or sparse frames, real counts.

The times are printed, and asserted only far above what they are: a busy machine is no failure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from gmaps.datasets import check_dataset, load_dataset
from gmaps.datasets.hands17 import EXPECTED
from gmaps.datasets.msra.bin_files import HEADER
from gmaps.datasets.write.frame_files import write_joint_txt
from gmaps.formats.label_lines import read_line

pytestmark = pytest.mark.slow


def test_msra_of_76375_frames(real_data, real_poses, tmp_path, capsys):
    counts = json.loads((real_data / "msra" / "frame_counts.json").read_text())
    frame = HEADER.pack(320, 240, 150, 110, 152, 112) + np.full(4, 350, "<f4").tobytes()
    for subject, gestures in counts.items():
        for gesture, (frames, _) in gestures.items():
            folder = tmp_path / subject / gesture
            folder.mkdir(parents=True)
            write_joint_txt(folder / "joint.txt", real_poses[np.arange(frames) % 400])
            for k in range(frames):
                (folder / f"{k:06d}_depth.bin").write_bytes(frame)
    began = time.perf_counter()
    ds = load_dataset("msra", tmp_path)
    index = ds.index()
    indexed = time.perf_counter() - began
    began = time.perf_counter()
    checks = check_dataset("msra", tmp_path)
    checked = time.perf_counter() - began
    with capsys.disabled():
        print(f"\nMSRA, 76,375 frames: indexed in {indexed:.1f} s, checked in {checked:.1f} s")
    assert len(index) == 76_375
    assert np.bincount(index.subject).tolist() == [8499, 8492, 8412, 8488, 8500, 8497, 8497, 8498, 8492]
    assert all(c.ok for c in checks)
    assert (checks[-1].found, checks[-1].expected) == (76_375, 76_375)
    assert ds.read(76_374).name == "P8/Y/000498_depth.bin"
    assert indexed < 20
    shutil.rmtree(tmp_path)  # 76,392 files less for whoever clears the tests' directory


_INDEX = """
import resource, sys, time
from gmaps.datasets import load_dataset
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
ds = load_dataset("hands17", sys.argv[1], split="train")
n = len(ds.index())
seconds = time.perf_counter() - began
print(n, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_hands17_labels_of_957032_lines(tmp_path, capsys):
    images = tmp_path / "training" / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["\t".join(f"{v:.4f}" for v in row) for row in rng.uniform((-200, -200, 300) * 21, 900, (997, 63))]
    labels = tmp_path / "training" / "Training_Annotation.txt"
    with open(labels, "w") as f:
        f.writelines(f"image_D{n:08d}.png\t{rows[n % 997]}\n" for n in range(1, EXPECTED["train"] + 1))
    for n in (1, 500_000, EXPECTED["train"]):  # names alone: a million files would test the disk
        (images / f"image_D{n:08d}.png").touch()
    # In a process of its own, whose memory is that of the index.
    out = subprocess.run([sys.executable, "-c", _INDEX, tmp_path], capture_output=True, text=True, check=True).stdout
    found, seconds, kilobytes = out.split()
    with capsys.disabled():
        size = labels.stat().st_size / 1e6
        print(f"\nHANDS17, 957,032 lines, {size:.0f} MB: {float(seconds):.1f} s, {int(kilobytes) / 1024:.0f} MiB")
    assert int(found) == 3
    assert float(seconds) < 30
    assert int(kilobytes) < 300 * 1024
    ds = load_dataset("hands17", tmp_path)
    assert ds.index().frame.tolist() == [0, 499_999, 957_031]
    labels_of_last = [float(v) for v in rows[957_032 % 997].split("\t")]

    line = read_line(labels, int(ds._table.start[2]), "f")
    assert [float(v) for v in line.split()[1:]] == labels_of_last
    labels.unlink()
