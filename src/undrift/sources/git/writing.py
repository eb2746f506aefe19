"""A person's commits: restoring a path from an earlier revision, or changing one file, and pushing that.

This runs for whoever gives the order, with his own Git settings, credentials, identity and signing key, never with
those of the agent. The commit is built from tree objects in a store that is thrown away afterwards: no checkout is
touched, and only what changes is transferred. A push that lost a race is built again on the new tip.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from undrift import errors
from undrift.sources.git import addresses, command, trees

_TIMEOUT = 300.0
_TRIES = 5
_ZERO = "0" * 40
_BRANCH = re.compile(r"^(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.))[^\s~^:?*\[\\/.-][^\s~^:?*\[\\]*(?<![/.])$")
_LOST = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|reference already exists|failed to update ref"
)
_DECLINED = re.compile(
    r"protected branch|hook declined|remote rejected|denied|GH006|not allowed", re.IGNORECASE
)

Edit = Callable[[bytes | None], bytes | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """What was pushed: the commit, the branch it is on now, and the commit it was made on."""

    commit: str
    branch: str
    parent: str


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What is to be committed. `branch` is what it is made on, `to` where it is pushed ("": the same branch).

    A `to` that exists already is refused, unless it is `branch`. `message` is the whole commit message.
    """

    branch: str
    message: str
    to: str = ""


class Writer:
    """Writes to one repository. `url` as in a source; `environment` is the person's own (None: ours)."""

    def __init__(
        self, url: str, environment: Mapping[str, str] | None = None, *, insecure: bool = False
    ) -> None:
        self._address = addresses.parse_url(url, insecure=insecure)
        self._own = dict(os.environ if environment is None else environment)

    async def restore(self, order: Order, path: str, revision: str) -> Written:
        """Make `path` ("" or ".": everything) what it was at a commit id; what was not there then is deleted.

        Raises `RollbackImpossible` when that changes nothing, `ReferenceMissing` (branch or commit),
        `SourceDenied`, `SourceUnavailable`, and `UsageInvalid` without an identity to commit as.
        """
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
            raise errors.RollbackImpossible(
                f"{revision!r} is not the id of a commit", hint="see `undrift history`"
            )

        async def change(draft: _Draft) -> None:
            await draft.fetch_commit(revision)
            await draft.restore("/".join(trees.split(path)), revision)

        return await self._write(order, change, f"{path or '.'} is already as it was at {revision[:12]}")

    async def replace(self, order: Order, path: str, edit: Edit) -> Written:
        """Change one file: `edit` gets its content (None: there is none) and gives the new one (None: delete it).

        It is called again when somebody else pushed meanwhile. Raises as `restore`.
        """

        async def change(draft: _Draft) -> None:
            await draft.replace("/".join(trees.split(path)), edit)

        return await self._write(order, change, f"{path} is already like that")

    async def _write(
        self, order: Order, change: Callable[[_Draft], Awaitable[None]], unchanged: str
    ) -> Written:
        for name in (order.branch, order.to or order.branch):
            if not _BRANCH.match(name):
                raise errors.UsageInvalid(f"{name!r} cannot be the name of a branch")
        async with self._draft() as draft:
            await draft.identity()
            for _ in range(_TRIES):
                parent = await draft.begin(order.branch)
                await change(draft)
                commit = await draft.commit(parent, order.message)
                if not commit:
                    raise errors.RollbackImpossible(
                        f"there is nothing to commit on {order.branch}",
                        why=unchanged,
                        hint="see `undrift history`",
                    )
                if await draft.push(commit, order, parent):
                    return Written(commit, order.to or order.branch, parent)
        raise errors.SourceUnavailable(
            f"{order.branch} of {self._address.shown} cannot be pushed to",
            why=f"others pushed {_TRIES} times meanwhile",
            hint="try again",
        )

    @contextlib.asynccontextmanager
    async def _draft(self) -> AsyncIterator[_Draft]:
        with tempfile.TemporaryDirectory(prefix="undrift-", ignore_cleanup_errors=True) as name:
            draft = _Draft(pathlib.Path(name), self._address, self._own)
            await draft.make()
            yield draft


class _Draft:
    """A commit in the making, in a repository of its own."""

    def __init__(self, folder: pathlib.Path, address: addresses.Address, own: Mapping[str, str]) -> None:
        self._address = address
        self._folder = folder
        self._environment = command.personal_environment(own, str(folder / "store.git"), address.scheme) | {
            "GIT_INDEX_FILE": str(folder / "index")
        }

    async def make(self) -> None:
        await self._git("init", "--quiet", "--bare", "--template=", str(self._folder / "store.git"))
        await self._git("remote", "add", "origin", self._address.url)
        for name, value in (("promisor", "true"), ("partialclonefilter", "blob:none")):
            await self._git("config", f"remote.origin.{name}", value)

    async def identity(self) -> None:
        """Raise early when git does not know who is committing."""
        done = await self._run("var", "GIT_COMMITTER_IDENT")
        if done.status:
            raise errors.UsageInvalid(
                "git does not know who you are",
                why=command.shorten(done.complaint).partition("\n")[0],
                hint="git config --global user.name 'Your Name'; git config --global user.email you@example.com",
            )

    async def begin(self, branch: str) -> str:
        """Fetch the branch and start from its tip, whose id is returned."""
        await self._fetch(f"+refs/heads/{branch}:refs/heads/{branch}", f"branch {branch}")
        tip = (await self._git("rev-parse", "--verify", f"refs/heads/{branch}^0")).decode().strip()
        await self._git("read-tree", tip)
        return tip

    async def fetch_commit(self, commit: str) -> None:
        """Have a commit, which most often is in the branch's history already."""
        done = await self._run("cat-file", "-e", f"{commit}^{{commit}}")
        if done.status:
            await self._fetch(f"+{commit}:refs/undrift/{commit}", f"commit {commit[:12]}")

    async def _fetch(self, refspec: str, what: str) -> None:
        done = await self._run(
            "fetch", "--quiet", "--no-tags", "--filter=blob:none", "--no-auto-maintenance", "origin", refspec
        )
        if done.status == 0:
            return
        error = self._explain(f"{what} of {self._address.shown} cannot be fetched", done)
        raise error

    async def restore(self, path: str, commit: str) -> None:
        found = await self._entry(commit, path)
        await self._remove(path)
        if found is None:
            return
        if found.mode == trees.TREE:
            await self._git("read-tree", *(["-i", f"--prefix={path}/"] if path else []), found.object_id)
        else:
            await self._put(path, found.mode, found.object_id)

    async def replace(self, path: str, edit: Edit) -> None:
        listed = await self._git("ls-files", "--stage", "-z", "--", f":(literal){path}")
        stage = listed.decode("utf-8", "surrogateescape").split("\0")[0]
        mode, old = "100644", None
        if stage and stage.endswith(f"\t{path}"):
            mode, object_id = stage.split(" ")[:2]
            old = await self._git("cat-file", "blob", object_id)
        new = edit(old)
        if new is None:
            await self._remove(path)
        else:
            made = await self._git("hash-object", "-w", "--stdin", given=new)
            await self._put(path, mode, made.decode().strip())

    async def _entry(self, commit: str, path: str) -> trees.Entry | None:
        if not path:
            tree = await self._git("rev-parse", "--verify", f"{commit}^{{tree}}")
            return trees.Entry(trees.TREE, tree.decode().strip())
        listed = await self._git("ls-tree", "-z", "--full-tree", commit, "--", path)
        for line in listed.decode("utf-8", "surrogateescape").split("\0"):
            head, _, name = line.partition("\t")
            if name == path:
                mode, _, object_id = head.split(" ")
                return trees.Entry(mode.lstrip("0"), object_id)
        return None

    async def _remove(self, path: str) -> None:
        listed = await self._git("ls-files", "-z", "--", *([f":(literal){path}"] if path else []))
        zeros = b"".join(
            b"0 " + _ZERO.encode() + b"\t" + name + b"\0" for name in listed.split(b"\0") if name
        )
        await self._git("update-index", "-z", "--index-info", given=zeros)

    async def _put(self, path: str, mode: str, object_id: str) -> None:
        line = f"{mode} {object_id}\t{path}\0".encode("utf-8", "surrogateescape")
        await self._git("update-index", "-z", "--index-info", given=line)

    async def commit(self, parent: str, message: str) -> str:
        """The id of the new commit, or "" when it would change nothing."""
        # The trees' blobs may be with the server only; nothing has to be here to name them.
        tree = (await self._git("write-tree", "--missing-ok")).decode().strip()
        before = (await self._git("rev-parse", f"{parent}^{{tree}}")).decode().strip()
        if tree == before:
            return ""
        signs = await self._run("config", "--type=bool", "--get", "commit.gpgSign")
        sign = ["-S"] if signs.output.strip() == b"true" else []
        done = await self._run("commit-tree", *sign, tree, "-p", parent, given=message.encode())
        if done.status:
            raise errors.UsageInvalid(
                "the commit cannot be made",
                why=command.shorten(done.complaint),
                hint="check your signing key (git config user.signingKey), or commit without commit.gpgSign",
            )
        return done.output.decode().strip()

    async def push(self, commit: str, order: Order, parent: str) -> bool:
        """Push unless the branch moved; False when it did."""
        branch = order.to or order.branch
        expected = parent if branch == order.branch else ""
        done = await self._run(
            "push",
            "--quiet",
            "--porcelain",
            f"--force-with-lease=refs/heads/{branch}:{expected}",
            "origin",
            f"{commit}:refs/heads/{branch}",
        )
        if done.status == 0:
            return True
        said = f"{done.output.decode('utf-8', 'replace')}\n{done.complaint}"
        if _LOST.search(said):
            if branch == order.branch:
                return False
            raise errors.UsageInvalid(
                f"branch {branch} exists already in {self._address.shown}", hint="name another with --branch"
            )
        if _DECLINED.search(said):
            raise errors.SourceDenied(
                f"{self._address.shown} does not let you push to {branch}",
                why=command.shorten(said),
                hint="push to a branch of its own with --branch NAME, and open a pull request",
            )
        raise self._explain(f"pushing to {branch} of {self._address.shown} failed", done)

    def _explain(self, what: str, done: command.Finished) -> errors.SourceError:
        try:
            return command.explain(what, done)
        except command.Corruption as damage:
            return errors.SourceUnavailable(what, why=command.shorten(str(damage)))

    async def _git(self, *arguments: str, given: bytes = b"") -> bytes:
        done = await self._run(*arguments, given=given)
        if done.status:
            raise self._explain(f"git {arguments[0]} failed for {self._address.shown}", done)
        return done.output

    async def _run(self, *arguments: str, given: bytes = b"") -> command.Finished:
        try:
            return await command.run(arguments, self._environment, given=given, timeout=_TIMEOUT)
        except TimeoutError:
            raise errors.SourceUnavailable(
                f"{self._address.shown} does not answer",
                why=f"git {arguments[0]} took longer than {_TIMEOUT:g} s",
            ) from None
