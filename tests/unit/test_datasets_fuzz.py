"""Any bytes at all: a reader gives a frame or one of our errors, never another exception, never a wild array."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from gmaps.center import load_centers
from gmaps.datasets import hands17, icvl, nyu
from gmaps.datasets.msra.bin_files import HEADER, parse_depth, parse_joints
from gmaps.datasets.write.frame_files import write_joint_data
from gmaps.errors import GmapsError
from gmaps.formats.label_lines import LONGEST, scan

small = st.integers(0, 40)
word = st.one_of(small, st.integers(300, 330), st.integers(0, 2**32 - 1))


@st.composite
def msra_frames(draw):
    """Files that are nearly right: a plausible or a wild header, then about as many bytes as it asks for."""
    left, top = draw(small), draw(small)
    box = [left, top, left + draw(small), top + draw(small)]
    head = [draw(st.sampled_from([320, 320, 320, 640])), 240, *box]
    if draw(st.booleans()):
        head[draw(st.integers(0, 5))] = draw(word)
    size = max(0, 4 * (box[2] - box[0]) * (box[3] - box[1]) + draw(st.sampled_from([0, 0, 0, -1, 4, -7])))
    body = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, size, np.uint8).tobytes()
    if draw(st.booleans()):
        body = np.full(size // 4, 350, "<f4").tobytes()
    return HEADER.pack(*head) + body


def attempt(parse, data):
    """What a parser makes of bytes, or None where it refuses them in our way."""
    try:
        return parse(data, "f")
    except GmapsError as error:
        message = str(error)
    assert re.match(r"f: |f, line |/.*joint_data.mat: ", message)
    return None


def memory_of(parse, data):
    """Bytes that a parser takes at most."""
    tracemalloc.start()
    try:
        attempt(parse, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def depth_or_error(data):
    depth = attempt(parse_depth, data)
    if depth is None:
        return False
    assert depth.shape == (240, 320)
    assert depth.dtype == np.float32
    assert (depth >= 0).all()
    return True


@settings(max_examples=300, deadline=None)
@given(msra_frames())
def test_msra_frames(data):
    depth_or_error(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_msra_frames_of_any_bytes(data):
    assert not depth_or_error(data) or len(data) >= 28


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_msra_frames_of_2014_of_any_bytes(seed):
    data = np.random.default_rng(seed).integers(0, 256, 307_200, np.uint8)
    assert not depth_or_error(data.tobytes())  # some of 76,800 random float32 is NaN, negative or beyond
    assert depth_or_error((data.view("<u4") % 600).astype("<f4").tobytes())


number = st.one_of(
    st.floats(-400, 400).map(lambda v: f"{v:.6g}"),
    st.sampled_from(["nan", "inf", "-inf", "1e999", "1e30", "x", "", "1,5", "0x10", "1_0", "\x00"]),
)


@st.composite
def joint_files(draw):
    rows = draw(st.integers(0, 3))
    lines = [" ".join(f"{v}" for v in range(1, 64)) for _ in range(rows)]
    for i in range(rows):
        if draw(st.booleans()):
            words = lines[i].split()
            words[draw(st.integers(0, 62))] = draw(number)
            lines[i] = " ".join(words[: draw(st.sampled_from([63, 63, 62, 0]))])
    count = draw(st.sampled_from([rows, rows, rows, rows + 1, -1, "x", ""]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r\r\n"]))
    return end.join([str(count), *lines, ""]).encode()


def joints_or_error(data):
    labels = attempt(parse_joints, data)
    if labels is None:
        return
    joints, faults = labels
    assert joints.dtype == np.float32
    assert joints.shape == (len(joints), 21, 3)
    assert all(0 <= i < len(joints) for i in faults)
    assert np.nanmax(np.abs(joints), initial=0) < 1e5


@settings(max_examples=300, deadline=None)
@given(joint_files())
def test_joint_files(data):
    joints_or_error(data)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(lambda b: b"1\n" + b)))
def test_joint_files_of_any_bytes(data):
    joints_or_error(data)


def test_many_empty_lines_take_no_memory_for_joints():
    data = b"100000\n" + b"x\n" * 100_000
    assert memory_of(parse_joints, data) < 100 * len(data)


def test_a_header_of_any_size_takes_no_memory():
    wild = HEADER.pack(2**31, 2**31, 0, 0, 2**31, 2**31) + bytes(100)
    assert memory_of(parse_depth, wild) < 2**16
    huge = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    assert memory_of(nyu.parse_depth, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + huge + bytes(100)) < 2**16


# --- NYU's labels ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def matlab_files(tmp_path_factory):
    """A small joint_data.mat, as it is and compressed, and a place for what becomes of them."""
    folder = tmp_path_factory.mktemp("mat")
    path = folder / "joint_data.mat"
    write_joint_data(path, np.random.default_rng(0).uniform((-150, -150, 600), (150, 150, 900), (1, 36, 3)))
    plain = path.read_bytes()
    savemat(path, {k: v for k, v in loadmat(path).items() if k.startswith("joint_")}, do_compression=True)
    return path, {"plain": plain, "compressed": path.read_bytes()}


def matlab_or_error(path, data):
    path.write_bytes(data)
    assert memory_of(lambda data, name: nyu.read_labels(path), data) < 2**20
    joints = attempt(lambda data, name: nyu.read_labels(path), data)
    if joints is not None:
        assert joints.shape[1:] == (36, 3)
        assert joints.dtype == np.float32


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["plain", "compressed"]),
    st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 255)), min_size=1, max_size=3),
    st.one_of(st.none(), st.integers(0, 8000)),
)
@pytest.mark.filterwarnings("ignore")
def test_matlab_files_with_changed_bytes(matlab_files, kind, changes, cut):
    path, good = matlab_files
    data = bytearray(good[kind])
    for at, value in changes:
        data[at % len(data)] = value
    matlab_or_error(path, bytes(data[:cut]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
@pytest.mark.filterwarnings("ignore")
def test_matlab_files_of_any_bytes(matlab_files, data):
    matlab_or_error(matlab_files[0], data)


def test_an_array_larger_than_the_data_set_is_refused_unread(tmp_path):
    path = tmp_path / "joint_data.mat"
    savemat(path, {"joint_xyz": np.zeros((3, 72_760, 36, 3))}, do_compression=True)
    assert path.stat().st_size < 200_000
    with pytest.raises(GmapsError, match=r"a variable of 188,593,920 bytes, where none has more than 188,590,240"):
        nyu.read_labels(path)
    assert memory_of(lambda data, name: nyu.read_labels(path), b"") < 2**20


# --- pictures --------------------------------------------------------------------------------------------------


def _png():
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:200, 100:200, :2] = np.random.default_rng(0).integers(0, 8, (100, 100, 2))
    return cv2.imencode(".png", image)[1].tobytes()


GOOD = _png()


def picture_or_error(data):
    depth = attempt(nyu.parse_depth, data)
    if depth is None:
        return False
    assert depth.shape == (480, 640)
    assert ((depth >= 0) & (depth < 2001)).all()
    return True


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_one_changed_byte_of_a_png_never_passes(at, flip):
    assert not picture_or_error(GOOD[:at] + bytes([GOOD[at] ^ flip]) + GOOD[at + 1 :])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1))
def test_a_torn_png_never_passes(at):
    assert not picture_or_error(GOOD[:at])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.booleans())
def test_pngs_of_any_bytes(data, signed):
    assert not picture_or_error(b"\x89PNG\r\n\x1a\n" + data if signed else data)


def test_the_untouched_png_passes():
    assert picture_or_error(GOOD)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=30), st.sampled_from([b"IDAT", b"tRNS", b"PLTE", b"abCd"]))
def test_pngs_of_sound_chunks_with_any_content(pixels, other, tag):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0))
    picture_or_error(b"\x89PNG\r\n\x1a\n" + head + chunk(tag, other) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


# --- labels of one frame a line --------------------------------------------------------------------------------


@st.composite
def label_files(draw, name=b"test_seq_1/image_%04d.png", count=48):
    """Lines that are nearly right, with the line ends of all systems and of ICVL."""
    lines = []
    for k in range(draw(st.integers(0, 4))):
        words = [name % k, *(b"%d" % (100 + v) for v in range(count))]
        if draw(st.booleans()):
            words[draw(st.integers(0, count))] = draw(number).encode()
        if draw(st.booleans()):
            words = words[: draw(st.integers(0, count + 1))]
        lines.append(draw(st.sampled_from([b" ", b"\t", b"  \t"])).join(words))
    return draw(st.sampled_from([b"\n", b"\r\n", b"\r\r\n", b"\r"])).join([*lines, b""])


def lines_or_error(data, parse_name, parse_line):
    """Scan a file as a reader does, and read each of its lines as that does."""
    found = attempt(lambda stream, name: scan(stream, name, parse_name), io.BytesIO(data))
    if found is None:
        return
    lines, names = found
    assert len(lines.start) == len(lines.number) == len(names) <= data.count(b"\n") + 1
    for start, number in zip(lines.start.tolist(), lines.number.tolist(), strict=True):
        assert data[:start].count(b"\n") == number - 1
        line = data[start:].split(b"\n", 1)[0]
        assert len(line) < LONGEST
        result = attempt(parse_line, line)
        assert result is None or result.dtype == np.float32


def icvl_lines_or_error(data):
    lines_or_error(
        data,
        lambda word: word if icvl._NAME.fullmatch(word) else None,
        lambda line, name: icvl.parse_labels(line, icvl.CAMERAS["standard"], name),
    )


@settings(max_examples=200, deadline=None)
@given(label_files())
def test_icvl_labels(data):
    icvl_lines_or_error(data)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(lambda b: b"a/image_0000.png " + b)))
def test_icvl_labels_of_any_bytes(data):
    icvl_lines_or_error(data)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255), st.sampled_from([(320, 240, 16, 0), (320, 240, 8, 6)]))
def test_icvl_frames_with_a_changed_byte(at, flip, head):
    width, height, bits, _ = head
    shape = (height, width) if bits == 16 else (height, width, 4)
    image = np.random.default_rng(1).integers(200, 400, shape).astype(np.uint16 if bits == 16 else np.uint8)
    data = cv2.imencode(".png", image)[1].tobytes()
    depth = attempt(icvl.parse_depth, data)
    assert (depth is not None) == (bits == 16)
    at %= len(data)
    assert attempt(icvl.parse_depth, data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]) is None


@settings(max_examples=200, deadline=None)
@given(st.one_of(label_files(b"image_D%08d.png", 63), label_files(b"%08d", 63), label_files(b"%08d", 4)))
def test_hands17_labels_and_boxes(data):
    lines_or_error(data, hands17.parse_name, hands17.parse_labels)
    lines_or_error(data, hands17.parse_name, lambda line, name: np.float32(hands17.parse_box(line, name)))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(lambda b: b"image_D00000001.png\t" + b)))
def test_hands17_labels_of_any_bytes(data):
    lines_or_error(data, hands17.parse_name, hands17.parse_labels)
    lines_or_error(data, hands17.parse_name, lambda line, name: np.float32(hands17.parse_box(line, name)))


def test_a_line_without_end_takes_no_more_memory_than_a_line():
    endless = io.BytesIO(b"1" * 10_000_000)
    assert attempt(lambda stream, name: scan(stream, name, hands17.parse_name), endless) is None
    assert endless.tell() == LONGEST


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=100), st.booleans())
def test_grey_pngs_of_any_bytes(data, signed):
    for parse in (icvl.parse_depth, hands17.parse_depth):
        assert attempt(parse, b"\x89PNG\r\n\x1a\n" + data if signed else data) is None


# --- centre files ----------------------------------------------------------------------------------------------


@st.composite
def centre_files(draw):
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        words = draw(st.sampled_from([["invalid"], ["1", "2", "3"], ["1", "2", "3"], ["5"], ["1", "2"], ["1"] * 4]))
        words = [*words]
        if draw(st.booleans()):
            words[draw(st.integers(0, len(words) - 1))] = draw(number)
        lines.append(" ".join(words))
    return draw(st.sampled_from(["\n", "\r\n", "\r\r\n"])).join([*lines, ""]).encode()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(centre_files(), st.binary(max_size=200)), st.sampled_from(["c.txt", "uvd.txt"]), st.integers(0, 4))
def test_centre_files(tmp_path, data, name, count):
    path = tmp_path / name
    path.write_bytes(data)
    try:
        rows = load_centers(path, icvl.CAMERAS["standard"], count)
    except GmapsError as error:
        message = str(error)
    else:
        assert rows.shape == (count, 3)
        assert rows.dtype == np.float32
        return
    assert message.startswith(str(path))


@pytest.mark.parametrize("words", ["5", "1 2", "1 2 3 4"])
def test_a_centre_has_three_numbers(tmp_path, words):
    (tmp_path / "c.txt").write_text(f"1 2 3\n{words}\n")
    with pytest.raises(GmapsError, match=rf"c.txt, line 2: a centre is three numbers or 'invalid', got '{words}'"):
        load_centers(tmp_path / "c.txt", icvl.CAMERAS["standard"], 2)
