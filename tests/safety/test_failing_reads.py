"""Every command that reads, from a disk that fails at each of its calls: a line that names the file, no traceback."""

from __future__ import annotations

import errno

import pytest

from gmaps.datasets.write.tree import write_tree
from tests.safety.faults import with_faults
from tests.safety.test_failing_disks import MAKE, run

#: What it is called -> the command; {in} is on the failing disk, {out} is not.
COMMANDS = {
    "verify": "verify {in}/store.zarr --rows 0",
    "verify --rows": "verify {in}/store.zarr --rows 3",
    "inspect store": "inspect store --store {in}/store.zarr",
    "inspect sample": "inspect sample 1 --store {in}/store.zarr --save {out}/a.png",
    "export": "export {in}/store.zarr {out}/h5 --quiet --overwrite",
    "finished": f"build {MAKE} --out {{in}}/store.zarr",
    "datasets --check": "datasets folder --check {in}/tree",
    "build": "build --dataset folder --root {in}/tree --maps geodesic --crop-size 32 --map-size 8 --workers 0 "
    "--quiet --overwrite --out {out}/x.zarr",
    "store add": "store add {in}/store.zarr heatmap --workers 0 --quiet",
}
#: Codes other than 0: this tree holds three frames of what its description promises.
CODES = {"datasets --check": 1}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    run(f"build {MAKE} --out {folder}/store.zarr")
    write_tree(folder / "tree", "folder", 3, workers=0)
    return folder


@pytest.mark.parametrize("how", ["few", pytest.param("all", marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
@pytest.mark.parametrize("name", COMMANDS)
def test_each_look_fails(name, how, inputs, tmp_path):
    words = COMMANDS[name].replace("{in}", str(inputs)).replace("{out}", str(tmp_path))
    result, calls = with_faults(lambda: run(words), inputs, reads=True)
    assert result[0] == "value", result
    assert result[1][0] == CODES.get(name, 0), result
    numbers = range(1, len(calls) + 1) if how == "all" else sorted({1, len(calls) // 3, len(calls) - 1})
    bad = []
    for n in numbers:
        for for_good in (False, True):
            result, _ = with_faults(lambda: run(words), inputs, n, errno.EIO, for_good, reads=True)
            if result[0] != "value" or (for_good and n == 1 and not result[1][0]):
                bad.append(
                    (f"call {n} of {len(calls)} ({calls[n - 1].replace(str(inputs), '')}), {for_good}", result)
                )
    print(f"{name}: {len(calls)} calls, {len(bad)} bad")
    assert not bad, (len(bad), bad[:6])
