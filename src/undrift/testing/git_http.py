"""One HTTP request to a Git server, answered by the real `git http-backend` as a CGI program."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hmac
import http.server
import io
import os
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping

_TIMEOUT = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request that was made: method, path with its query, and whether it was let in."""

    method: str
    path: str
    status: int


@dataclasses.dataclass(slots=True)
class Behaviour:
    """How a server treats its visitors; may be changed while it runs.

    `users` maps names to passwords, `tokens` are bearer tokens; with neither everybody is let in. `delay` is
    seconds before each answer, `refuse` a status that is answered to everybody, `redirect` a URL that everybody
    is sent to, `moved` maps the beginnings of paths to where they are now, `old` makes it speak the protocol of
    before 2018 only, `cut` is the number of bytes of an answer's body after which the connection is cut.
    """

    users: dict[str, str] = dataclasses.field(default_factory=dict)
    tokens: set[str] = dataclasses.field(default_factory=set)
    delay: float = 0.0
    refuse: int = 0
    redirect: str = ""
    moved: dict[str, str] = dataclasses.field(default_factory=dict)
    old: bool = False
    cut: int | None = None

    def admits(self, authorization: str) -> bool:
        """Whether the value of an `Authorization` header opens the door."""
        if not self.users and not self.tokens:
            return True
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return any(hmac.compare_digest(given, token) for token in self.tokens)
        if scheme.lower() != "basic":
            return False
        name, _, password = base64.b64decode(given).decode().partition(":")
        return name in self.users and hmac.compare_digest(self.users[name], password)


class Server(http.server.ThreadingHTTPServer):
    """Accepts connections, remembers them so that it can be gone at once, and what was asked."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], root: pathlib.Path, behaviour: Behaviour) -> None:
        self.root = root
        self.behaviour = behaviour
        self.wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection
        self.requests: list[Request] = []
        self.connections: set[socket.socket] = set()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """As HTTPServer does, without asking a name server who we are."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def finish_request(self, request: object, client_address: object) -> None:
        """In the thread of this connection: shake hands (TLS), then serve until it is closed."""
        if not isinstance(request, socket.socket):
            return
        connection = self.wrap(request)
        self.connections.add(connection)
        try:
            Handler(connection, client_address, self)
        finally:
            self.connections.discard(connection)
            connection.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A visitor who hangs up is no news."""

    def disconnect(self) -> None:
        """Cut every connection."""
        for connection in tuple(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class Handler(http.server.BaseHTTPRequestHandler):
    """Lets in or refuses, then hands over to `git http-backend`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Reference advertisement and files."""
        self._answer()

    def do_POST(self) -> None:
        """upload-pack and receive-pack."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Tests ask `requests` instead."""

    def _answer(self) -> None:
        behaviour = self.server.behaviour
        body = self._read_body()
        if behaviour.delay:
            time.sleep(behaviour.delay)
        if behaviour.refuse:
            self._say(behaviour.refuse, b"refused on request\n", {})
        elif behaviour.redirect:
            self._say(302, b"", {"Location": behaviour.redirect + self.path})
        elif moved := [old for old in behaviour.moved if self.path.startswith(old)]:
            self._say(301, b"", {"Location": self.path.replace(moved[0], behaviour.moved[moved[0]], 1)})
        elif not behaviour.admits(self.headers.get("Authorization", "")):
            self._say(401, b"who are you?\n", {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._say(*_run_backend(self._environment(body), body))

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(_chunks(self.rfile))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _environment(self, body: bytes) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROTOCOL": "" if self.server.behaviour.old else self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "git",
            "REMOTE_ADDR": "127.0.0.1",
        }

    def _say(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.server.requests.append(Request(self.command, self.path, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.behaviour.cut
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = self.close_connection or cut is not None


def _chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    while size := int(stream.readline().partition(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()


def _run_backend(environment: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
    done = subprocess.run(
        ["git", "http-backend"],
        env=environment,
        input=body,
        capture_output=True,
        timeout=_TIMEOUT,
        check=False,
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.split(b"\r\n") if line]
    headers = {name.decode(): value.strip().decode() for name, _, value in lines}
    status = int(headers.pop("Status", "200").split()[0]) if headers else 500
    headers.pop("Content-Length", None)
    return status, content, headers
