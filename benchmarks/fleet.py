"""A thousand applications in one repository, a real agent process, and how to ask it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from undrift import client, errors

COUNT = 1000


class Fleet:
    """One repository, one target, `count` applications of two files each."""

    patience = 120.0
    """Seconds that something may take to come true."""

    def __init__(self, root: pathlib.Path, count: int = COUNT) -> None:
        self.root = root
        self.count = count
        self.repository = root / "repository.git"
        self.checkout = root / "checkout"
        self.target = root / "target"
        self.state = root / "state"
        self.client = client.Client(self.state / "agent.sock")
        self.process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """The repository with everything in one commit."""
        self.target.mkdir()
        git(self.root, "init", "-q", "--bare", "-b", "main", str(self.repository))
        git(self.root, "clone", "-q", str(self.repository), str(self.checkout))
        git(self.checkout, "checkout", "-q", "-B", "main")
        config = self.checkout / "undrift"
        config.mkdir()
        documents = [self.config()]
        documents += [self.application(number) for number in range(self.count)]
        (config / "config.yaml").write_text("".join(documents), encoding="utf-8")
        for number in range(self.count):
            self.write(number, "1")
        self.push("everything")

    def config(self) -> str:
        """The agent and its target."""
        return _CONFIG.format(root=self.target)

    def application(self, number: int) -> str:
        """One application."""
        return _APPLICATION.format(number=number)

    def write(self, number: int, version: str) -> None:
        """The files of one application."""
        folder = self.checkout / "apps" / f"app-{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath("host.yaml").write_text(
            _MANIFEST.format(number=number, version=version), encoding="utf-8"
        )

    def push(self, message: str) -> None:
        """Commit and push."""
        git(self.checkout, "add", "-A")
        git(self.checkout, "commit", "-q", "-m", message)
        git(self.checkout, "push", "-q", "origin", "main")

    def applied(self, number: int) -> pathlib.Path:
        """A file that an application makes."""
        return self.target / "srv" / f"app-{number:04d}" / "version.txt"

    def start(self) -> None:
        """Start the agent."""
        with (self.root / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "undrift", "agent", "--repository", str(self.repository),
                    "--path", "undrift", "--state-dir", str(self.state),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def stop(self) -> None:
        """End the agent in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def states(self) -> dict[str, int]:
        """How many applications are in each state."""
        counts: dict[str, int] = {}
        with contextlib.suppress(errors.AgentUnavailable):
            for one in self.client.status():
                counts[one["state"]] = counts.get(one["state"], 0) + 1
        return counts

    def until(self, true: Callable[[], bool], every: float = 0.05) -> float:
        """Seconds until it is true. Asking is work for the agent: it is asked for a tenth of the time at most."""
        begun = asked = time.perf_counter()
        while not true():
            if asked - begun > self.patience:
                raise SystemExit(f"it did not come true in {self.patience:g} s; states: {self.states()}")
            time.sleep(max(every, 9 * (time.perf_counter() - asked)))
            asked = time.perf_counter()
        return time.perf_counter() - begun

    def all_in_sync(self) -> bool:
        """Whether every application is as declared: counted by the agent, and then looked at one by one."""
        with contextlib.suppress(errors.AgentUnavailable):
            if self.client.agent()["in_sync"] == self.count:
                return self.states() == {"in sync": self.count}
        return False

    def cpu(self) -> float:
        """Seconds of CPU that the agent has used."""
        if self.process is None:
            return 0.0
        fields = (
            pathlib.Path(f"/proc/{self.process.pid}/stat")
            .read_text(encoding="ascii")
            .rpartition(")")[2]
            .split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """MiB of the agent's resident set."""
        if self.process is None:
            return 0.0
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@contextlib.contextmanager
def fleet(count: int = COUNT) -> Iterator[Fleet]:
    """A fleet for the time of a block."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="undrift-bench-"))
    made = Fleet(root, count)
    try:
        made.create()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)


def git(where: pathlib.Path, *arguments: str) -> None:
    """Run Git with an identity of its own."""
    identity = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Bench"), ("EMAIL", "bench@example.org"))
    }
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", *arguments], cwd=where, env=environment, check=True, timeout=120)


_CONFIG = """\
apiVersion: undrift.dev/v1
kind: Agent
metadata: {{name: bench}}
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: here}}
spec: {{provider: hosts, agent: bench, settings: {{root: {root}}}}}
"""
_APPLICATION = """\
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: app-{number:04d}}}
spec: {{source: {{path: apps/app-{number:04d}}}, target: here}}
"""
_MANIFEST = """\
apiVersion: undrift.dev/hosts/v1
kind: Host
spec:
  directories:
    - {{path: /srv/app-{number:04d}}}
  files:
    - {{path: /srv/app-{number:04d}/version.txt, content: "{version}\\n"}}
    - {{path: /srv/app-{number:04d}/name.txt, content: "app-{number:04d}\\n"}}
"""
