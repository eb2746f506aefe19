"""What `service` offers, over the agent's socket; light enough for a command line that starts at once.

The agent speaks HTTP/1.1 on a Unix socket. Each call is one request; `events` reads server-sent events until
the caller stops. Errors of the agent are raised here as what they are.
"""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib import parse

from undrift import errors

_TIMEOUT = 30.0


def default_socket(environ: Mapping[str, str] | None = None) -> pathlib.Path:
    """Where an agent listens unless it was told otherwise: `UNDRIFT_SOCKET`, or its state folder."""
    known = os.environ if environ is None else environ
    if known.get("UNDRIFT_SOCKET"):
        return pathlib.Path(known["UNDRIFT_SOCKET"]).expanduser()
    if known.get("UNDRIFT_STATE_DIR"):
        return pathlib.Path(known["UNDRIFT_STATE_DIR"]).expanduser() / "agent.sock"
    state = known.get("XDG_STATE_HOME", "")
    base = pathlib.Path(state) if state.startswith("/") else pathlib.Path("~/.local/state").expanduser()
    return base / "undrift" / "agent.sock"


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: pathlib.Path, timeout: float) -> None:
        super().__init__("undrift", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Client:
    """One agent, by its socket. Every method returns JSON data as `agent.shapes` makes it.

    `timeout` is how many seconds the agent has for an answer that needs no look at a target.
    """

    def __init__(self, path: pathlib.Path | None = None) -> None:
        self.path = path or default_socket()
        self.timeout = _TIMEOUT

    def agent(self) -> dict[str, Any]:
        """Who answers: name, version, repository, revision, config errors, checks of itself."""
        return self._object("GET", "/v1/agent")

    def status(self) -> list[dict[str, Any]]:
        """Every application at a glance."""
        found: list[dict[str, Any]] = self._object("GET", "/v1/applications")["applications"]
        return found

    def application(self, name: str) -> dict[str, Any]:
        """One application in full."""
        return self._object("GET", f"/v1/applications/{_quoted(name)}")

    def plan(self, name: str) -> dict[str, Any]:
        """A plan made now, from a fresh look; nothing is changed."""
        return self._object("GET", f"/v1/applications/{_quoted(name)}/plan", timeout=300)

    def approve(self, name: str, digest: str) -> dict[str, Any]:
        """Approve a plan by its digest. Raises `PlanMoved` when it is not the present one."""
        return self._object("POST", f"/v1/applications/{_quoted(name)}/approve", {"digest": digest}, 300)

    def reconcile(self, name: str, *, wait: float = 0.0) -> dict[str, Any]:
        """Reconcile now, a held-back revision too; with `wait` seconds: until it is done."""
        body = {"wait": wait}
        return self._object("POST", f"/v1/applications/{_quoted(name)}/reconcile", body, wait + self.timeout)

    def hold(self, name: str, seconds: float, reason: str = "") -> dict[str, Any]:
        """Suspend for a while; it ends by itself."""
        return self._object(
            "POST", f"/v1/applications/{_quoted(name)}/hold", {"seconds": seconds, "reason": reason}
        )

    def resume(self, name: str) -> dict[str, Any]:
        """End a hold, or let an application go on after the database was lost."""
        return self._object("POST", f"/v1/applications/{_quoted(name)}/resume", {})

    def history(
        self, name: str | None = None, limit: int = 20, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Reconciles that did or found something, newest first."""
        asked = {"limit": limit, "application": name, "before": before}
        query = parse.urlencode({key: value for key, value in asked.items() if value is not None})
        found: list[dict[str, Any]] = self._object("GET", f"/v1/history?{query}")["history"]
        return found

    def events(
        self, name: str | None = None, *, follow: bool = False, limit: int = 100
    ) -> Iterator[dict[str, Any]]:
        """Events in order; with `follow` it never ends."""
        asked = {"application": name, "limit": limit, "follow": "1" if follow else None}
        query = parse.urlencode({key: value for key, value in asked.items() if value is not None})
        connection, response = self._send(
            "GET", f"/v1/events?{query}", None, None if follow else self.timeout
        )
        try:
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _away(self.path, "it stopped while answering") from error
        finally:
            connection.close()
        if follow:
            raise _away(self.path, "it ended")

    def _object(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = 0.0
    ) -> dict[str, Any]:
        connection, response = self._send(method, path, body, timeout or self.timeout)
        try:
            found: dict[str, Any] = json.loads(response.read())
        except (OSError, ValueError) as error:
            raise _away(self.path, "it stopped while answering") from error
        finally:
            connection.close()
        return found

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout: float | None
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        connection = _Connection(self.path, timeout or 86400.0)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
        except TimeoutError as error:
            connection.close()
            raise _away(self.path, "it does not answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _away(self.path, getattr(error, "strerror", None) or "it cannot be reached") from error
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            try:
                told = json.loads(response.read() or b"{}")
            except ValueError:
                told = {}
            connection.close()
            raise revived(told)
        return connection, response


def _away(path: pathlib.Path, why: str) -> errors.AgentUnavailable:
    return errors.AgentUnavailable(
        f"no agent answers on {path}",
        why=why,
        hint="start one with `undrift agent`, or say where it is with --socket or UNDRIFT_SOCKET",
    )


def revived(told: Mapping[str, Any]) -> errors.UndriftError:
    """An error as the agent told it, of its own class."""
    kind = errors.kinds().get(str(told.get("code")), errors.UndriftError)
    parts = [revived(part) for part in told.get("parts", ())]
    if parts:
        return errors.Several(tuple(parts))
    where = str(told.get("where", ""))
    error = kind(
        str(told.get("what", "the agent refused")),
        origin=errors.Origin.read(where) if where else None,
        why=str(told.get("why", "")),
        hint=str(told.get("hint", "")),
    )
    return error.at(str(told.get("revision", "")), str(told.get("author", "")))


def _quoted(name: str) -> str:
    return parse.quote(name, safe="")
