"""Stores in an environment that has zarr-python and xarray, and not gmaps."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import zarr

import gmaps

pytest.importorskip("xarray")
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """`elsewhere(program)` -> what it prints, with all installed packages but gmaps, its entry points included."""
    packages = tmp_path_factory.mktemp("packages")
    for path in {Path(sysconfig.get_paths()[key]) for key in ("purelib", "platlib")}:
        for found in path.iterdir():
            ours = any(name in found.name for name in ("guidance_maps", "gmaps", "__editable__"))
            if not ours and found.suffix != ".pth" and not (packages / found.name).exists():
                (packages / found.name).symlink_to(found)

    def run(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-S", "-W", "error::RuntimeWarning", "-c", program],
            cwd=packages, env={"PYTHONPATH": str(packages)}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    with pytest.raises(AssertionError, match="No module named 'gmaps'"):
        run("import gmaps")
    return run


@pytest.fixture(scope="module", params=["v1/plain", "v3/plain"])
def plain(request):
    return GOLDEN / f"{request.param}.zarr"


@pytest.fixture(scope="module", params=["packed", "bytes", "handmap", "bridged"])
def packed(request):
    return GOLDEN / "v3" / f"{request.param}.zarr"


READ_PLAIN = """
import xarray
with xarray.open_datatree({path!r}, engine="zarr") as tree:
    joints = tree.attrs["skeleton"]["joints"]
    hands = tree.to_dataset().assign_coords(joint=joints, axis=["x", "y", "z"])
    maps = tree["maps"].to_dataset().assign_coords(geodesic_channel=joints)
    print(float(hands.joints.sel(joint="index_tip", axis="z")[3]), float(hands.depth[3].min()))
    print(float(maps.geodesic.sel(geodesic_channel="index_tip")[3].sum()))
"""


def test_a_plain_store_is_read_whole_with_the_joints_names(plain, elsewhere):
    store = gmaps.open_store(plain)
    tip, sample = store.skeleton.joints.index("index_tip"), store[3]
    z, nearest, total = map(float, elsewhere(READ_PLAIN.format(path=str(plain))).split())
    assert (z, nearest) == (sample.joints[tip, 2], sample.depth.min())
    assert total == pytest.approx(sample.maps["geodesic"][..., tip].sum(), rel=1e-5)


LIST_PACKED = """
import xarray, zarr
group = zarr.open_group({path!r}, mode="r")
print(*sorted(name for name, _ in group.members(max_depth=None)))
group.tree()
print(group.attrs["packed"]["install"], *sorted(group.attrs["packed"]["arrays"]))
with xarray.open_zarr({path!r}) as hands, xarray.open_datatree({path!r}, engine="zarr") as tree:
    hands = hands.assign_coords(joint=hands.attrs["skeleton"]["joints"])
    print(float(hands.joints.sel(joint="index_tip")[3, 2]), float(hands.depth[3].min()), *tree["maps"].data_vars)
"""


def test_a_packed_store_opens_and_lists_and_says_what_it_needs(packed, elsewhere):
    store = gmaps.open_store(packed)
    listed, needs, values = elsewhere(LIST_PACKED.format(path=str(packed))).splitlines()
    install, *hidden = needs.split()
    assert install == "guidance-maps"
    assert "maps/geodesic" in hidden
    assert {*listed.split(), *hidden} == {*store.names, "maps"}
    tip = store.skeleton.joints.index("index_tip")
    z, nearest, *others = values.split()
    assert (float(z), float(nearest)) == (store[3].joints[tip, 2], store[3].depth.min())
    assert {f"maps/{name}" for name in others} == {n for n in store.names if n.startswith("maps/")} - {*hidden}


def test_a_packed_array_without_the_codec_says_which_it_is(packed, elsewhere):
    program = f"import zarr\ntry: zarr.open_array({str(packed / 'maps/geodesic')!r})\nexcept Exception as e: print(e)"
    assert "gmaps.packed" in elsewhere(program)


def test_a_packed_store_of_an_earlier_commit_opens_without_its_consolidated_metadata(elsewhere):
    path = str(GOLDEN / "v1" / "packed.zarr")
    program = f"import zarr; print(zarr.open_group({path!r}, mode='r', use_consolidated=False)['depth'].shape)"
    assert elsewhere(program).strip() == "(8, 128, 128)"


def test_with_the_codec_zarr_reads_packed_arrays_of_the_group(packed):
    store = gmaps.open_store(packed)
    group = zarr.open_group(packed, mode="r", use_consolidated=False)
    for name, values in store.read(range(8), decode=False).items():
        assert group[name][:].tobytes() == values.tobytes()
