"""What the viewer's server answers, to whom, and what it refuses: without a browser."""

from __future__ import annotations

import http.client
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.camera import Camera
from gmaps.capture import Recorder, Shot
from gmaps.errors import PredictionError, UsageError
from gmaps.maps.volumetric import as_image
from gmaps.skeleton import get_skeleton
from gmaps.viewer.open_site import open_recording_site, open_run_site, open_store_site, open_track_site
from gmaps.viewer.packet import Packet, pack, unpack
from gmaps.viewer.query import Query
from gmaps.viewer.run_site import MOST_ROWS
from gmaps.viewer.server import ViewServer
from gmaps.viewer.tiles import EMPTY, FARTHEST, depth_codes
from gmaps.viewer.tracked import read_track
from tests.unit.store_kit import fake_rows, write_store

HANDS = Path(__file__).parents[1] / "golden" / "v1" / "packed.zarr"


class Asked:
    """A server, and a browser that asks it."""

    def __init__(self, site):
        self.server = ViewServer()
        self.server.show(site)
        self.port = self.server.server_address[1]

    def get(self, path, *, token=None, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Host": f"127.0.0.1:{self.port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        connection.putrequest(method, f"/{token or self.server.token}/{path}", skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        return reply, body

    def ask(self, question):
        reply, body = self.get(f"api/{question}")
        if reply.headers["Content-Type"] == "application/octet-stream":
            return unpack(body)
        return json.loads(body)


@pytest.fixture(scope="module")
def hands():
    asked = Asked(open_store_site(str(HANDS), "hands"))
    yield asked
    asked.server.stop()


def test_a_packet_comes_back_as_it_was():
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([7], np.uint8),
        "c": np.zeros((0, 2), np.int32),
    }
    values, back = unpack(pack(Packet({"x": float("nan"), "é": [1, {"y": float("inf")}]}, arrays)))
    assert values == {"x": None, "é": [1, {"y": None}]}
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_depth_codes():
    depth = np.ones((2, 4, 4), np.float32)
    depth[0, 0, 0], depth[0, 1, 1], depth[0, 3, 3] = -0.5, 0.0, 0.5
    codes = depth_codes(depth, 2)
    assert codes.tolist() == [[[0, EMPTY], [EMPTY, FARTHEST]], [[EMPTY, EMPTY], [EMPTY, EMPTY]]]
    assert depth_codes(np.full((1, 2, 2), 0.25, np.float32), 1).tolist() == [[[0, 0], [0, 0]]]


@pytest.mark.parametrize(
    "text", ["row=1.5", "row=", "row=abc", "row=-1", "row=10", "row=" + "9" * 30, "row=٣", "row=1_0"]
)
def test_what_is_no_row_is_refused(text):
    with pytest.raises(UsageError, match="row is a whole number from 0 to 9"):
        Query(text).whole("row", 0, 9)


def test_questions_have_bounds():
    with pytest.raises(UsageError):
        Query("&".join(f"a{k}=1" for k in range(100)))
    with pytest.raises(UsageError):
        Query("kind=" + "x" * 1000)
    with pytest.raises(UsageError, match="above is a number"):
        Query("above=nan").number("above", 0, 1)
    assert Query("kind=a%20b").text("kind") == "a b"


def test_tiles_are_the_store_s(hands):
    store = gmaps.open_store(HANDS)
    tiles = hands.ask("tiles?from=1&count=2&pixels=1000")
    assert tiles.values["rows"] == [1, 2]
    assert tiles.values["of"] == len(store)
    size = store.shape("depth")[0]
    np.testing.assert_array_equal(tiles.arrays["picture"] == EMPTY, store.read([1, 2], ["depth"])["depth"] >= 1)
    assert tiles.arrays["picture"].shape == (2, size, size)
    crop = store[1].crop
    np.testing.assert_allclose(tiles.arrays["true"][0] * size - 0.5, crop.joints_px(size), atol=1e-3)


def test_a_sample_is_the_store_s(hands):
    want, found = gmaps.open_store(HANDS)[3], hands.ask("sample?row=3")
    np.testing.assert_array_equal(found.arrays["depth"], want.depth)
    np.testing.assert_array_equal(found.arrays["joints"], want.joints)
    assert found.values["cube"] == [*want.cube.center, want.cube.half_side]
    assert found.values["frame"] == want.frame


def test_a_stored_map_and_one_computed_now(hands):
    want = gmaps.open_store(HANDS)[3]
    found = hands.ask("map?row=3&kind=geodesic&channel=5")
    np.testing.assert_array_equal(found.arrays["values"], want.maps["geodesic"][..., 5])
    assert found.values["stored"] is True
    assert found.values["scale"] == pytest.approx(float(want.scale["geodesic"][5]))
    assert "voxel_joint" not in want.maps
    made = hands.ask("map?row=3&kind=voxel_joint&channel=5")
    size = want.maps["geodesic"].shape[0]
    voxels = gmaps.encode(want.crop, ["voxel_joint"], size=size)["voxel_joint"]
    np.testing.assert_array_equal(made.arrays["values"], as_image(voxels)[..., 5])
    assert made.arrays["values"].shape == (size, size)
    kinds = {k["name"]: k for k in hands.ask("kinds")["kinds"]}
    assert kinds["geodesic"]["stored"]
    assert kinds["geodesic"]["channels"][0] == "wrist"


def test_a_geodesic_from_anywhere_is_that_of_the_kernel(hands):
    crop = gmaps.open_store(HANDS)[3].crop
    row, column = (int(v) for v in np.argwhere(crop.mask)[50])
    found = hands.ask(f"geodesic?row=3&r={row}&c={column}&along=plane")
    cell = 2 * crop.cube.half_side / crop.size
    want = gmaps.geodesic_distance(crop.mask, [[row, column]], spacing=cell)[0]
    np.testing.assert_array_equal(found.arrays["mm"], want)
    assert found.values["far"] == pytest.approx(want[np.isfinite(want)].max())


@pytest.mark.parametrize(
    ("question", "says"),
    [("sample?row=4000", "row is a whole number"), ("sample", "row is a whole number"),
     ("nothing", "does not answer"), ("tiles?from=0&count=100000", "count is a whole number"),
     ("map?row=0&kind=geodesc", "Did you mean 'geodesic'"), ("map?row=0&kind=../../etc", "no map called"),
     ("map?row=0&kind=geodesic&channel=99", "channels 0 to"),
     ("tiles?from=0&count=5&order=error", "say --predictions"), ("tiles?from=0&count=5&show=x", "no show called"),
     ("geodesic?row=0&r=nan&c=1", "r is a number"), ("geodesic?row=0&r=1e9&c=1", "r is a number")],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_in_a_sentence(hands, question, says):
    reply, body = hands.get(f"api/{question}")
    assert reply.status in (400, 404)
    assert says in json.loads(body)["error"]


def test_nobody_without_the_token_is_answered(hands):
    for token in ("x", "..", hands.server.token[:-1], hands.server.token + "x", "%00", "%C3%A9"):
        reply, body = hands.get("api/about", token=token)
        assert reply.status == 403
        assert b"whole address" in body
    assert hands.get("api/about")[0].status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "localhost@evil.example", "", "[::1", "0.0.0.0"],
)
def test_dns_rebinding_is_refused(hands, host):
    reply, body = hands.get("api/about", Host=host)
    assert reply.status == 403
    assert b"127.0.0.1 and localhost alone" in body


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:80"])
def test_the_other_end_of_a_tunnel_is_answered(hands, host):
    assert hands.get("api/about", Host=host)[0].status == 200


def test_another_site_may_not_ask(hands):
    for site in ("cross-site", "same-site"):
        assert hands.get("api/about", Sec_Fetch_Site=site, Sec_Fetch_Dest="empty")[0].status == 403
        assert hands.get("icon.svg", Sec_Fetch_Site=site, Sec_Fetch_Dest="image")[0].status == 403
        assert hands.get("", Sec_Fetch_Site=site, Sec_Fetch_Dest="document")[0].status == 200  # a link to the page
    assert hands.get("api/about", Sec_Fetch_Site="same-origin", Sec_Fetch_Dest="empty")[0].status == 200
    assert hands.get("api/about", method="POST")[0].status == 501


@pytest.mark.parametrize(
    "path",
    ["../server.py", "%2e%2e/server.py", "..%2fserver.py", "static/main.js", "/etc/passwd", "//etc/passwd",
     "main.js%00", "./main.js", "main.js/", "api/../main.js", "\\..\\server.py"],
)  # fmt: skip
def test_no_path_leads_out_of_the_page_s_files(hands, path):
    reply, body = hands.get(path)
    assert reply.status == 404
    assert len(body) < 200


def test_the_page_may_load_nothing_from_elsewhere(hands):
    static = Path(gmaps.__file__).parent / "viewer" / "static"
    for file in static.iterdir():
        reply, body = hands.get(file.name)
        assert reply.status == 200
        assert body == file.read_bytes()
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        for foreign in (
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ):
            assert foreign not in text, f"{file.name}: {foreign}"


def test_rows_are_chosen_by_subject_and_rejection(tmp_path):
    rows = fake_rows(10)
    for k in (2, 5):
        rows[k]["valid"] = False
    rejects = [{"row": 2, "frame": 102, "name": "a", "reason": "<b>no hand</b>"}]
    asked = Asked(open_store_site(str(write_store(tmp_path / "s.zarr", rows, rejects=rejects)), "s"))
    try:

        def listed(wish):
            return asked.ask(f"tiles?from=0&count=50&{wish}").values["rows"]

        assert listed("show=rejected") == [2, 5]
        assert listed("show=valid") == [0, 1, 3, 4, 6, 7, 8, 9]
        assert listed("subject=1") == [1, 4, 7]
        assert listed("subject=2&show=rejected") == [2, 5]
        assert listed("subject=7") == []
        assert asked.ask("place?row=4&subject=1") == {"place": 1, "of": 3}
        assert asked.ask("place?row=0&subject=1")["place"] == -1
        tiles = asked.ask("tiles?from=2&count=1")
        assert tiles.values["reasons"] == ["<b>no hand</b>"]
        sample = asked.ask("sample?row=2")
        assert sample.values["valid"] is False
        assert sample.arrays == {}
        assert "rejected" in asked.ask("geodesic?row=2&r=1&c=1")["error"]
        assert "rejected" in asked.ask("map?row=2&kind=geodesic")["error"]
    finally:
        asked.server.stop()


def test_a_damaged_shard_is_a_sentence(tmp_path):
    shutil.copytree(HANDS, tmp_path / "s.zarr")
    asked = Asked(open_store_site(str(tmp_path / "s.zarr"), "s"))
    try:
        for shard in (tmp_path / "s.zarr" / "depth").rglob("c.*"):
            shard.write_bytes(b"short")
        for shard in (tmp_path / "s.zarr" / "depth" / "c").rglob("*"):
            if shard.is_file():
                shard.write_bytes(b"short")
        reply, body = asked.get("api/sample?row=0")
        assert reply.status == 400
        assert "gmaps verify" in json.loads(body)["error"]
    finally:
        asked.server.stop()


def run(*args):
    return CliRunner().invoke(main, ["view", *map(str, args)])


def test_what_is_not_to_be_viewed_is_said_in_a_sentence(tmp_path, monkeypatch, hands):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GMAPS_STORE", raising=False)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("hello")
    (tmp_path / "x.npz").write_bytes(b"PK")
    for args, says in [
        ((), "there is no store here"), (("nothing",), "nothing does not exist"), (("folder",), "no log.csv"),
        (("file.txt",), "is no store, no run's folder"), (("x.npz",), "is no store, no run's folder"),
        ((HANDS, "--port", hands.port), f"port {hands.port} is taken"),
        ((HANDS, "--model", "a:b"), "--model is for a --checkpoint"),
        ((HANDS, "--predictions", "p", "--checkpoint", "c"), "either --predictions or --checkpoint"),
    ]:  # fmt: skip
        done = run(*args)
        assert done.exit_code in (1, 2), args
        assert says in done.output.replace("\n", " "), args
        assert "Traceback" not in done.output


@pytest.fixture
def asked():
    """Opens servers, and stops them."""
    opened = []

    def open_one(site):
        opened.append(Asked(site))
        return opened[-1]

    yield open_one
    for one in opened:
        one.server.stop()


def test_a_log_is_read_on_as_it_grows(tmp_path, asked):
    run_ = tmp_path / "run"
    run_.mkdir()
    log = run_ / "log.csv"
    log.write_text("step,loss,validation_mm\n" + "".join(f"{k},{1 / (k + 1)},\n" for k in range(9000)) + "9000,0.")
    page = asked(open_run_site(str(tmp_path), "runs"))
    assert page.ask("about")["runs"] == ["run"]
    found = page.ask("log?run=0")
    assert found.values["columns"] == ["step", "loss", "validation_mm"]
    assert len(found.arrays["values"]) <= MOST_ROWS
    assert found.arrays["values"][-1][0] == 8999
    assert np.isnan(found.arrays["values"][0][2])
    assert page.ask("log?run=0&after=8999").arrays["values"].shape == (0, 3)
    with log.open("a") as file:
        file.write("5,4\n")
    assert page.ask("log?run=0&after=8999").arrays["values"].tolist() == [[9000.0, 0.5, 4.0]]
    assert "run is a whole number" in page.ask("log?run=1")["error"]
    log.write_bytes(b"step\x00,\xff\n\x00")
    page.ask("log?run=0")
    log.unlink()
    assert "log.csv" in page.ask("log?run=0")["error"]


CAMERA = Camera(100.0, 100.0, 31.5, 23.5, 64, 48)


def _track(path, frames):
    """A file of `gmaps track --out`, by its own writer."""
    pytest.importorskip("torch")
    from gmaps.inference.track_file import TrackWriter
    from gmaps.inference.tracker import TrackedHand

    skeleton = get_skeleton("msra21")
    writer = TrackWriter(path, CAMERA, skeleton)
    for k in range(frames):
        joints = np.full((21, 3), 400 + k, np.float32)
        writer.add(f"f{k}", k / 30, [TrackedHand(2, "found", "left", 0.5, joints, joints)] if k else [])
    writer.close()
    return path


@pytest.mark.parametrize("name", ["t.jsonl", "t.npz"])
def test_hands_of_a_recording_are_those_of_the_file(tmp_path, asked, name):
    recorder = Recorder(tmp_path / "r.npz", CAMERA)
    for k in range(3):
        recorder.add(Shot(np.full((48, 64), 100.5 + k, np.float32), k / 30, f"f{k}"))
    recorder.close()
    track = _track(tmp_path / name, 3)
    page = asked(open_recording_site(str(tmp_path / "r.npz"), "r", predictions=str(track)))
    assert page.ask("about")["frames"] == 3
    found = page.ask("frame?k=2")
    assert (found.arrays["depth"] == 102.5).all()
    assert (found.arrays["joints"] == 402).all()
    assert found.values["hands"] == [{"number": 2, "state": "found", "side": "left", "confidence": 0.5}]
    np.testing.assert_allclose(found.arrays["uvd"][0], CAMERA.project(found.arrays["joints"][0]), rtol=1e-5)
    course = page.ask("course").arrays
    np.testing.assert_allclose(course["time"], [0, 1 / 30, 2 / 30])
    assert course["state"].tolist() == [0, 1, 1]
    assert page.ask("frame?k=0").values["hands"] == []
    with pytest.raises(PredictionError, match="3 frames, and the track 4"):
        open_recording_site(str(tmp_path / "r.npz"), "r", predictions=str(_track(tmp_path / f"4{name}", 4)))
    alone = asked(open_track_site(str(track), "t"))
    assert "depth" not in alone.ask("frame?k=1").arrays


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "nonsense", '{"gmaps": "track", "format": 2}', '{"gmaps": "track", "format": 1, "camera": 3}',
     "HEAD\n{}\n", 'HEAD\n{"frame": 1, "time": "x", "hands": []}\n',
     'HEAD\n{"frame": "a", "time": 0, "hands": [{"number": 0, "state": "found", "side": "left", "confidence": 1, '
     '"joints_mm": [[1, 2]]}]}\n', "HEAD\n" + "[" * 100_000 + "\n"],
)  # fmt: skip
def test_a_damaged_track_is_a_sentence(tmp_path, content):
    head = {"gmaps": "track", "format": 1, "camera": CAMERA.to_dict(), "joints": ["a", "b"]}
    (tmp_path / "t.jsonl").write_text(content.replace("HEAD", json.dumps(head)))
    with pytest.raises(PredictionError, match=r"cannot be read as a track: .*`gmaps track --out`"):
        read_track(tmp_path / "t.jsonl")


def test_a_track_that_is_still_written_is_read_so_far(tmp_path):
    head = {"gmaps": "track", "format": 1, "camera": CAMERA.to_dict(), "joints": ["a", "b"]}
    (tmp_path / "t.jsonl").write_text(
        json.dumps(head) + '\n{"frame": "a", "time": 0, "hands": []}\n{"frame": "b", "ti'
    )
    found = read_track(tmp_path / "t.jsonl")
    assert found.frames == ["a"]
    assert found.skeleton is None
