"""A GitOps repository, a target folder and a real agent process, for tests that act as people do."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from undrift import client, errors

_T = TypeVar("_T")
PATIENCE = 40.0
AGENT = """\
apiVersion: undrift.dev/v1
kind: Agent
metadata: {{name: main}}
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: host}}
spec: {{provider: hosts, agent: main, settings: {{root: {root}}}}}
"""


class World:
    """Everything is below `root`; the configuration is in `undrift/`, one file an application."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.repository = root / "repository.git"
        self.checkout = root / "checkout"
        self.target = root / "target"
        self.state = root / "state"
        self.log = root / "agent.log"
        self.client = client.Client(self.state / "agent.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {"UNDRIFT_TRACEBACK": "1"}

    def create(self) -> None:
        """A repository with an agent and a target, and no application."""
        self.target.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", "main", str(self.repository), where=self.root)
        self.git("clone", "-q", str(self.repository), str(self.checkout), where=self.root)
        self.git("checkout", "-q", "-B", "main")
        self.write("undrift/agent.yaml", AGENT.format(root=self.target))

    def write(self, path: str, text: str | bytes | None) -> None:
        """Set a file of the checkout; None removes it."""
        place = self.checkout / path
        if text is None:
            place.unlink()
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)

    def declare(self, name: str, spec: str = "") -> None:
        """An application whose files are in the folder of its name; `spec` is more of its YAML, one line."""
        more = f", {spec}" if spec else ""
        self.write(
            f"undrift/{name}.yaml",
            "apiVersion: undrift.dev/v1\nkind: Application\n"
            f"metadata: {{name: {name}}}\n"
            f"spec: {{source: {{path: {name}}}, target: host{more}}}\n",
        )

    def files(self, name: str, files: Mapping[str, str], more: str = "") -> None:
        """The manifest of an application: absolute path → content."""
        rows = "".join(
            f"    - {{path: {path}, content: {json.dumps(text)}}}\n" for path, text in files.items()
        )
        body = f"  files:\n{rows}" if files else ""
        self.write(
            f"{name}/host.yaml",
            f"apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n{body}{more}  vars: {{}}\n",
        )

    def push(self, message: str = "change", author: str = "Ada Example <ada@example.org>") -> str:
        """Commit everything and push; returns the commit id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, "--author", author)
        self.git("push", "-q", "origin", "main")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str, where: pathlib.Path | None = None) -> str:
        """Run Git."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_NAME": "Test", f"GIT_{role}_EMAIL": "test@example.org"}
        done = subprocess.run(
            ["git", *arguments],
            cwd=where or self.checkout,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def command(self) -> list[str]:
        """How the agent is started."""
        return [
            sys.executable, "-m", "undrift", "agent", "--repository", str(self.repository), "--path", "undrift",
            "--state-dir", str(self.state), "--interval", "500ms",
        ]  # fmt: skip

    def start(self, command: list[str] | None = None) -> None:
        """Start the agent."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command or self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )

    def kill(self) -> None:
        """The agent dies without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    def stop(self) -> int:
        """The agent ends in order; returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours against the agent."""
        return subprocess.run(
            [sys.executable, "-m", "undrift", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.checkout,
            env={**os.environ, "UNDRIFT_SOCKET": str(self.state / "agent.sock")},
        )

    def glance(self, name: str) -> dict[str, Any]:
        """One application in `status`; empty while the agent does not answer or does not know it."""
        with contextlib.suppress(errors.AgentUnavailable):
            return next((one for one in self.client.status() if one["name"] == name), {})
        return {}

    def state_of(self, name: str) -> str:
        """`in sync`, `waiting` …"""
        return str(self.glance(name).get("state", ""))

    def settled(self, name: str, commit: str) -> None:
        """Wait until an application is in sync at a commit."""
        self.until(lambda: self._is_at(name, commit))

    def _is_at(self, name: str, commit: str) -> bool:
        found = self.glance(name)
        revision = found.get("applied_revision") or {}
        return found.get("state") == "in sync" and str(revision.get("name", "")).endswith(commit)

    def codes(self, name: str) -> list[str]:
        """The codes of what stops an application, or of its failure."""
        found = self.glance(name)
        failure = [found["failure"]["code"]] if found.get("failure") else []
        return [*failure, *(stop["code"] for stop in found.get("stops", []))]

    def until(self, find: Callable[[], _T], patience: float = PATIENCE) -> _T:
        """Wait until something is found (or true). Fails with the end of the agent's log."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            found = find()
            if found:
                return found
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.05)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:] if self.log.exists() else ""
        raise AssertionError(f"it did not come true; the agent said:\n{tail}")

    def tree(self) -> dict[str, str]:
        """Every file on the target but our own marks: path → content."""
        return {
            f"/{path.relative_to(self.target)}": path.read_text(encoding="utf-8")
            for path in sorted(self.target.rglob("*"))
            if path.is_file() and ".undrift" not in path.parts
        }


@contextlib.contextmanager
def world(root: pathlib.Path) -> Iterator[World]:
    """A world for the time of a test; nothing of it is left running."""
    made = World(root)
    made.create()
    try:
        yield made
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            made.stop()
        for pid in _left(root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(root, ignore_errors=True)


def _left(root: pathlib.Path) -> list[int]:
    """Processes whose arguments name the world."""
    found = []
    for place in pathlib.Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.fsencode(root) in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
    return found
