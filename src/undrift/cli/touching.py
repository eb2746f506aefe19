"""Which applications of a checkout differ from what a commit declares: what a pull request or a push is about."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence

from undrift import errors
from undrift.cli import checkouts
from undrift.config import configuration
from undrift.sources import directory

_PATIENCE = 60.0
_OWN = "config"


async def touched(
    checkout: checkouts.Checkout,
    found: configuration.Configuration,
    beside: Mapping[str, Sequence[str]],
    commit: str,
) -> frozenset[str]:
    """Applications whose documents or files are not those of `commit`, and those that use what these publish.

    `beside` are paths that an application reads beside its own. Raises `UsageInvalid` for a commit that there is not.
    """
    async with _at(checkout, commit) as former:
        before = await former.read()
        changed = {
            name
            for name in found.applications
            if before.digests.get(name) != found.digests.get(name)
            or await _differs(name, found, beside.get(name, ()), (checkout, former))
        }
    return frozenset(changed | _following(changed, found))


async def _differs(
    name: str,
    found: configuration.Configuration,
    beside: Sequence[str],
    both: tuple[checkouts.Checkout, checkouts.Checkout],
) -> bool:
    subject = found.applications[name]
    own = [subject.source.path] if subject.source.name == _OWN else []
    paths = [*own, *beside]
    now, then = [dict(await one.source.digests(await one.source.resolve(), paths)) for one in both]
    return now != then


def _following(changed: set[str], found: configuration.Configuration) -> set[str]:
    """Those that depend on something that publishes values, and so on."""
    more: set[str] = set()
    while True:
        sources = {name for name in changed | more if found.applications[name].outputs}
        new = {name for name, one in found.applications.items() if sources & set(one.depends_on)} - (
            changed | more
        )
        if not new:
            return more
        more |= new


@contextlib.asynccontextmanager
async def _at(checkout: checkouts.Checkout, commit: str) -> AsyncIterator[checkouts.Checkout]:
    """The same repository as it is at a commit, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="undrift-since-") as name:
        folder = pathlib.Path(name)
        await asyncio.to_thread(_unpack, checkout.root, commit, folder)
        (folder / checkout.path).mkdir(parents=True, exist_ok=True)
        yield dataclasses.replace(checkout, root=folder, source=directory.DirectorySource(folder))


def _unpack(root: pathlib.Path, commit: str, folder: pathlib.Path) -> None:
    archive = folder / ".undrift-archive.tar"
    with archive.open("wb") as file:
        done = subprocess.run(
            ["git", "-C", str(root), "archive", "--format=tar", "--end-of-options", commit],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE,
        )
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        raise errors.UsageInvalid(
            f"there is no commit {commit} in {root}", why=why, hint="name a commit, a branch or a tag"
        )
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
