"""Where things come from: ancestors, the commits that touched a path, the commit behind a line."""

from __future__ import annotations

import dataclasses
import re

from undrift import errors
from undrift.sources.git import command, repository, trees

_BLAME_TIMEOUT = 5.0
_BLAMED = 200
_FORMAT = "%H%x00%an <%ae>%x00%ct%x00%B%x00"
_HASH = re.compile(r"^[0-9a-f]{40,64} ", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A commit in a list: id, author (`Name <mail>`), time (seconds since the epoch) and whole message."""

    commit: str
    author: str
    time: float
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.strip().partition("\n")[0]


async def descends(owner: repository.Repository, commit: str, ancestor: str) -> bool:
    """Whether `ancestor` is in the history of `commit`, which is in the store."""
    if commit == ancestor or ancestor in (await owner.commit(commit)).parents:
        return True
    if (await owner.heal(lambda: owner.reader.info([ancestor])))[0] is None:
        return False
    done = await owner.git(["merge-base", "--is-ancestor", ancestor, commit])
    return done.status == 0


async def log(owner: repository.Repository, commit: str, path: str, limit: int) -> tuple[Entry, ...]:
    """The newest commits that touched a path ("" or ".": any), newest first."""
    paths = _below(path)
    done = await owner.git(["log", f"--format={_FORMAT}", f"--max-count={limit}", commit, "--", *paths])
    if done.status:
        raise _unreadable(owner, done)
    fields = done.output.decode("utf-8", "replace").split("\0")
    found = []
    for place in range(0, len(fields) - 4 + 1, 4):
        name, author, time, message = fields[place : place + 4]
        found.append(Entry(name.strip(), author, float(time or 0), message.strip()))
    return tuple(found)


async def blame(owner: repository.Repository, commit: str, path: str, line: int) -> Entry | None:
    """The commit that a line comes from; of line 0, or where that takes too long, the last that touched the file."""
    name = "/".join(trees.split(path))
    if line and name:
        await _prepare(owner, commit, name)
        found = await _blame(owner, commit, name, line)
        if found:
            return found
    return next(iter(await log(owner, commit, path, 1)), None)


async def _prepare(owner: repository.Repository, commit: str, name: str) -> None:
    """Blame reads every version of a file: fetch those that are not here in one go."""
    arguments = ["log", "--format=", "--raw", "--no-abbrev", "--no-renames", f"--max-count={_BLAMED}"]
    done = await owner.git([*arguments, commit, "--", f":(literal){name}"])
    blobs = {
        word
        for text in done.output.decode("utf-8", "replace").splitlines()
        if text.startswith(":") and "160000" not in text[:16]
        for word in text.split(" ")[2:4]
        if word.strip("0")
    }
    await owner.provide(commit, sorted(blobs))


async def _blame(owner: repository.Repository, commit: str, name: str, line: int) -> Entry | None:
    done = await owner.git(
        ["blame", "--porcelain", f"-L{line},{line}", commit, "--", name], timeout=_BLAME_TIMEOUT
    )
    said = done.output.decode("utf-8", "replace")
    if done.status or not _HASH.match(said):
        return None
    blamed = said.split(" ", 1)[0]
    known = await owner.commit(blamed)
    return Entry(blamed, known.author, known.time, known.message.strip())


def _below(path: str) -> list[str]:
    name = "/".join(trees.split(path))
    return [f":(literal){name}"] if name else []


def _unreadable(owner: repository.Repository, done: command.Finished) -> errors.StoreBroken:
    return errors.StoreBroken(
        f"the history of {owner.shown} cannot be read", why=command.shorten(done.complaint)
    )
