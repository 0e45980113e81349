"""Chromium without a window, driven over a pipe by its DevTools protocol: it clicks and types as we do.

No driver is installed for it: a pipe carries JSON, and Python has both. Without Chromium, tests are skipped.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEYS = {
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Escape": 27, "Home": 36,
    "End": 35, "PageDown": 34, " ": 32,
}  # fmt: skip
_PATIENCE = 60.0


def find_chromium() -> str:
    """Its program: $GMAPS_CHROMIUM, or on the path; skips the test where there is none."""
    named = os.environ.get("GMAPS_CHROMIUM")
    found = named or next((p for p in map(shutil.which, NAMES) if p), None)
    if found is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or name a Chrome in $GMAPS_CHROMIUM")
    return found


class Browser:
    """One page of a Chromium that this object starts and ends."""

    def __init__(self, program: str, *, width: int = 1280, height: int = 900) -> None:
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = [
            "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-sync", "--disable-background-networking", "--disable-component-update",
            "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--force-color-profile=srgb",
            f"--user-data-dir={self._home.name}", *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]  # fmt: skip
        theirs, ours = os.pipe()
        mine, thine = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        self._pid = os.posix_spawn(
            program, [program, *flags, "about:blank"], {**os.environ, "HOME": self._home.name},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs, 3), (os.POSIX_SPAWN_DUP2, thine, 4),
                          (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)],
        )  # fmt: skip
        for end in (theirs, thine, null):
            os.close(end)
        self._out, self._in, self._rest = ours, mine, b""
        self._number, self._session = itertools.count(1), ""
        self.events: list[dict[str, Any]] = []
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
            self.resize(width, height)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer; what comes meanwhile goes to `events`."""
        number = next(self._number)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise AssertionError(f"{method}: {answer['error']}")
            else:
                found: dict[str, Any] = answer["result"]
                return found

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], _PATIENCE)[0]:
                raise AssertionError("Chromium does not answer")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise AssertionError("Chromium has ended")
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def resize(self, width: int, height: int, dense: float = 1.0) -> None:
        """The window's size, CSS pixels, and the screen's pixels for each."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=dense, mobile=False
        )

    def theme(self, name: str) -> None:
        """What the system prefers: "dark" or "light"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, address: str) -> None:
        self.call("Page.navigate", url="about:blank")  # another # alone would load nothing
        self.call("Page.navigate", url=address)

    def js(self, code: str) -> Any:
        """The value of an expression."""
        done = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise AssertionError(f"{code}: {done['exceptionDetails'].get('exception', {}).get('description')}")
        return done["result"].get("value")

    def wait(self, code: str, seconds: float = _PATIENCE) -> Any:
        """Until an expression is true; its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # While a page is being loaded, half of it may not be there yet.
            value = self.js(f"(() => {{ try {{ const v = {code}; return v instanceof Node || v; }} catch {{}} }})()")
            if value:
                return value
            time.sleep(0.03)
        raise AssertionError(f"never true: {code}\n{self.js('document.body.innerText')}\n{self.problems()}")

    def spot(self, selector: str) -> tuple[float, float]:
        """The middle of an element, scrolled into view."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        found = self.js(
            f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: 'nearest'}});
            const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; }})()"""
        )
        return found[0], found[1]

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector: str) -> None:
        x, y = self.spot(selector)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def drag(self, selector: str, dx: float, dy: float) -> None:
        x, y = self.spot(selector)
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        for k in range(1, 6):
            self.mouse("mouseMoved", x + dx * k / 5, y + dy * k / 5, button="left", buttons=1)
        self.mouse("mouseReleased", x + dx, y + dy, button="left", clickCount=1)

    def wheel(self, selector: str, dy: float) -> None:
        x, y = self.spot(selector)
        self.mouse("mouseWheel", x, y, deltaX=0, deltaY=dy)

    def press(self, key: str) -> None:
        more = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        code = KEYS.get(key, ord(key.upper()[0]))
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def choose(self, selector: str, value: str) -> None:
        """In a select; its list of choices is the system's, and not to be clicked from here."""
        options = f"[...document.querySelector({json.dumps(selector)}).options]"
        self.wait(f"{options}.some(o => o.value === {json.dumps(value)})")
        self.js(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};"
            "e.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )

    def picture(self, path: Path | None = None) -> bytes:
        """What is seen, PNG."""
        content = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(content)
        return content

    def requests(self) -> list[str]:
        """All addresses that were asked for."""
        self.js("1")  # events come before an answer
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def problems(self) -> list[str]:
        """Exceptions, and what the console says of errors and of the policy."""
        found = []
        for event in self.events:
            if event["method"] == "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] in ("error", "warning"):
                found.append(event["params"]["entry"]["text"])
        return found

    def close(self) -> None:
        """End it."""
        os.close(self._out)  # it ends with its pipe
        os.close(self._in)
        end = time.monotonic() + 10
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.kill(self._pid, 9)
                os.waitpid(self._pid, 0)
                break
            time.sleep(0.02)
        self._home.cleanup()


def pixels(browser: Browser, selector: str) -> list[int]:
    """How many pixels of a canvas are painted, and a sum of their values."""
    found: list[int] = browser.js(
        f"""(() => {{ const from = document.querySelector({json.dumps(selector)});
        const to = document.createElement('canvas'); to.width = from.width; to.height = from.height;
        const c = to.getContext('2d'); c.drawImage(from, 0, 0);
        const d = c.getImageData(0, 0, to.width, to.height).data; let n = 0, s = 0;
        for (let i = 0; i < d.length; i += 4) if (d[i + 3]) {{ n++; s += d[i] * 3 + d[i + 1] * 5 + d[i + 2] * 7; }}
        return [n, s]; }})()"""
    )
    return found


def changed(browser: Browser, selector: str, before: list[int]) -> list[int]:
    """Waits until a canvas is there and shows something else."""
    browser.wait(f"document.querySelector({json.dumps(selector)})")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        now = pixels(browser, selector)
        if now != before and now[0]:
            return now
        time.sleep(0.02)
    raise AssertionError(f"{selector} has not changed: {browser.js('document.body.innerText')}")
