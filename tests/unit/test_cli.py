"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps


def run(*args, **kwargs):
    return CliRunner().invoke(main, [str(a) for a in args], **kwargs)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "hands.zarr"
    result = run("build", "--limit", 44, "--workers", 0, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    assert "44 frames" in result.output
    return out


def test_help_of_everything_is_short_and_complete():
    for command in ([], ["datasets"], ["maps"], ["build"], ["inspect"], ["inspect", "store"], ["inspect", "sample"],
                    ["verify"], ["export"], ["store"], ["store", "add"],
                    ["store", "remove"], ["doctor"]):  # fmt: skip
        result = run(*command, "--help")
        assert result.exit_code == 0
        assert "Usage: " in result.output
        assert max(map(len, result.output.splitlines())) <= 100


@pytest.mark.parametrize("command", ["import gmaps", "from gmaps.cli import main"])
def test_start_up_loads_nothing_heavy(command):
    heavy = ("numba", "dask", "distributed", "torch", "matplotlib", "zarr", "cv2", "scipy")
    code = f"{command}; import sys; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["biuld"], 2, "Did you mean 'build'"),
        (["build", "--dataset", "mrsa"], 2, "Did you mean 'msra'"),
        (["build", "--maps", "geodesic,heatmaps"], 2, "Did you mean 'heatmap'"),
        (["build", "--maps", "geodesic,geodesic"], 2, "asked for twice"),
        (["build", "--workers", "-1"], 2, "--workers"),
        (["build", "--limit", "0"], 2, "--limit"),
        (["build", "--split", "validation"], 2, "--split"),
        (["build", "--projection", "fisheye", "--limit", "1"], 2, "no projection called 'fisheye'"),
        (["build", "--half-side", "-3", "--limit", "1"], 2, "half_side must be positive"),
        (["build", "--map-size", "3", "--limit", "1"], 2, "8 to 512"),
        (["build", "--max-rejects", "many", "--limit", "1"], 2, "max_rejects"),
        (["build", "--dtype", "uint8", "--limit", "1"], 2, "signed_edt"),
        (["build", "-O", "seed"], 2, "KEY=VALUE"),
        (["build", "-O", "seeds=3", "--limit", "1"], 2, "seed"),
        (["build", "-O", "name=msra", "--limit", "1"], 2, "say --dataset msra"),
        (["build", "-O", "root=/data", "--limit", "1"], 2, "say --root /data"),
        (["build", "-O", "split=train", "--limit", "1"], 2, "say --split train"),
        (["build", "--center", "nowhere.txt", "--limit", "1"], 1, "no such centre file"),
        (["build", "--dataset", "msra"], 1, "GMAPS_DATA"),
        (["build", "--dataset", "msra", "--root", "nowhere"], 1, "no such directory"),
        (["build", "--scheduler", "nonsense", "--limit", "1"], 2, "address like tcp://"),
        (["datasets", "nyv"], 2, "Did you mean 'nyu'"),
        (["datasets", "msra", "--check", "nowhere"], 1, "no such directory"),
        (["maps", "geodesics"], 2, "Did you mean 'geodesic'"),
        (["maps", "--save", "p.png"], 2, "--save needs the NAME"),
        (["inspect", "store"], 1, "no store here"),
        (["inspect", "store", "--store", "."], 1, "no zarr.json in it"),
        (["inspect", "sample", "1", "--store", "nothing.zarr"], 1, "does not exist"),
        (["verify", "nothing.zarr"], 1, "does not exist"),
    ],
)
def test_mistakes_are_named_with_their_cure(args, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GMAPS_DATA", raising=False)
    monkeypatch.delenv("GMAPS_STORE", raising=False)
    if args[0] == "build":
        args = [*args, "--quiet", "--out", "x.zarr"]
        if "--workers" not in args:
            args += ["--workers", "0"]
    result = run(*args)
    assert message in result.output
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert not (tmp_path / "x.zarr").exists()


def test_store_is_found_where_it_lies(store, monkeypatch, tmp_path):
    monkeypatch.delenv("GMAPS_STORE", raising=False)
    monkeypatch.chdir(store.parent)
    assert "44, 44 of them valid" in run("inspect", "store").output
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GMAPS_STORE", str(store))
    assert "44, 44 of them valid" in run("inspect", "store").output
    monkeypatch.delenv("GMAPS_STORE")
    (tmp_path / "a.zarr.partial").mkdir()
    assert "only a.zarr.partial" in run("inspect", "store").output
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "b.zarr").mkdir()
    result = run("inspect", "store")
    assert "which store? There are a.zarr, b.zarr" in result.output
    assert result.exit_code == 1


def test_inspect_store(store):
    text = run("inspect", "store", "--store", store).output
    for expected in ("msra21, 21 joints", "44x32x32x21", "maps/geodesic_scale", "lz4", "fingerprint"):
        assert expected in text
    values = json.loads(run("inspect", "store", "--store", store, "--json").stdout)
    assert values["rows"] == 44
    assert values["arrays"]["depth"]["shape"] == [44, 128, 128]


def test_inspect_sample(store, tmp_path):
    result = run("inspect", "sample", 42, "--store", store, "--save", tmp_path / "p.png")
    assert result.exit_code == 0, result.output
    for expected in ("row 42, frame 42", "half side", "index_tip", "geodesic_weighted", "no joint lies outside"):
        assert expected in result.output
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    sample = gmaps.open_store(store)[42]
    values = json.loads(run("inspect", "sample", 42, "--store", store, "--json").stdout)
    assert values["joints_mm"]["wrist"] == pytest.approx(sample.joints[0].tolist())
    assert values["maps"]["geodesic"]["max"] == pytest.approx(float(sample.maps["geodesic"].max()))
    one = run("inspect", "sample", 42, "--store", store, "--joint", "thumb_tip", "--json")
    assert list(json.loads(one.stdout)["joints_mm"]) == ["thumb_tip"]
    assert json.loads(run("inspect", "sample", 42, "--store", store, "--joint", 20, "--json").stdout) == json.loads(
        one.stdout
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((44,), "44 samples, 0 to 43"),
        ((1, "--joint", 21), "there is no joint 21"),
        ((1, "--joint", "-1"), "there is no joint -1"),
        ((1, "--joint", "thumb_top"), "Did you mean 'thumb_tip'"),
        ((1, "--joint", "²"), "no joint of msra21 called '²'"),
        ((1, "--save", "nowhere/p.png"), "cannot be written"),
        ((1, "--save", "p.xyz"), "cannot be written"),
    ],
)
def test_inspect_sample_mistakes(store, args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("inspect", "sample", *args, "--store", store)
    assert message in result.output
    assert result.exit_code == 2


def test_verify_finds_a_changed_byte(store, tmp_path):
    import shutil

    result = run("verify", store)
    assert result.exit_code == 0, result.output
    assert "32 rows of 44 made again are the same" in result.output
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    chunk = next(p for p in (copy / "maps" / "geodesic").rglob("c.*") if p.is_file())
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    result = run("verify", copy)
    assert result.exit_code == 1
    assert "geodesic" in result.output
    assert json.loads(run("verify", copy, "--json").stdout)["damaged"]


def test_same_command_again_is_complete_and_another_is_refused(store):
    same = run("build", "--limit", 44, "--workers", 0, "--out", store, "--quiet")
    assert same.exit_code == 0
    assert "already complete" in same.output
    other = run("build", "--limit", 44, "--workers", 0, "--out", store, "--quiet", "--half-side", 100)
    assert other.exit_code == 1
    assert "half_side" in other.output
    assert "--overwrite" in other.output


@pytest.mark.parametrize(("text", "shown"), [("", "stopped: run the same command again"), ("3 kept", "3 kept")])
def test_ctrl_c_leaves_with_130_and_says_how_to_go_on(text, shown, monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt(*([text] if text else []))

    monkeypatch.setattr("gmaps.pipeline.build", stopped)
    result = run("build", "--limit", 1)
    assert result.exit_code == 130
    assert f"gmaps: {shown}" in result.stderr


def test_dry_run_writes_nothing(tmp_path):
    out = tmp_path / "d.zarr"
    result = run("build", "--limit", 3000, "--out", out, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["shards"] == 3
    assert list(tmp_path.iterdir()) == []


def test_lists(tmp_path):
    assert {d["name"] for d in json.loads(run("datasets", "--json").stdout)} >= {"msra", "nyu", "synthetic"}
    assert {m["name"] for m in json.loads(run("maps", "--json").stdout)} == set(gmaps.list_maps())
    assert "cvpr15" in run("datasets", "msra").output
    assert "|grad T| = 1" in run("maps", "geodesic").output


def test_doctor_says_how_to_install_an_extra(monkeypatch):
    versions = json.loads(run("doctor", "--json").stdout)["versions"]
    assert versions["numpy"] == version("numpy")
    assert versions["torch"] == version("torch")
    assert "pytest" not in versions

    def bare(package):
        if package in ("torch", "numba"):
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr("gmaps.cli.doctor.version", bare)
    versions = json.loads(run("doctor", "--json").stdout)["versions"]
    assert versions["torch"] == "not installed: pip install 'guidance-maps[train]'"
    assert versions["numba"] == "missing"


def test_check_counts_what_is_there(msra_tree):
    root = msra_tree({"P0": {"1": 3, "TIP": 2}})
    result = run("datasets", "msra", "--check", root, "--json")
    checks = json.loads(result.stdout)["checks"]
    assert any(c["found"] == 3 and c["expected"] == 500 and c["problem"] for c in checks)
    assert result.exit_code == 1
    text = run("datasets", "msra", "--check", root)
    assert "problems" in text.output
    (root / "P0" / "1" / "000001_depth.bin").write_bytes(b"short")
    broken = run("datasets", "msra", "--check", root).output
    assert "000001_depth.bin" in broken


def test_rejects_over_the_limit_leave_with_3(msra_tree, tmp_path):
    root = msra_tree({"P0": {"1": 4, "TIP": 3}})
    broken = root / "P0" / "1" / "000002_depth.bin"
    broken.write_bytes(broken.read_bytes()[:-100])
    out = tmp_path / "m.zarr"
    result = run("build", "--dataset", "msra", "--root", root, "--out", out, "--workers", 0, "--quiet")
    assert result.exit_code == 3, result.output
    assert "1 frames rejected (more than the limit)" in result.output
    again = run("build", "--dataset", "msra", "--root", root, "--out", out, "--workers", 0, "--quiet",
                "--max-rejects", "50%")  # fmt: skip
    assert again.exit_code == 0
    bad = json.loads(run("inspect", "store", "--store", out, "--json").stdout)["rejects"][0]
    shown = run("inspect", "sample", bad["row"], "--store", out)
    assert shown.exit_code == 0
    assert "rejected" in shown.output


def test_inspect_tells_of_missing_files(store, tmp_path):
    import shutil

    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    next((copy / "depth").glob("c.*")).unlink()
    result = run("inspect", "store", "--store", copy)
    assert result.exit_code == 1
    assert "files of depth are missing" in result.output
    (copy / "rejects.json").write_text("{torn")
    result = run("inspect", "store", "--store", copy)
    assert result.exit_code == 1
    assert "rejects.json" in result.output
    (copy / "rejects.json").write_text("[]")
    group = json.loads((copy / "zarr.json").read_text())
    del group["attributes"]["crop"]
    (copy / "zarr.json").write_text(json.dumps(group))
    result = run("inspect", "store", "--store", copy)
    assert result.exit_code == 1
    assert "lacks the attributes crop" in result.output


@pytest.mark.parametrize("kind", ["geodesic_surface", "limb", "views_euclidean"])
def test_a_map_is_drawn_and_timed(kind, tmp_path):
    result = run("maps", kind, "--save", tmp_path / "p.png", "--cost", "--json")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "p.png").stat().st_size > 10_000
    assert 1 < json.loads(result.stdout)["microseconds"] < 1e5
    assert "us a frame here" in run("maps", kind, "--cost").output
