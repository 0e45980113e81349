"""Arrays of MATLAB 5 files: as SciPy reads them, and every lie a refusal."""

import random
import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csc_array

from gmaps.errors import DatasetError
from gmaps.formats.mat import read_array
from tests.safety.kit import bad, in_children

MOST = 1 << 20


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def path(tmp_path, request):
    rng = np.random.default_rng(0)
    values = {
        "joints": rng.random((3, 5, 36, 3)),
        "names": np.array(["a", "b"], object),
        "whole": np.arange(12).reshape(3, 4),
        "bytes": np.arange(200, dtype=np.uint8),
        "single": rng.random((4, 2)).astype(np.float32),
        "tiny": np.array([[1, 2]], np.int16),
        "complex": rng.random(9) * 1j,
        "sparse": csc_array(np.eye(4)),
        "text": "text",
    }
    savemat(tmp_path / "a.mat", values, do_compression=request.param)
    return tmp_path / "a.mat"


@pytest.mark.parametrize("name", ["joints", "whole", "bytes", "single", "tiny"])
def test_as_scipy_reads_them(path, name):
    want, got = loadmat(path)[name], read_array(path, name, MOST)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype


@pytest.mark.parametrize(
    ("name", "what"),
    [("names", "a cell array"), ("complex", "complex numbers"), ("sparse", "a sparse array"), ("text", "is text"),
     ("nothing", "has no nothing, but joints, names, whole")],
)  # fmt: skip
def test_what_is_no_array_of_real_numbers(path, name, what):
    with pytest.raises(DatasetError, match=f"a.mat: .*{what}"):
        read_array(path, name, MOST)


def test_each_bit_of_the_first_variable_and_of_its_tags(path):
    """A changed class or flag sent SciPy into memory that was not its own."""
    content = path.read_bytes()

    def work(bit):
        data = bytearray(content)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        return read_array(path, "joints", MOST).shape

    assert not bad(in_children(work, range(8 * 220)))


@pytest.mark.parametrize("count", [500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_damaged_files(path, count):
    content = path.read_bytes()

    def work(k):
        rnd, data = random.Random(k), bytearray(content)
        for _ in range(rnd.randrange(1, 5)):
            data[rnd.randrange(len(data))] = rnd.randrange(256)
        path.write_bytes(data[: rnd.randrange(len(data))] if rnd.random() < 0.2 else data)
        return read_array(path, rnd.choice(("joints", "tiny")), MOST).shape

    assert not bad(in_children(work, range(count)))


def compressed(tmp_path, matrix, says=None):
    """A file of one compressed element."""
    body = zlib.compress(struct.pack("<II", 14, len(matrix) if says is None else says) + matrix)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (tmp_path / "b.mat").write_bytes(head + struct.pack("<II", 15, len(body)) + body)
    return tmp_path / "b.mat"


def matrix(flags, shape, numbers, kind=9):
    parts = [(6, struct.pack("<II", flags, 0)), (5, struct.pack(f"<{len(shape)}i", *shape)), (1, b"joints")]
    return b"".join(
        struct.pack("<II", k, len(c)) + c.ljust(-(-len(c) // 8) * 8, b"\0") for k, c in [*parts, (kind, numbers)]
    )


def test_flags_within_compressed_variables(tmp_path):
    numbers = np.arange(4.0).tobytes()
    assert read_array(compressed(tmp_path, matrix(6, (2, 2), numbers)), "joints", MOST).tolist() == [[0, 2], [1, 3]]
    for flags, what in ((6 | 0x800, "complex"), (5, "sparse"), (1, "cell"), (99, "class 99")):
        with pytest.raises(DatasetError, match=what):
            read_array(compressed(tmp_path, matrix(flags, (2, 2), numbers)), "joints", MOST)
    for shape in ((2, 3), (-2, -2), (1 << 30, 1 << 30)):
        with pytest.raises(DatasetError, match="do not fill"):
            read_array(compressed(tmp_path, matrix(6, shape, numbers)), "joints", MOST)


def test_a_small_file_that_inflates_without_end(tmp_path):
    path = compressed(tmp_path, matrix(6, (1 << 25, 1), bytes(1 << 28)))
    assert path.stat().st_size < 1 << 20
    read = in_children(lambda _: read_array(path, "joints", MOST), [0], memory=64 << 20)
    assert read[0][0] == "error"
    assert "bytes" in read[0][1]
    lying = compressed(tmp_path, matrix(6, (1 << 25, 1), bytes(1 << 28)), says=1000)
    assert in_children(lambda _: read_array(lying, "joints", MOST), [0], memory=64 << 20)[0][0] == "error"


def test_a_newer_format_is_named(tmp_path):
    (tmp_path / "c.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(99))
    with pytest.raises(DatasetError, match=r"MATLAB 7\.3, which is HDF5; write it .*'-v7'"):
        read_array(tmp_path / "c.mat", "joints", MOST)
