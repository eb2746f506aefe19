"""The story, step by step. A step that does not come true within its time ends the demo with an error."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

import click

from undrift import client, errors
from undrift.cli import telling
from undrift.cli.demo import folder, repository

_T = TypeVar("_T")
_PATIENCE = 30.0
_BETWEEN = 0.05


class Story:
    """Tells, does and checks."""

    def __init__(self, sandbox: folder.Sandbox) -> None:
        self.sandbox = sandbox
        self.ports = {stage: _free_port() for stage in repository.STAGES}
        self.repository = repository.Repository(sandbox, self.ports)
        self.agent = client.Client(sandbox.socket)
        self.process: subprocess.Popen[bytes] | None = None
        self._number = 0

    def tell(self) -> None:
        """All of it. Raises `OrderError` for a step that does not come true."""
        self._first_apply()
        self._commit()
        self._drift()
        self._bad_commit()
        self._prune()
        self._approve()

    def start(self) -> None:
        """Start the agent as a process of its own."""
        with self.sandbox.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "undrift", "agent",
                    "--repository", str(self.sandbox.repository),
                    "--path", "undrift",
                    "--state-dir", str(self.sandbox.state),
                    "--interval", "1s",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )  # fmt: skip

    def _first_apply(self) -> None:
        self._step("A repository with a website and its web server, and an agent that follows it")
        for stage in repository.STAGES:
            self.sandbox.stage(stage).mkdir()
        self.repository.create()
        self.start()
        took = self._until(
            "staging is up", lambda: self._page("staging", "/") == repository.page("Welcome", "1")
        )
        self._until("staging is in sync", lambda: self._state("website-staging") == "in sync")
        self._seen(
            f"{self._url('staging')} serves version 1 after {took:.1f} s: files, a template and a process"
        )

    def _commit(self) -> None:
        self._step("A commit goes out")
        for stage in repository.STAGES:
            self.repository.write(f"{stage}/files/www/index.html", repository.page("Welcome", "2"))
        revision = self.repository.push("Version 2 of the welcome page")
        took = self._until("version 2 is live", lambda: "Version 2" in self._page("staging", "/"))
        self._until("staging is in sync", lambda: self._state("website-staging") == "in sync")
        self._seen(f"{revision} is live {took:.1f} s after the push")

    def _drift(self) -> None:
        self._step("Somebody changes a file by hand: that is drift")
        path = self.sandbox.stage("staging") / "www" / "index.html"
        declared = path.read_text(encoding="utf-8")
        path.write_text(declared.replace("Version 2", "Version 2 (hacked)"), encoding="utf-8")
        took = self._until("the file is healed", lambda: path.read_text(encoding="utf-8") == declared)
        found = self._wait("the drift is on record", lambda: self._event("DriftFound"))
        self._seen(f"noticed, shown and healed after {took:.2f} s:")
        for line in str(found["text"]).splitlines():
            self._quote(line)

    def _bad_commit(self) -> None:
        self._step("A bad commit is refused, and the site stays up")
        good = self.repository.manifest("staging")
        self.repository.write("staging/host.yaml", good.replace("directory: /www", "directroy: /www"))
        revision = self.repository.push("Tidy up")
        failure = self._wait("the commit is refused", lambda: self._failure("website-staging"))
        self._seen(f"{revision} is held back:")
        for line in telling.lines(failure):
            self._quote(line)
        self._check("the site is still up", "Version 2" in self._page("staging", "/"))
        self._seen("the last good state stays: the site still serves version 2")
        self.repository.revert()
        self._until("staging is in sync again", lambda: self._state("website-staging") == "in sync")

    def _prune(self) -> None:
        self._step("A file leaves Git, so it leaves the target")
        path = self.sandbox.stage("staging") / "www" / "about.html"
        self._check("the page is there", path.exists())
        for stage in repository.STAGES:
            self.repository.write(f"{stage}/files/www/about.html", None)
        self.repository.push("Nobody reads the about page")
        took = self._until("the page is gone", lambda: not path.exists())
        self._check("the server says so", self._status("staging", "/about.html") == 404)  # noqa: PLR2004 - not found
        self._seen(f"about.html was pruned after {took:.1f} s; nothing else was touched")

    def _approve(self) -> None:
        self._step("Production waits for a person, who approves a digest")
        name = "website-production"
        self._wait("production waits", lambda: self._waits(name))
        self._check("production is untouched", not (self.sandbox.stage("production") / "www").exists())
        found = self.agent.plan(name)
        changes = [change for wave in found["waves"] for change in wave]
        self._seen(
            f"the plan of production has {len(changes)} changes and the digest {found['digest'][:19]}…"
        )
        self._quote(f"undrift approve {name} {found['digest'][7:19]}")
        self.agent.approve(name, found["digest"])
        took = self._until("production is live", lambda: "Version 2" in self._page("production", "/"))
        self._until("production is in sync", lambda: self._state(name) == "in sync")
        self._seen(
            f"exactly that was applied: {self._url('production')} is live {took:.1f} s after the approval"
        )

    def _url(self, stage: str) -> str:
        return f"http://127.0.0.1:{self.ports[stage]}/"

    def _page(self, stage: str, path: str) -> str:
        try:
            with urllib.request.urlopen(self._url(stage) + path.lstrip("/"), timeout=2) as answer:  # noqa: S310 - our own server
                found: bytes = answer.read()
                return found.decode()
        except OSError:
            return ""

    def _status(self, stage: str, path: str) -> int:
        try:
            with urllib.request.urlopen(self._url(stage) + path.lstrip("/"), timeout=2) as answer:  # noqa: S310 - our own server
                status: int = answer.status
                return status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def _glance(self, name: str) -> dict[str, Any]:
        with contextlib.suppress(errors.AgentUnavailable):
            return next((one for one in self.agent.status() if one["name"] == name), {})
        return {}

    def _state(self, name: str) -> str:
        return str(self._glance(name).get("state", ""))

    def _failure(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._glance(name).get("failure")
        return found

    def _waits(self, name: str) -> bool:
        codes = [stop["code"] for stop in self._glance(name).get("stops", [])]
        return codes == [errors.ApprovalRequired.code]

    def _event(self, kind: str) -> dict[str, Any] | None:
        return next((one for one in self.agent.events("website-staging") if one["kind"] == kind), None)

    def _until(self, what: str, true: Callable[[], bool]) -> float:
        """Seconds until it is true."""
        begun = time.monotonic()
        self._wait(what, lambda: true() or None)
        return time.monotonic() - begun

    def _wait(self, what: str, find: Callable[[], _T | None]) -> _T:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            found = find()
            if found:
                return found
            if self.process is not None and self.process.poll() is not None:
                raise errors.OrderError(
                    "the agent ended", why=_tail(self.sandbox.log), hint=f"see {self.sandbox.log}"
                )
            time.sleep(_BETWEEN)
        raise errors.OrderError(
            f"{what}: did not come true within {_PATIENCE:g} s",
            why=_tail(self.sandbox.log),
            hint=f"see {self.sandbox.log}, and `undrift status --socket {self.sandbox.socket}`",
        )

    def _check(self, what: str, true: bool) -> None:  # noqa: FBT001 - it is what is checked
        if not true:
            raise errors.OrderError(f"{what}: not so", why=_tail(self.sandbox.log))

    def _step(self, text: str) -> None:
        self._number += 1
        click.echo(
            f"\n{telling.style(str(self._number), fg='cyan', bold=True)}  {telling.style(text, bold=True)}"
        )

    def _seen(self, text: str) -> None:
        click.echo(f"   {telling.style('✓', fg='green')} {text}")

    def _quote(self, line: str) -> None:
        colour = "green" if line.startswith("+") else "red" if line.startswith("-") else None
        click.echo(f"     {telling.style(line, fg=colour, dim=colour is None)}")


def _tail(path: pathlib.Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    return ""


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port
