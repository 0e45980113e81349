"""An S3 server of this machine, for tests: moto's."""

from __future__ import annotations

import os
import uuid

import pytest

#: What a client of the server must find in its environment.
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def s3():
    """Starts the server, and points all clients to it; gives a bucket's address. Skips where a package is missing."""
    for package in ("moto", "flask", "s3fs"):
        pytest.importorskip(package, reason=f"needs {package}, which is not installed")
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        bucket = f"bucket-{uuid.uuid4().hex[:8]}"  # what one server of a process has, all have
        s3fs.S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
