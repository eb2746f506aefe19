"""What the benchmarks of publishing share: an application, a GitOps repository over HTTP, and the command as CI runs it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

UNDRIFT = str(pathlib.Path(sys.executable).with_name("undrift"))
SERVE = """
import pathlib, sys
from undrift.testing import git_server
with git_server.GitServer(pathlib.Path(sys.argv[1])) as server:
    print(server.repository("gitops.git").url, flush=True)
    sys.stdin.read()
"""
CONFIG = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {{name: {name}}}
spec:
  gitopsRepository: {{url: "{url}", forge: none}}
  source: {{manifests: k8s}}
  validators: [{{kind: yaml}}]
  stages: [{{name: staging}}]
"""
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{number: '{number}'}}\n"


def environ(folder: pathlib.Path) -> dict[str, str]:
    """Nobody's settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "CI", "GIT_AUTHOR_EMAIL": "ci@example.com",
        "GIT_COMMITTER_NAME": "CI", "GIT_COMMITTER_EMAIL": "ci@example.com",
    }  # fmt: skip


@contextlib.contextmanager
def folder() -> Iterator[pathlib.Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="undrift-bench-") as name:
        yield pathlib.Path(name)


@contextlib.contextmanager
def served(place: pathlib.Path) -> Iterator[str]:
    """The URL of `gitops.git` below a folder, served by a process of its own for the time of a block."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.communicate(timeout=20)


def git(place: pathlib.Path, *arguments: str, given: bytes = b"") -> str:
    """What Git says in a folder."""
    done = subprocess.run(
        ["git", "-C", str(place), *arguments],
        input=given,
        check=True,
        capture_output=True,
        env=environ(place),
    )
    return done.stdout.decode().strip()


def application(place: pathlib.Path, name: str, url: str) -> pathlib.Path:
    """A checkout with one revision."""
    made = place / name
    (made / "k8s").mkdir(parents=True)
    (made / "undrift.yaml").write_text(CONFIG.format(name=name, url=url), encoding="utf-8")
    git(made, "init", "-q", "-b", "main")
    change(made, name, 0)
    return made


def change(made: pathlib.Path, name: str, number: int) -> None:
    """Another revision."""
    (made / "k8s" / "a.yaml").write_text(MANIFEST.format(name=name, number=number), encoding="utf-8")
    git(made, "add", "-A")
    git(made, "commit", "-qm", f"Change {number}")


def begin(
    place: pathlib.Path, script: Sequence[str], more: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in a checkout."""
    return subprocess.Popen(
        script, cwd=place, env={**environ(place), **(more or {})},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def took(place: pathlib.Path, *command: str) -> float:
    """Seconds that a command takes in a checkout; it has to succeed."""
    begun = time.perf_counter()
    process = begin(place, command)
    _, complaint = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: {complaint.decode()}")
    return time.perf_counter() - begun


def spent() -> float:
    """Seconds of CPU of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
