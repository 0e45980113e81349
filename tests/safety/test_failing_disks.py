"""Every command that writes, on a disk that fails at each of its calls: a line, no traceback, and then it goes on."""

from __future__ import annotations

import errno
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.datasets.write.tree import write_tree
from tests.safety.faults import with_faults

ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS)
NET = (
    "--model geodesic --size 32 --stem 4 --width 4 --head 4 --hidden 8 --repeats 1 --batch 4 --workers 0 --device cpu"
)
LENS = "475,475,320,240"
TRACK = f"track {{in}}/frames --unit 0.1 --camera {LENS} --frames 2 --device cpu"
PLAN = "--dataset synthetic -O frames=8 --maps geodesic --crop-size 32 --map-size 8"
MAKE = f"{PLAN} --workers 0 --quiet"
#: What it is called -> the command; {in} is a folder of things to read, {out} one on the failing disk.
COMMANDS = {
    "build": f"build {MAKE} --out {{out}}/x.zarr",
    "build --overwrite": f"build {MAKE} -O seed=3 --out {{out}}/store.zarr --overwrite",
    "plan": f"plan {PLAN} --out {{out}}/p.zarr",
    "finalize": "finalize --out {out}/planned.zarr",
    "store add": "store add {out}/store.zarr heatmap --workers 0 --quiet",
    "store remove": "store remove {out}/store.zarr euclidean",
    "export": "export {out}/store.zarr {out}/h5 --quiet",
    "synth": "synth {out}/tree --frames 3 --workers 0 --quiet",
    "inspect --save": "inspect sample 1 --store {in}/store.zarr --save {out}/a.png",
    "samples --save": "inspect samples --random 2 --store {in}/store.zarr --save {out}/b.png",
    "maps --save": "maps geodesic --save {out}/m.png",
    "overlay": "datasets synthetic --overlay 1 -O frames=2 --save {out}/o.png",
    "evaluate --save": "evaluate {in}/pred.txt --groundtruth {in}/store.zarr --save {out}/curves",
    "fit": "fit {in}/joints.npy --out {out}/f.npz --vertices {out}/v.npy --ply {out}/m.ply --threads 1",
    "train": f"train {{in}}/store.zarr {NET} --epochs 1 --quiet --out {{out}}/run",
    "predict --out": "predict {in}/store.zarr --checkpoint {in}/run --device cpu --out {out}/pred.txt",
    "predict --save": f"predict --frame {{in}}/d.png --unit 0.1 --camera {LENS} --device cpu --save {{out}}/p.png",
    "track": TRACK + " --out {out}/t.npz --record {out}/r.npz --overlay {out}/film.gif",
    "track lines": TRACK + " --out {out}/t.jsonl",
}
#: So dear that only `-m slow` runs them.
DEAR = {"train", "predict --out", "predict --save", "track", "track lines", "evaluate --save", "finalize", "plan"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What commands read; and, in `seed`, what they change."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "seed").mkdir()
    words = MAKE.replace("--maps geodesic", "--maps geodesic,euclidean")
    run(f"build {words} --out {folder}/store.zarr")
    shutil.copytree(folder / "store.zarr", folder / "seed" / "store.zarr")
    np.save(folder / "joints.npy", gmaps.open_store(folder / "store.zarr").column("joints"))
    write_tree(folder / "tree", "folder", 3, workers=0)
    (folder / "frames").mkdir()
    for k, path in enumerate(sorted((folder / "tree").rglob("*.png"))):
        shutil.copyfile(path, folder / "frames" / f"{k}.png")
    shutil.copyfile(folder / "frames" / "0.png", folder / "d.png")
    return folder


def run(words):
    """Exit code and output; a traceback is an exception."""
    ended = CliRunner().invoke(main, words.split())
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    assert "Traceback" not in ended.output
    return ended.exit_code, ended.output


def prepare(name, inputs):
    """What a command needs of others, made once."""
    if name in ("train", "predict --out", "evaluate --save") or "predict" in name or "track" in name:
        pytest.importorskip("torch").set_num_threads(1)
    if name in ("predict --out", "evaluate --save") and not (inputs / "run").exists():
        assert run(f"train {inputs}/store.zarr {NET} --epochs 1 --quiet --out {inputs}/run")[0] == 0
        found = run(f"predict {inputs}/store.zarr --checkpoint {inputs}/run --device cpu --out {inputs}/pred.txt")
        assert found[0] == 0, found
    if name == "finalize" and not (inputs / "seed" / "planned.zarr.partial").exists():
        assert run(f"plan {PLAN} --out {inputs}/seed/planned.zarr")[0] == 0
        assert run(f"build --part 1/1 --workers 0 --quiet --out {inputs}/seed/planned.zarr")[0] == 0


@pytest.mark.parametrize("how", ["few", pytest.param("all", marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
@pytest.mark.parametrize("name", COMMANDS)
def test_each_call_fails(name, how, inputs, tmp_path):
    if how == "few" and name in DEAR:
        pytest.skip("with -m slow")
    prepare(name, inputs)
    out = tmp_path / "disk"
    words = COMMANDS[name].replace("{in}", str(inputs)).replace("{out}", str(out))

    def fresh():
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(inputs / "seed", out)

    fresh()
    result, calls = with_faults(lambda: run(words), out)
    assert result[0] == "value", result
    assert result[1][0] == 0, result
    assert calls
    few = sorted({1, len(calls) // 2, len(calls)} - {0})
    trials = [(few[k % len(few)], e, k == 1) for k, e in enumerate(ERRORS)]
    if how == "all":
        trials = [(n, e, good) for n in range(1, len(calls) + 1) for e in ERRORS for good in (False, True)]
    bad = []
    for n, number, for_good in trials:
        fresh()
        result, _ = with_faults(lambda: run(words), out, n, number, for_good)
        label = f"call {n} of {len(calls)} ({calls[n - 1].replace(str(out), '')}), {os.strerror(number)}, {for_good}"
        if result[0] != "value":
            bad.append((label, result))
            continue
        code, said = result[1]
        again = with_faults(lambda: run(words), out)[0]
        # What failed was the flush behind the last step.
        done = code == 0 or "already" in str(again) or (name == "store remove" and "there is no map" in str(again))
        if again[0] != "value" or not (again[1][0] == 0 or done):
            bad.append((label, said[-200:], "again", again))
    print(f"{name}: {len(trials)} failures, {len(bad)} bad")
    assert not bad, (len(bad), len(trials), bad[:6])
