"""Nobody but the builder can talk to the cluster of a build."""

import socket
import urllib.error
import urllib.request

import psutil
import pytest
from distributed import Client

from gmaps.pipeline import dispatch


@pytest.fixture(scope="module")
def client():
    with dispatch._client(None, 1) as client:
        yield client


def listening():
    """(host, port) of all that this process and its workers listen at."""
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        for c in process.net_connections("inet"):
            if c.status == psutil.CONN_LISTEN:
                yield c.laddr.ip, c.laddr.port


def test_it_listens_on_this_machine_alone(client):
    assert client.submit(int, 7).result() == 7
    found = set(listening())
    assert len(found) >= 2
    assert {host for host, _ in found} <= {"127.0.0.1", "::1"}


def test_a_client_without_its_keys_is_refused(client):
    address = client.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    with pytest.raises((OSError, TypeError)), dispatch._quiet():
        Client(address, timeout=2, set_as_default=False)
    with pytest.raises(OSError), dispatch._quiet():
        Client(address.replace("tls", "tcp"), timeout=2, set_as_default=False)


def test_workers_are_no_way_in(client):
    for worker in client.scheduler_info()["workers"]:
        assert worker.startswith("tls://")
        host, port = worker.removeprefix("tls://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            s.settimeout(5)
            try:
                answer = s.recv(100)
            except OSError:
                answer = b""
        assert b"200" not in answer


def test_no_page_is_served(client):
    for host, port in set(listening()):
        for page in ("/", "/status", "/info/main/workers.html", "/json/identity.json", "/metrics"):
            try:
                with urllib.request.urlopen(f"http://{host}:{port}{page}", timeout=3) as answer:
                    status = answer.status
            except (OSError, urllib.error.URLError, ValueError):
                continue
            raise AssertionError(f"port {port} serves {page} ({status})")
