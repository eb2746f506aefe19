"""The checkout that CI made of an application's repository: its commit, the files of it, and how commits follow on
one another. Nothing in it is ever changed.

A shallow checkout knows little of history. What is needed of it (commits only) is then asked of the server it came
from, with the settings and credentials of the checkout, and put into a store of our own.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import os
import pathlib
import posixpath
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Final
from urllib import parse

from undrift import errors
from undrift.lib import mask
from undrift.model import publication, source
from undrift.sources import links
from undrift.sources.git import addresses, batches, command, login, trees

_TIMEOUT: Final = 60.0
_FORMAT: Final = "%H%x00%an <%ae>%x00%ct%x00%B%x00"
_LARGEST: Final = 256 << 20
_INHERITED: Final = r"^(http|credential|url|ssh)\.|^core\.sshcommand$"
_FULL: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256: Final = 64
_LOG: Final = ("log", "--no-show-signature", "--no-color")
"""Whatever a person's settings add to it."""
_NO_TRAP: Final = (("safe.bareRepository", "explicit"),)
"""Files of the application that look like a repository are none: its settings could name programs (git-config)."""
_ANY_BRANCH: Final = "+refs/heads/*:refs/heads/*"


class Relation(enum.StrEnum):
    """How a commit stands to one that was there before."""

    SAME = "same"
    AHEAD = "ahead"
    BEHIND = "behind"
    APART = "apart"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """The commits between two, newest first, and how the newer stands to the older; `why` when that is not known."""

    relation: Relation
    commits: tuple[publication.AppRevision, ...] = ()
    why: str = ""


class Checkout:
    """A work tree of Git, read-only. `root` is its top folder."""

    def __init__(self, root: pathlib.Path, environ: Mapping[str, str]) -> None:
        self.root = root
        self.environment = {
            **{
                name: value
                for name, value in environ.items()
                if name not in {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
            },
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C.UTF-8",
            "LANGUAGE": "C",
        }
        self._history: tempfile.TemporaryDirectory[str] | None = None
        self._address = ""

    @classmethod
    async def find(cls, folder: pathlib.Path, environ: Mapping[str, str] | None = None) -> Checkout:
        """The checkout that a folder is in. Raises `UsageInvalid`."""
        known = dict(os.environ if environ is None else environ)
        environment = cls(folder, known).environment
        environment |= command.more_settings(environment, _NO_TRAP)
        done = await command.run(
            ["-C", str(folder), "rev-parse", "--show-toplevel"], environment, timeout=_TIMEOUT
        )
        if done.status:
            raise errors.UsageInvalid(
                f"{folder} is no checkout of Git",
                why=command.shorten(done.complaint),
                hint="run this in the checkout that CI made, or say where it is with -C",
            )
        return cls(pathlib.Path(os.fsdecode(done.output.rstrip(b"\n"))), known)

    async def close(self) -> None:
        """Drop what was fetched to know history."""
        if self._history is not None:
            self._history.cleanup()

    # --- commits ---------------------------------------------------------------------------------------

    async def revision(self, name: str = "HEAD", *, sequence: int = 0) -> publication.AppRevision:
        """A commit by any name that Git knows. Raises `ReferenceMissing`."""
        done = await self._run(
            *_LOG, "-1", f"--format={_FORMAT}", "--end-of-options", f"{name}^{{commit}}", "--"
        )
        if done.status:
            raise errors.ReferenceMissing(
                f"{name} is no commit of {self.root.name}",
                why=command.shorten(done.complaint),
                hint="fetch it, or name another",
            )
        [found] = _revisions(done.output, await self.address())
        branch = await self._run("symbolic-ref", "--quiet", "--short", "HEAD")
        return dataclasses.replace(
            found,
            branch=branch.output.decode("utf-8", "replace").strip(),
            sequence=sequence,
        )

    async def address(self) -> str:
        """Where the checkout came from, without credentials; the folder's name where nobody knows."""
        if not self._address:
            done = await self._run("config", "--get", "remote.origin.url")
            found = done.output.decode("utf-8", "replace").strip()
            self._address = mask.without_credentials(found) if found else self.root.name
        return self._address

    async def fork(self, branch: str = "") -> str:
        """Where HEAD left a branch of the server it came from (its default branch, where none is named).

        Raises `ReferenceMissing`.
        """
        names = (
            [f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"]
            if branch
            else ["refs/remotes/origin/HEAD"]
        )
        names += [] if branch else ["refs/remotes/origin/main", "refs/remotes/origin/master"]
        for name in names:
            base = await self._run("merge-base", "HEAD", name)
            if base.status == 0:
                return base.output.decode().strip()
        raise errors.ReferenceMissing(
            f"nobody can tell where this left {branch or 'the main branch'}",
            why="this clone does not have the commits of both",
            hint="clone with the whole history (fetch-depth: 0), or name what to compare with by --base",
        )

    async def relation(self, old: str, new: str) -> Span:
        """How `new` stands to `old`, and the commits of `new` that `old` does not have (at most 250). Never raises."""
        if old == new:
            return Span(Relation.SAME)
        if not _FULL.fullmatch(old):
            return Span(Relation.UNKNOWN, why=f"{old!r} is not the id of a commit")
        where: list[str] = []
        if not await self._knows(old, new):
            try:
                where = [f"--git-dir={await self._fetch_history(old, new)}"]
            except _Gone as gone:
                return Span(
                    Relation.APART, why=f"{old[:8]} is in no branch of the application any more: {gone}"
                )
            except errors.UndriftError as error:
                return Span(Relation.UNKNOWN, why=error.why or error.what)
        base = await self._run(*where, "merge-base", old, new)
        if base.status > 1:
            return Span(Relation.UNKNOWN, why=command.shorten(base.complaint))
        relation = {old: Relation.AHEAD, new: Relation.BEHIND}.get(
            base.output.decode().strip(), Relation.APART
        )
        listed = await self._run(
            *where, *_LOG, "--max-count=250", f"--format={_FORMAT}", f"{old}..{new}", "--"
        )
        return Span(relation, tuple(_revisions(listed.output, await self.address())))

    async def _knows(self, *commits: str) -> bool:
        """Whether this checkout has both and all between them."""
        shallow = await self._run("rev-parse", "--is-shallow-repository")
        given = "".join(f"{one}\n" for one in commits).encode()
        have = await self._run("cat-file", "--batch-check", given=given)
        return have.status == 0 and shallow.output.strip() == b"false" and b" missing" not in have.output

    async def _fetch_history(self, old: str, new: str) -> pathlib.Path:
        """A store with these commits and all before them, without trees.

        Raises `_Gone` where the server has the new one and nothing knows the old one, and `SourceError`s.
        """
        if self._history is None:
            self._history = tempfile.TemporaryDirectory(prefix="undrift-", ignore_cleanup_errors=True)
        store = pathlib.Path(self._history.name, "history.git")
        extra = await self._origin()
        kind = "sha256" if len(new) == _SHA256 else "sha1"
        await self._run("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", str(store))
        try:
            await self._fetch(store, extra, old, new)
        except errors.ReferenceMissing as error:
            # One of them is not there, or the server gives what branches hold only: what they hold is enough.
            await self._fetch(store, extra, _ANY_BRANCH)
            there = [await self._has(store, one) for one in (old, new)]
            if there == [False, True]:
                raise _Gone(error.why) from None
            if not all(there):
                raise
        return store

    async def _fetch(self, store: pathlib.Path, extra: Mapping[str, str], *wanted: str) -> None:
        done = await self._run(
            f"--git-dir={store}", "fetch", "--quiet", "--no-tags", "--filter=tree:0", "origin", *wanted, extra=extra
        )  # fmt: skip
        if done.status:
            try:
                raise command.explain("the history cannot be fetched", done)
            except command.Corruption as damage:
                raise errors.SourceUnavailable(
                    "the history cannot be fetched", why=command.shorten(str(damage))
                ) from None

    async def _has(self, store: pathlib.Path, commit: str) -> bool:
        """Whether a store holds a commit. The store knows no server: nothing is fetched for the question."""
        found = await self._run(f"--git-dir={store}", "cat-file", "-e", commit)
        return found.status == 0

    async def _origin(self) -> dict[str, str]:
        """How Git reaches, from anywhere, the server that this checkout came from.

        A credential in its URL is taken out of it: Git hands URLs to programs as arguments, for all to see.
        """
        url = (await self._run("config", "--get", "remote.origin.url")).output.decode().strip()
        if not url:
            raise errors.SourceUnavailable(
                "this checkout has no remote origin", hint="check it out with its history"
            )
        plain = mask.without_credentials(url)
        place = addresses.parse_url(plain if plain.startswith(("http:", "https:")) else url, insecure=True)
        inherited = login.without_headers(await self._inherited())
        helped = login.helped(place, _named(url) if place.url != url else login.Login())
        values = [
            *inherited.settings,
            ("remote.origin.promisor", "true"),
            ("remote.origin.url", place.url),
            *helped.settings,
        ]
        return {
            **command.more_settings(self.environment, values),
            **inherited.environment,
            **helped.environment,
            "GIT_ALLOW_PROTOCOL": addresses.protocols(place),
        }

    async def _inherited(self) -> list[tuple[str, str]]:
        """Settings of the checkout that say how its server is reached; CI often keeps its credentials there, or in
        a file that it includes.
        """
        done = await self._run("config", "--local", "--includes", "--null", "--get-regexp", _INHERITED)
        entries = [one.partition("\n") for one in done.output.decode("utf-8", "replace").split("\0") if one]
        return [(name, value) for name, _, value in entries]

    # --- files -----------------------------------------------------------------------------------------

    async def changed(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Files below some paths that differ from HEAD in the work tree, untracked ones included."""
        done = await self._run(
            "status", "--porcelain", "-z", "--untracked-files=all", "--", *(paths or ["."])
        )
        return tuple(one[3:] for one in done.output.decode("utf-8", "replace").split("\0") if len(one) > 3)  # noqa: PLR2004 - two letters and a space

    def at(self, commit: str) -> CommitSource:
        """The files of a commit as a source."""
        return CommitSource(self, commit)

    async def list(self, commit: str, path: str) -> dict[str, trees.Entry]:
        """All files below a path of a commit, by their whole paths; submodules are left out."""
        below = "/".join(trees.split(path))
        done = await self._run(
            "ls-tree", "-r", "-z", "--full-tree", commit, *(["--", below] if below else [])
        )
        if done.status:
            raise errors.SourceError(f"{commit[:12]} cannot be read", why=command.shorten(done.complaint))
        found: dict[str, trees.Entry] = {}
        for line in done.output.decode("utf-8", "surrogateescape").split("\0"):
            head, _, name = line.partition("\t")
            if name:
                mode, kind, object_id = head.split(" ")
                if kind == "blob":
                    found[name] = trees.Entry(mode.lstrip("0"), object_id)
        return found

    async def read(self, entries: Mapping[str, trees.Entry]) -> dict[str, source.File]:
        """The files behind entries. Raises `ArtifactRefused` where they are too large or lead out."""
        given = "".join(f"{one.object_id}\n" for one in entries.values()).encode()
        sizes = await self._run("cat-file", "--batch-check=%(objectsize)", given=given)
        if sum(int(size) for size in sizes.output.split()) > _LARGEST:
            raise errors.ArtifactRefused(
                f"there are more than {_LARGEST >> 20} MiB to read", hint="narrow the path"
            )
        done = await self._run("cat-file", "--batch", given=given)
        if done.status:
            raise errors.SourceError(
                "files of the checkout cannot be read", why=command.shorten(done.complaint)
            )
        contents = batches.contents(done.output)
        files = {
            name: source.File(content, batches.kind(entry.mode))
            for (name, entry), content in zip(entries.items(), contents, strict=True)
        }
        to = {
            name: file.content.decode("utf-8", "surrogateescape")
            for name, file in files.items()
            if file.kind is source.FileKind.LINK
        }
        links.check(to)
        return files

    async def _run(
        self, *arguments: str, given: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> command.Finished:
        try:
            return await command.run(
                ["-C", str(self.root), *arguments],
                {**self.environment, **(extra or {})},
                given=given,
                timeout=_TIMEOUT,
            )
        except TimeoutError:
            raise errors.SourceUnavailable(
                f"git {arguments[0]} took longer than {_TIMEOUT:g} s", hint="try again"
            ) from None


def _named(url: str) -> login.Login:
    """The credential in a URL."""
    user, _, password = parse.urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return login.Login(parse.unquote(user), parse.unquote(password))


class _Gone(Exception):
    """A commit is nowhere on the server any more; says what the server said."""


class CommitSource:
    """Implements `interfaces.Source` over one commit of a checkout."""

    def __init__(self, owner: Checkout, commit: str) -> None:
        self._owner = owner
        self._commit = commit
        self._listed: dict[str, trees.Entry] | None = None

    async def resolve(self) -> source.Revision:
        """See `interfaces.Source`."""
        return source.Revision("", f"sha1:{self._commit}")

    async def _entries(self) -> dict[str, trees.Entry]:
        """The whole list of files: one command, whatever is asked for afterwards."""
        if self._listed is None:
            self._listed = await self._owner.list(self._commit, "")
        return self._listed

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """See `interfaces.Source`."""
        listed = await self._entries()
        found = {}
        for path in paths:
            inside = _below(listed, path)
            if inside:
                text = "".join(
                    f"{name}\0{one.mode}\0{one.object_id}\0" for name, one in sorted(inside.items())
                )
                found[path] = "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return found

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """See `interfaces.Source`."""
        listed = await self._entries()
        inside = _below(listed, path)
        if not inside:
            raise errors.PathMissing(
                f"the path {path} does not exist in {self._commit[:12]}",
                hint="correct it, or commit the files",
            )
        clean = "/".join(trees.split(path))
        single = clean in inside
        files = await self._owner.read(inside)
        named = {(posixpath.basename(name) if single else name): file for name, file in files.items()}
        cut = len(clean) + 1 if clean and not single else 0
        digest = (await self.digests(revision, [path]))[path]
        return source.Artifact(
            revision, path, digest, {name[cut:]: named[name] for name in sorted(named)}, single=single
        )

    async def close(self) -> None:
        """Nothing to give back."""


def _below(listed: Mapping[str, trees.Entry], path: str) -> dict[str, trees.Entry]:
    clean = "/".join(trees.split(path))
    if not clean:
        return dict(listed)
    return {name: one for name, one in listed.items() if name == clean or name.startswith(f"{clean}/")}


def _revisions(output: bytes, address: str) -> list[publication.AppRevision]:
    fields = output.decode("utf-8", "replace").split("\0")
    found = []
    for place in range(0, len(fields) - 3, 4):
        sha, author, time, message = fields[place : place + 4]
        text = message.strip()
        found.append(
            publication.AppRevision(
                sha.strip(), address, author, float(time or 0), text.partition("\n")[0], text
            )
        )
    return found
