"""The viewer's server: on 127.0.0.1 alone, behind a token, and with nothing but what Python brings.

Who may ask. A page of another site that is open in the same browser can send requests to any port of this machine,
and under a name of its own that it lets point to 127.0.0.1 (DNS rebinding) it could read the answers. So every path
begins with a token that only the printed address knows, the Host header has to name this machine, and what the
browser itself says comes from another site is refused. Other users of the machine do not know the token either.
All requests only read, and files are served by their names in one folder, listed beforehand.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import secrets
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from gmaps.errors import GmapsError, UsageError
from gmaps.viewer.packet import Packet, pack, to_json
from gmaps.viewer.query import Query

#: What a question is answered by: JSON values, or values with arrays.
Answer = Packet | dict[str, Any]
_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HOSTS = ("127.0.0.1", "localhost", "::1")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Seconds after which a silent connection is closed.
_PATIENCE = 120


class Site(Protocol):
    """What is looked at."""

    @property
    def calls(self) -> Mapping[str, Callable[[Query], Answer]]:
        """What the page may ask, by name; called by several threads."""
        ...

    def close(self) -> None:
        """Stop what works in the background."""
        ...


class ViewServer(ThreadingHTTPServer):
    """Serves the page from the moment it is made; what is looked at may come later: see `show`.

    Parameters
    ----------
    port
        0 for a free one.
    static
        The folder of the page's files.

    Raises
    ------
    UsageError
        The port is taken, or may not be had.
    """

    daemon_threads, block_on_close, request_queue_size = True, False, 64

    def __init__(self, port: int = 0, static: Path = _STATIC) -> None:
        self.token = secrets.token_urlsafe(24)
        self.files = {file.name: file for file in static.iterdir() if file.suffix in _TYPES}
        self.stopped = False
        self._site: Future[Site] = Future()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise UsageError(_no_port(port, error)) from None
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where the page is, token included."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.token}/"

    def show(self, site: Site) -> None:
        """From now on questions are answered; those that came before have waited."""
        self._site.set_result(site)

    def fail(self, error: BaseException) -> None:
        """Nothing can be shown: the page says why."""
        self._site.set_exception(error)

    def site(self) -> Site:
        """What is looked at; waits for it."""
        return self._site.result(timeout=_PATIENCE)

    def stop(self) -> None:
        """End it, and what the site does in the background."""
        self.stopped = True
        self.shutdown()
        self._thread.join()
        self.server_close()
        if self._site.done() and self._site.exception() is None:
            self._site.result().close()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End it; where nothing could be shown, the page says why."""
        if isinstance(error, Exception) and not self._site.done():
            self.fail(error)
        self.stop()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that no longer waits is none; anything else is a defect of ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()


def _no_port(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: say another --port, or none, which takes a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} may not be used: say a --port of 1024 or more, or none, which takes a free one"
    return f"no page can be served on 127.0.0.1, port {port}: {error.strerror or error}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out in one piece; in two, the second would wait for the first one's receipt, 40 ms.
    disable_nagle_algorithm, wbufsize, timeout = True, 1 << 16, _PATIENCE
    server: ViewServer

    def do_GET(self) -> None:
        """The page, its files, or an answer."""
        if self.server.stopped:  # a connection from before may still ask
            self.close_connection = True
            return
        url = urlsplit(self.path)
        token, _, rest = url.path.lstrip("/").partition("/")
        refused = self._refused(token)
        if refused:
            self._text(403, refused)
        elif rest.startswith("api/"):
            self._answer(rest.removeprefix("api/"), url.query)
        else:
            self._file("index.html" if rest == "" else unquote(rest))

    def _refused(self, token: str) -> str:
        """Why a request is not answered; empty if it is."""
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return "This page needs its whole address, which `gmaps view` has printed in its terminal."
        if self._host() not in _HOSTS:
            return "This server answers to 127.0.0.1 and localhost alone."
        site, goal = self.headers.get("Sec-Fetch-Site", "none"), self.headers.get("Sec-Fetch-Dest", "")
        # Somebody may follow the address from a notebook or an editor that runs in the browser.
        if site not in ("same-origin", "none") and goal != "document":
            return "Another site may not ask this server."
        return ""

    def _host(self) -> str | None:
        """Whom the browser thinks it asks; any port, for a tunnel of SSH may end at another one."""
        with contextlib.suppress(ValueError):
            found = urlsplit(f"//{self.headers.get('Host', '')}")
            return found.hostname if found.username is None else None
        return None

    def _file(self, name: str) -> None:
        file = self.server.files.get(name)
        if file is None:
            self._text(404, "There is nothing at this address.")
            return
        self._send(200, f"{_TYPES[file.suffix]}; charset=utf-8", file.read_bytes())

    def _answer(self, name: str, query: str) -> None:
        try:
            call = self.server.site().calls.get(name)
            if call is None:
                self._json(404, {"error": "what is open here does not answer that"})
                return
            found = call(Query(query))
            if isinstance(found, Packet):
                self._send(200, "application/octet-stream", pack(found))
            else:
                self._json(200, found)
        except (GmapsError, IndexError) as error:
            self._json(400, {"error": str(error)})
        except OSError as error:
            self._json(400, {"error": f"{error.filename or 'a file'}: {error.strerror or error}"})
        except Exception as error:
            traceback.print_exc()
            self._json(500, {"error": f"gmaps has a defect ({type(error).__name__}): its terminal tells more"})

    def _json(self, status: int, values: dict[str, Any]) -> None:
        self._send(status, "application/json", to_json(values))

    def _text(self, status: int, sentence: str) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{sentence}\n".encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What Python itself refuses: other methods, broken requests."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self._text(code, "This server only knows GET." if code == 501 else f"{message or 'refused'}.")

    def version_string(self) -> str:
        """Nobody needs to know which Python runs here."""
        return "gmaps"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address with its token does not belong into logs."""
