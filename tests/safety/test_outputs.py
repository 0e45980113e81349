"""What commands write takes the place of nothing that gmaps did not make, nor of what they read."""

from __future__ import annotations

import errno
import os
import shutil

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main
from matplotlib.figure import Figure

from gmaps.camera import Camera
from gmaps.capture import Recorder, open_source
from gmaps.capture.shot import Shot
from gmaps.errors import OutputError, PredictionError, StoreLockedError, UsageError
from gmaps.evaluation import write_table
from gmaps.evaluation.files import replace_text
from gmaps.formats.outputs import check_place, holds, replacing
from gmaps.formats.ply import write_ply
from gmaps.inference.track_file import TrackWriter
from gmaps.plot.film import Film
from gmaps.plot.sample import save_figure
from gmaps.skeleton import get_skeleton
from gmaps.store import open_store
from gmaps.store.export import export_hdf5
from tests.unit.store_kit import fake_rows, write_store

CAMERA = Camera(50.0, 50.0, 5.0, 4.0, 10, 8)
SKELETON = get_skeleton("msra21")
PICTURE = np.zeros((8, 10, 3), np.uint8)


def shot(k=0):
    return Shot(np.full((8, 10), 500.0 + k, np.float32), k / 30, str(k))


def record(path):
    recorder = Recorder(path, CAMERA)
    recorder.add(shot())
    recorder.close()


def film(path):
    made = Film(path)
    made.add(PICTURE)
    made.close()


def tracks(path):
    writer = TrackWriter(path, CAMERA, SKELETON)
    writer.add("0", 0.0, [])
    writer.close()


#: How each kind of file is written.
WRITERS = {
    "picture.png": lambda p: save_figure(Figure(), p),
    "picture.svg": lambda p: save_figure(Figure(), p),
    "picture.pdf": lambda p: save_figure(Figure(), p),
    "mesh.ply": lambda p: write_ply(p, np.eye(3), [[0, 1, 2]]),
    "tracks.jsonl": tracks,
    "tracks.npz": tracks,
    "recording.npz": record,
    "film.gif": film,
    "joints.txt": lambda p: write_table(p, np.ones((2, 21, 3))),
    "joints.json": lambda p: replace_text(p, "[[[1, 2, 3]]]\n"),
}
OTHERS = (
    b"years of work\n",
    b"\x89PNG\r\n\x1a\n of a camera",
    b"PK\x03\x04",
    b"ply\nformat ascii 1.0\n",
    b'{"a": 1}',
)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_replaced_by_its_like_alone(tmp_path, name):
    place, write = tmp_path / name, WRITERS[name]
    write(place)
    first = place.read_bytes()
    write(place)  # as who changes an option and runs the command again
    assert first[:4] == place.read_bytes()[:4]
    for other in OTHERS:
        place.write_bytes(other)
        with pytest.raises((OutputError, PredictionError), match="nothing says that gmaps made it"):
            write(place)
        assert place.read_bytes() == other
    place.unlink()
    (tmp_path / "linked").write_text("years of work\n")
    place.symlink_to(tmp_path / "linked")
    with pytest.raises((OutputError, PredictionError)):
        write(place)
    place.unlink()
    for odd, why in (
        (os.mkfifo, "a pipe"),
        (os.mkdir, "is a directory"),
        (lambda p: p.symlink_to("/dev/null"), "a device"),
    ):
        odd(place)
        with pytest.raises((OutputError, PredictionError), match=why):
            write(place)
        place.rmdir() if why == "is a directory" else place.unlink()
    assert [p.name for p in tmp_path.iterdir()] == ["linked"]
    assert os.stat("/dev/null").st_rdev


def test_a_link_stays_one_and_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "there").write_bytes(b"mine 1")
    (tmp_path / "link").symlink_to("there")
    with replacing(tmp_path / "link", holds(b"mine")) as place:
        place.write_bytes(b"mine 2")
    assert (tmp_path / "link").is_symlink()

    def fail(error):
        with replacing(tmp_path / "link", holds(b"mine")) as place:
            place.write_bytes(b"mine 3")
            raise error

    for error in (OSError(errno.ENOSPC, "full"), KeyboardInterrupt()):
        with pytest.raises((OutputError, KeyboardInterrupt)):
            fail(error)
    assert (tmp_path / "there").read_bytes() == b"mine 2"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "there"]
    with pytest.raises(OutputError, match="is what is read"):
        check_place(tmp_path / "there", holds(b"mine"), [None, "nowhere", tmp_path / "link"])


def test_a_recording_of_itself_and_pictures_among_others(tmp_path):
    record(tmp_path / "r.npz")
    kept = (tmp_path / "r.npz").read_bytes()
    with pytest.raises(OutputError, match="is what is read"):
        Recorder(tmp_path / "r.npz", CAMERA, [tmp_path / "r.npz"])
    with pytest.raises(OutputError, match="nothing says"):
        TrackWriter(tmp_path / "r.npz", CAMERA, SKELETON)
    with pytest.raises(OutputError, match="nothing says"):
        Film(shutil.copy(tmp_path / "r.npz", tmp_path / "f.avi"))
    with pytest.raises(OutputError, match="is not empty"):
        Film(tmp_path)
    assert (tmp_path / "r.npz").read_bytes() == kept


def test_a_recording_on_a_disk_that_fills_keeps_the_frames_before(tmp_path, monkeypatch):
    recorder, write = Recorder(tmp_path / "r.npz", CAMERA), np.lib.format.write_array
    recorder.add(shot(0))
    recorder.add(shot(1))

    def full(file, array, **options):
        file.write(b"half of an array")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OutputError, match="No space left"):
        recorder.add(shot(2))
    monkeypatch.setattr(np.lib.format, "write_array", write)
    recorder.close()
    assert [float(s.depth[0, 0]) for s in open_source(tmp_path / "r.npz")] == [500, 501]


def test_a_fit_does_not_replace_its_joints(tmp_path):
    joints = np.random.default_rng(0).normal(0, 40, (2, 21, 3))
    np.savez(tmp_path / "j.npz", joints=joints)
    np.save(tmp_path / "j.npy", joints)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for words in (["j.npz", "--out", "j.npz"], ["j.npy", "--out", "f.npz", "--vertices", "j.npy"],
                  ["j.npz", "--out", "f.npz", "--ply", "j.npy"]):  # fmt: skip
        paths = [str(tmp_path / w) if "." in w else w for w in words]
        ended = CliRunner().invoke(main, ["fit", *paths])
        assert ended.exit_code == 2, ended.output
        assert "is what is read" in ended.output or "nothing says" in ended.output
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.fixture
def exported(tmp_path):
    store = open_store(write_store(tmp_path / "s.zarr", fake_rows(6)))
    export_hdf5(store, tmp_path / "out", ["geodesic"])
    return store, tmp_path / "out"


def again(store, out):
    return export_hdf5(store, out, ["heatmap"], overwrite=True)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_an_export_is_known_by_its_list_of_files(exported, tmp_path):
    store, out = exported
    (out / "notes.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds 'notes.txt', which is no part of the export"):
        again(store, out)
    (out / "notes.txt").rename(out / ".DS_Store")
    again(store, out)
    assert names(out) == ["annotation", "clean_16", "heatmap_8", "pose_c"]
    for make in (
        lambda p: p.write_text("a list"),
        lambda p: h5py.File(p, "w").close(),
        lambda p: os.truncate(p, 900),
    ):
        make(out / "annotation")
        before = names(out)
        with pytest.raises(UsageError, match="is no export of ours"):
            again(store, out)
        assert names(out) == before
    assert names(tmp_path) == ["out", "s.zarr"]


def test_an_export_that_was_stopped_between_two_names(exported, tmp_path):
    store, out = exported
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    out.rename(tmp_path / ".out.gmaps-replaced")
    (tmp_path / ".out.gmaps-export").mkdir()
    (tmp_path / ".out.gmaps-export" / ".gmaps-export").touch()
    (tmp_path / ".out.gmaps-export" / "pose_c").write_text("half")
    with pytest.raises(UsageError, match="there already"):
        export_hdf5(store, out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    shutil.copytree(out, tmp_path / ".out.gmaps-replaced")
    again(store, out)
    assert names(tmp_path) == ["out", "s.zarr"]
    (tmp_path / ".out.gmaps-export").mkdir()
    (tmp_path / ".out.gmaps-export" / "thesis").write_text("years of work")
    with pytest.raises(UsageError, match="is in the way, and gmaps did not make it"):
        again(store, out)
    assert (tmp_path / ".out.gmaps-export" / "thesis").exists()


def test_two_exports_at_once(exported):
    store, out = exported

    def meanwhile(rows):
        with pytest.raises(StoreLockedError, match="another process exports"):
            again(store, out)

    export_hdf5(store, out, ["heatmap"], overwrite=True, progress=meanwhile)
    assert "heatmap_8" in names(out)


def test_what_no_run_left_is_moved_aside(tmp_path):
    torch = pytest.importorskip("torch")
    from gmaps.training.log import Log
    from gmaps.training.run_folder import move_others_aside

    Log(tmp_path).close()
    (tmp_path / "best.pt").write_bytes(b"years of work")
    torch.save({"mine": torch.zeros(2)}, tmp_path / "last.pt")
    (tmp_path / "best.pt.kept-1").write_bytes(b"earlier")
    move_others_aside(tmp_path)
    assert names(tmp_path) == ["best.pt.kept-1", "best.pt.kept-2", "last.pt.kept-1", "log.csv"]
    assert (tmp_path / "best.pt.kept-2").read_bytes() == b"years of work"
    (tmp_path / "log.csv").write_text("day,hours\n")
    move_others_aside(tmp_path)
    assert (tmp_path / "log.csv.kept-1").read_text() == "day,hours\n"
