"""Waiting for something to come true, and looking at it for real: pages over HTTP, files, the agent's answers."""

from __future__ import annotations

import contextlib
import http.client
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from undrift import client, errors
from undrift.cli.demo import folder

_T = TypeVar("_T")
_PATIENCE = 40.0
_BETWEEN = 0.03
_TAIL = 5
_TIMEOUT = 5.0


class Looker:
    """Looks at what the agent of a sandbox does. `process` is that agent, once it was started."""

    def __init__(self, sandbox: folder.Sandbox) -> None:
        self._sandbox = sandbox
        self.agent = client.Client(sandbox.socket)
        self.process: subprocess.Popen[bytes] | None = None

    def until(self, what: str, true: Callable[[], bool]) -> float:
        """Seconds until it came true. Raises `OrderError` when it does not, or when the agent ends."""
        begun = time.monotonic()
        self.wait(what, lambda: true() or None)
        return time.monotonic() - begun

    def wait(self, what: str, find: Callable[[], _T | None]) -> _T:
        """What was found, as soon as there is something. Raises as `until`."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            found = find()
            if found is not None:
                return found
            self._alive()
            time.sleep(_BETWEEN)
        raise errors.OrderError(
            f"{what}: that did not come true within {_PATIENCE:g} s",
            why=self._tail(),
            hint=f"see {self._sandbox.log}",
        )

    def check(self, what: str, *, true: bool) -> None:
        """Raise `OrderError` unless it is true now."""
        if not true:
            raise errors.OrderError(
                f"{what}: that is not so", why=self._tail(), hint=f"see {self._sandbox.log}"
            )

    def _alive(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            raise errors.OrderError("the agent ended", why=self._tail(), hint=f"see {self._sandbox.log}")

    def _tail(self) -> str:
        return tail(self._sandbox.log)

    def state(self, name: str) -> str:
        """`in sync`, `waiting` …; "" while the agent does not answer or does not know it."""
        return str(self._glance(name).get("state", ""))

    def failure(self, name: str) -> Mapping[str, Any] | None:
        """What is wrong with an application, if anything is."""
        found: Mapping[str, Any] | None = self._glance(name).get("failure")
        return found

    def waits_for(self, name: str, code: str) -> bool:
        """Whether an application waits for one thing only."""
        return [stop["code"] for stop in self._glance(name).get("stops", ())] == [code]

    def event(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """The last event of a kind."""
        with contextlib.suppress(errors.AgentUnavailable):
            found = [one for one in self.agent.events(name) if one["kind"] == kind]
            return found[-1] if found else None
        return None

    def applied(self, name: str, digest: str) -> Mapping[str, Any] | None:
        """The reconcile that applied the plan of that digest."""
        found = (one for one in self.agent.history(name) if one["digest"] == digest and one["results"])
        return next(found, None)

    def _glance(self, name: str) -> Mapping[str, Any]:
        with contextlib.suppress(errors.AgentUnavailable):
            return next((one for one in self.agent.status() if one["name"] == name), {})
        return {}


def page(port: int, path: str = "/") -> tuple[int, str]:
    """Status and text of a page on this machine; (0, "") while nobody serves it. No proxy is asked."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with contextlib.closing(socket.socket()) as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


def tail(path: pathlib.Path) -> str:
    """The last lines of a log."""
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])
    return ""
