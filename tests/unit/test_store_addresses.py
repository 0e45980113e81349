"""Stores behind web servers, with and without ranges, and in archives: the same values, or an error of ours."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gmaps.errors import StoreError
from gmaps.store import open_store, verify_checksums
from tests.unit.store_kit import fake_rows, write_store

pytest.importorskip("aiohttp", reason="fsspec reads http:// through aiohttp, which comes with the extra s3")
HANDS = Path(__file__).parents[1] / "golden" / "v1" / "packed.zarr"


class _Server(ThreadingHTTPServer):
    """A server at which as many may call at once as the client likes: those that find no place wait for seconds."""

    request_queue_size = 256


class _Whole(SimpleHTTPRequestHandler):
    """A server that knows no ranges."""

    def log_message(self, *args):
        pass


class _Ranges(_Whole):
    """A server that knows them."""

    def do_GET(self):
        wanted = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        first, last = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
        content = path.read_bytes()
        part = content[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)


class _Sizeless(_Whole):
    """A server that does not say how large files are."""

    def send_header(self, keyword, value):
        if keyword.lower() != "content-length":
            super().send_header(keyword, value)


@pytest.fixture(params=[_Whole, _Ranges, _Sizeless], ids=["whole files", "ranges", "no sizes"])
def server(request, tmp_path):
    shutil.copytree(HANDS, tmp_path / "hands.zarr")
    handler = functools.partial(request.param, directory=tmp_path)
    running = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}/hands.zarr", tmp_path / "hands.zarr"
    running.shutdown()
    running.server_close()
    thread.join()


def assert_same(there):
    here = open_store(HANDS)
    assert there.names == here.names
    rows = [7, 0, 3]
    for name, values in here.read(rows).items():
        np.testing.assert_array_equal(there.read(rows, [name])[name], values, err_msg=name)


def test_a_store_behind_a_web_server_is_read_and_verified(server):
    url, folder = server
    assert_same(open_store(url))
    assert verify_checksums(url) == []
    (folder / "cube" / "c.1.0").unlink()
    damaged = bytearray((folder / "depth" / "c.0.0.0").read_bytes())
    damaged[100] ^= 1
    (folder / "depth" / "c.0.0.0").write_bytes(bytes(damaged))
    assert sorted(verify_checksums(url)) == ["cube/c.1.0: missing", "depth/c.0.0.0: its bytes changed (checksum)"]


def test_a_store_in_an_archive_is_read_and_verified(tmp_path):
    archive = shutil.make_archive(str(tmp_path / "hands"), "zip", HANDS)
    assert_same(open_store(f"zip://::{archive}"))
    assert verify_checksums(f"zip://::{archive}") == []
    with pytest.raises(StoreError):
        open_store(f"zip://::{tmp_path}/none.zip")


def test_a_store_that_is_replaced_behind_a_web_server(server, tmp_path):
    url, folder = server
    store = open_store(url)
    assert_same(store)
    folder.rename(tmp_path / "old.zarr")
    write_store(folder, fake_rows(9, seed=9))
    os.utime(folder / "zarr.json", (1e9, 1e9))
    for work in (lambda: store.read([3]), lambda: store.column("joints"), lambda: store[0]):
        with pytest.raises(StoreError, match="was replaced while it was open"):
            work()
    assert len(open_store(url).read([8], ["cube"])["cube"]) == 1
