"""What a stranger's file says does not move the cursor of whoever looks at it."""

import io
import json
import logging

import gmaps.cli
from click.testing import CliRunner
from gmaps.cli import main
from gmaps.cli._terminal import printable

import gmaps
from gmaps.pipeline.progress import Progress
from gmaps.training.meter import Meter
from tests.unit.store_kit import fake_rows, write_store

EVIL = "\x1b]0;PWNED\x07\x1b[2J\x1b[31mall checksums are right\x1b[0m\nFORGED: it is done"


def test_control_characters_are_written_out():
    assert printable(EVIL).startswith(r"\x1b]0;PWNED\x07\x1b[2J")
    assert printable("größe\t3\nÅ 手") == "größe\t3\nÅ 手"
    assert printable("\udcff\u202e\r") == r"\udcff\u202e\r"


def test_a_password_in_an_address_is_not_shown():
    assert printable("s3://key:secret@host/x.zarr is missing") == "s3://***@host/x.zarr is missing"
    assert printable("tls://host:8786 and a@b") == "tls://host:8786 and a@b"
    result = CliRunner().invoke(main, ["inspect", "store", "--store", "nosuch://key:secret@host/x.zarr"])
    assert result.exit_code in (1, 2)
    assert "secret" not in result.output + result.stderr


def test_names_in_stores_errors_and_logs(tmp_path, capsys):
    path = write_store(tmp_path / "s.zarr", fake_rows(6))
    (path / "rejects.json").write_text(json.dumps([{"row": 1, "frame": 1, "name": EVIL, "reason": EVIL}]))
    group = json.loads((path / "zarr.json").read_text())
    group["attributes"]["skeleton"] |= {"name": EVIL}
    group["attributes"]["dataset"] = {"name": EVIL}
    (path / "zarr.json").write_text(json.dumps(group))
    (path / EVIL.replace("/", "")).touch()
    for command in (["inspect", "store", "--store", str(path)], ["inspect", "sample", "2", "--store", str(path)],
                    ["verify", "--rows", "0", str(path)], ["inspect", "sample", "1", "--store", str(path)],
                    ["maps", "--map", EVIL], ["build", "--dataset", EVIL]):  # fmt: skip
        result = CliRunner().invoke(main, command)
        assert "\x1b" not in result.output + result.stderr, command
        assert "\x07" not in result.output + result.stderr, command
        assert "\nFORGED" not in result.output + result.stderr, command
    gmaps.cli._log_to_stderr()
    record = logging.LogRecord("gmaps", logging.INFO, "", 0, EVIL, None, None)
    assert "\x1b" not in logging.getLogger("gmaps").handlers[0].format(record)


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_names_beside_a_bar():
    for stream in (Screen(), io.StringIO()):
        with Progress(10, stream=stream) as bar:
            bar.say(f"made again: {EVIL}")
        meter = Meter(10, 0, True, stream)
        meter.say(EVIL)
        meter.close()
        assert r"PWNED\x07\x1b[2J" in stream.getvalue()
        assert "\nFORGED" not in stream.getvalue()
        assert "\x07" not in stream.getvalue()
