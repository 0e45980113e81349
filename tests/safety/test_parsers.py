"""Changed bytes in every kind of file that gmaps reads: a value or an error of ours, and nothing else."""

from __future__ import annotations

import io
import json
import pickle
import random
import re
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
from scipy.io import savemat

import gmaps
from gmaps.camera import Camera
from gmaps.capture.depth_file import read_depth
from gmaps.center import load_centers
from gmaps.errors import FrameError, PredictionError
from gmaps.evaluation.files import read_table
from gmaps.formats import npy, png, tiff
from gmaps.formats.mat import read_array
from gmaps.formats.numpy_pickle import parse_pickle
from gmaps.formats.strict_toml import parse_toml
from gmaps.pipeline import dispatch
from gmaps.pipeline.ledger import Ledger, ShardRecord
from gmaps.store.checksums import verify_checksums
from gmaps.store.file_records import parse_checksums
from gmaps.store.group_metadata import parse_rejects
from gmaps.store.writer import FileRecord
from tests.safety.kit import bad, in_children

TEXT = [b"0", b"-1", b"65535", b"4294967295", b"1e999", b"nan", b"inf", b"1_0", b"\x00", b"\xff\xfe",
        b"\r\r\n", b"\n", b",", b"{", b"}", b"[", b"]", b'"', b"\\", b"../../", b"/etc/passwd", b"%s",
        b"\xef\xbb\xbf", b"9" * 50, b"1" * 5000, "\u0661".encode(), b"null", b"true", b"[" * 300]  # fmt: skip
WORDS = (0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0x10000)


def mutated(content, rnd):
    """The bytes after one to nine changes."""
    b = bytearray(content)
    for _ in range(rnd.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        what, at = rnd.randrange(8), rnd.randrange(max(len(b), 1))
        if what == 0 and b:
            b[at] ^= 1 << rnd.randrange(8)
        elif what == 1 and b:
            b[at] = rnd.randrange(256)
        elif what == 2:
            b[at:at] = rnd.choice(TEXT)
        elif what == 3:
            del b[at : at + rnd.choice((1, 2, 4, 8, 64))]
        elif what == 4:
            b[at:at] = b[rnd.randrange(len(b) or 1) :][: rnd.choice((1, 4, 16, 64))]
        elif what == 5 and rnd.random() < 0.3:
            del b[at:]
        elif what == 6 and len(b) >= 4:
            struct.pack_into(rnd.choice("<>") + "I", b, min(at, len(b) - 4), rnd.choice((*WORDS, len(b))))
        else:
            numbers = list(re.finditer(rb"[0-9]+", bytes(b)))
            if numbers:
                found = rnd.choice(numbers)
                b[found.start() : found.end()] = rnd.choice(TEXT[:8])
    return bytes(b)


def checked_png(data):
    """Right checksums, so that changes reach the decoder."""
    b, at = bytearray(data), 8
    while at + 12 <= len(b):
        size = struct.unpack_from(">I", b, at)[0]
        if at + 12 + size > len(b):
            break
        struct.pack_into(">I", b, at + 8 + size, zlib.crc32(bytes(b[at + 4 : at + 8 + size])))
        at += 12 + size
    return bytes(b)


def saved(save, *args, **kwargs):
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


def ledger_lines():
    files = [FileRecord("depth/c.0.0.0", 100, 7), FileRecord("maps/geodesic/c.0.0.0.0", 5, 2**32 - 1)]
    rejects = [{"row": 3, "frame": 9, "name": "a.png", "reason": "no hand"}]
    records = [ShardRecord(0, 4, files, rejects, 1), ShardRecord(1, 4, files)]
    head = json.dumps({"fingerprint_of": {"maps": {"maps": ["geodesic"]}}})
    return ("\n".join([head, *(r.to_json() for r in records)]) + "\n").encode()


IMAGE = (np.arange(80, dtype=np.uint16) * 300).reshape(8, 10)
ARRAY = np.arange(63, dtype=np.float32).reshape(21, 3)
TABLE = "".join(f"frame{k} " + " ".join(f"{v:.3f}" for v in range(9)) + "\n" for k in range(4)).encode()
RECORDS = {"algorithm": "crc32c", "files": {"depth/c.0.0.0": [100, "00c0ffee"], "rejects.json": [3, "12345678"]}}
REJECTS = [{"row": 1, "frame": 2, "name": "x", "reason": "y"}]
TOML = b'format = 1\n[camera]\nfx = 475.0\nwidth = 640\n[joints]\nfile = "joints.csv"\naxes = ["x", "-y"]\n'


def with_file(parse, name):
    def work(data, folder):
        (folder / name).write_bytes(data)
        return parse(folder / name)

    return work


def checkpoint(folder):
    torch = pytest.importorskip("torch")
    state = {
        "format": 1,
        "model": {"maps": ["geodesic"], "size": 8},
        "skeleton": {"name": "s", "joints": ["a"]},
        "crop": {"projection": "orthographic", "half_side": 120.0},
        "weights": {"w": torch.zeros(3)},
    }
    torch.save(state, folder / "c.pt")
    return (folder / "c.pt").read_bytes()


def load(path):
    from gmaps.training.checkpoint import load_checkpoint, restore_model

    return restore_model(load_checkpoint(path))


def mat(folder):
    savemat(folder / "x.mat", {"joints": np.arange(24.0).reshape(2, 4, 3)}, do_compression=True)
    return (folder / "x.mat").read_bytes()


PNG = cv2.imencode(".png", IMAGE)[1].tobytes()
CAMERA = Camera(50.0, 50.0, 5.0, 4.0, 10, 8)
#: Name -> an example, and what reads it.
FORMATS = {
    "predict --frame x.npy": (saved(np.save, IMAGE.astype(np.float32)), with_file(read_depth, "x.npy")),
    "predict --frame x.png": (PNG, with_file(read_depth, "x.png")),
    "png": (
        cv2.imencode(".png", IMAGE)[1].tobytes(),
        lambda d, _: png.decode(checked_png(d), "x", "grey16", (10, 8)),
    ),
    "tiff": (cv2.imencode(".tif", IMAGE)[1].tobytes(), lambda d, _: tiff.decode_tiff(d, "x", (10, 8))),
    "npy": (saved(np.save, ARRAY), lambda d, _: npy.parse_npy(d, "x")),
    "npz": (saved(np.savez_compressed, a=ARRAY), lambda d, _: npy.parse_npz(d, "x", "a")),
    "pickle": (pickle.dumps({"a": ARRAY, "b": [IMAGE, "c"]}, 2), lambda d, _: parse_pickle(d, "x")),
    "mat": (mat, with_file(lambda p: read_array(p, "joints", 1 << 20), "y.mat")),
    "toml": (TOML, lambda d, _: parse_toml(d, "x")),
    "predictions": (TABLE, with_file(lambda p: read_table(p, 3), "x.txt")),
    "centres": (b"1 2 300\ninvalid\n4 5 600\n", with_file(lambda p: load_centers(p, CAMERA, 3), "x.txt")),
    "checkpoint": (checkpoint, with_file(load, "x.pt")),
    "ledger": (ledger_lines(), with_file(lambda p: Ledger(p.parent, p.name), "ledger.jsonl")),
    "checksums": (json.dumps(RECORDS).encode(), lambda d, _: parse_checksums(d, "x")),
    "rejects": (json.dumps(REJECTS).encode(), lambda d, _: parse_rejects(d, "x")),
}


@pytest.mark.parametrize("count", [400, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FORMATS)
def test_changed_bytes(name, count, tmp_path):
    example, parse = FORMATS[name]
    content = example(tmp_path) if callable(example) else example
    parse(content, tmp_path) if name != "checkpoint" else None
    count = count // 10 if name == "checkpoint" else count  # torch takes a millisecond for each

    def work(k):
        parse(mutated(content, random.Random(k)), tmp_path)

    assert not bad(in_children(work, range(count), seconds=10, memory=1 << 30))


def test_a_ledger_names_files_of_shards_and_no_others(tmp_path):
    for path in ("../secret.txt", "/etc/passwd", "zarr.json", "depth/../../x", "maps/a/b/c.0", "depth/c.0/../x", ""):
        line = ShardRecord(0, 4, [FileRecord(path, 1, 1)]).to_json()
        (tmp_path / "ledger.jsonl").write_text('{"fingerprint_of": {}}\n' + line + "\n")
        assert Ledger(tmp_path).records == {}, path


def test_a_changed_line_of_a_ledger_costs_its_own_shard_alone(tmp_path):
    lines = ledger_lines().splitlines()
    (tmp_path / "ledger.jsonl").write_bytes(b"\n".join([lines[0], b"x" + lines[1], lines[2], lines[1][:20]]))
    found = Ledger(tmp_path)
    assert list(found.records) == [1]
    found.add(ShardRecord(2, 4, []))
    assert list(Ledger(tmp_path).records) == [1, 2]


def test_a_number_of_many_digits_and_a_picture_of_many_pixels_take_no_memory(tmp_path):
    row = " ".join(["1.5"] * 48)
    (tmp_path / "x.txt").write_text("\n".join([row] * 300 + [" ".join(["1.5"] * 47 + ["1" * 300_000])]))
    header = struct.pack(">IIBBBBB", 24_000, 24_000, 16, 0, 0, 0, 0)
    inflates = zlib.compress(bytes(1 << 22), 9)
    chunks = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c))
                      for k, c in ((b"IHDR", header), (b"IDAT", inflates), (b"IEND", b"")))  # fmt: skip
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)

    def work(k):
        read_table(tmp_path / "x.txt", 16) if k == 0 else read_depth(tmp_path / "x.png")

    found = in_children(work, [0, 1], memory=256 << 20)
    assert found[0][1].startswith(PredictionError.__name__)
    assert "not a finite number" in found[0][1]
    assert found[1][1].startswith(FrameError.__name__)
    assert "pixels" in found[1][1]


def test_a_record_that_says_too_little_costs_its_own_shard_alone(tmp_path):
    """A line of a ledger may be whole JSON and lack files, rows or a place in the build."""
    out = tmp_path / "x.zarr"
    how = {"maps": ("geodesic",), "crop_size": 32, "map_size": 8, "shard_samples": 4, "workers": 0, "progress": False}

    def build(k=0, stop=False):
        write, made = dispatch.write_shard, []

        def writing(source, job, k):
            if stop and k == 3:
                raise KeyboardInterrupt
            made.append(k)
            return write(source, job, k)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatch, "write_shard", writing)
            try:
                gmaps.build("synthetic", out, dataset_options={"frames": 16}, **how)
            except KeyboardInterrupt:
                assert stop
        return made

    assert build(stop=True) == [0, 1, 2]
    ledger = tmp_path / "x.zarr.partial" / "ledger.jsonl"
    whole = ledger.read_text().splitlines()

    def other(line, **values):
        return json.dumps(json.loads(line) | values)

    files = json.loads(whole[1])["files"]
    reject = {"row": 9, "frame": 9, "name": "x", "reason": "y"}
    for changed, again in (
        ([other(whole[1], files=[])], [0, 3]), ([other(whole[1], files=files[1:])], [0, 3]),
        ([other(whole[1], files=[*files, files[0]])], [0, 3]), ([other(whole[1], rows=3)], [0, 3]),
        ([other(whole[1], rejects=[reject])], [0, 3]), ([other(whole[2], shard=3)], [0, 3]),
        ([whole[1], other(whole[1], shard=77)], [3]),
    ):  # fmt: skip
        shutil.copytree(ledger.parent, tmp_path / "kept")
        ledger.write_text("\n".join([whole[0], *changed, *whole[2:]]) + "\n")
        assert build() == again, changed
        assert verify_checksums(out) == []
        shutil.rmtree(out)
        (tmp_path / "kept").rename(ledger.parent)
