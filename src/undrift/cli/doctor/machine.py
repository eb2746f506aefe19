"""Checks of this machine: programs, disk, permissions, sockets."""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator

from undrift.cli.doctor import finding

_LEAST_GIT = (2, 36)
_LEAST_DISK = 200 << 20
_LEAST_INODES = 10_000
_TIMEOUT = 10.0
_TOOLS = (
    ("ssh", "sources over SSH"),
    ("git-lfs", "sources with lfs: true"),
    ("gpg", "OpenPGP signatures, and SOPS with PGP"),
    ("sops", "making files encrypted with SOPS; reading them needs none"),
    ("supervisord", "services without systemd"),
    ("systemctl", "services under systemd"),
)


def findings(state: pathlib.Path) -> Iterator[finding.Finding]:
    """Everything that can be known without asking anybody. `state` is the agent's state folder."""
    yield finding.Finding("ok", "Python", f"{sys.version.split()[0]} ({sys.executable})")
    yield _git()
    yield from (_tool(name, need) for name, need in _TOOLS)
    yield from _folder(state)


def _git() -> finding.Finding:
    git = shutil.which("git")
    todo = "install Git 2.36 or newer"
    if git is None:
        return finding.Finding("fail", "Git", "it is not on the PATH", todo)
    said = _output([git, "--version"]).removeprefix("git version ")
    numbers = tuple(int(part) for part in said.split(".")[:2] if part.isdigit())
    if len(numbers) != len(_LEAST_GIT):
        return finding.Finding("warn", "Git", f"{git} does not tell its version", "look at `git --version`")
    fine = numbers >= _LEAST_GIT
    return finding.Finding(
        "ok" if fine else "fail", "Git", f"{said.split()[0]} ({git})", "" if fine else todo
    )


def _tool(name: str, need: str) -> finding.Finding:
    own = pathlib.Path(sys.executable).with_name(name)
    place = str(own) if own.is_file() else shutil.which(name)
    if place:
        return finding.Finding("ok", name, place)
    return finding.Finding("warn", name, "it is not on the PATH", f"only needed for {need}")


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _folder(state: pathlib.Path) -> Iterator[finding.Finding]:
    existing = next(one for one in (state, *state.parents) if one.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield finding.Finding(
            "fail", "state folder", f"{existing} cannot be written", "choose another with --state-dir"
        )
        return
    if state.is_dir():
        yield _private(state)
    else:
        yield finding.Finding("ok", "state folder", f"{state} is made by the first start of an agent")
    yield _room(existing)


def _private(state: pathlib.Path) -> finding.Finding:
    """What is remembered is nobody else's business: plans, the audit log, a key."""
    open_to = [
        one
        for one in (state, *sorted(state.glob("*.key")), *sorted(state.glob("undrift.db*")))
        if stat.S_IMODE(one.stat().st_mode) & 0o077
    ]
    if not open_to or not stat.S_IMODE(state.stat().st_mode) & 0o077:
        return finding.Finding("ok", "state folder", f"{state} is open to its owner only")
    return finding.Finding("warn", "state folder", f"others may look into {state}", f"chmod 700 {state}")


def _room(folder: pathlib.Path) -> finding.Finding:
    free = shutil.disk_usage(folder).free
    inodes = os.statvfs(folder)
    told = f"{free >> 20} MiB are free in {folder}"
    if inodes.f_files and inodes.f_favail < _LEAST_INODES:
        told += f", but only {inodes.f_favail} inodes"
    elif free >= _LEAST_DISK:
        return finding.Finding("ok", "disk", told)
    return finding.Finding("fail", "disk", told, "make room: Git and the database need it")
