"""Writing folders of a repository without a checkout: look at a few trees, put others in their place, push.

```
async with Workbench(url, login=…) as bench:
    tips = await bench.fetch(["main"], "undrift/petclinic/")       # one command, commits and the upper trees only
    forest = await bench.forest(tips["main"], ["staging/petclinic"])
    commit = await bench.commit(forest.graft("staging/petclinic", files), parents, message, …)
    pushed = await bench.push([Move("refs/heads/main", tips["main"], commit)])
```

Nothing is ever rebased or merged. Every ref that is pushed is compared with what was seen (`--force-with-lease`), all
of them move together (`--atomic`), and who lost begins anew from what is there then.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import os
import pathlib
import re
import tempfile
import zlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Final, Self

from undrift import errors
from undrift.lib import mask
from undrift.model import source
from undrift.sources.git import command, planting, remote, trees

_TIMEOUT: Final = 120.0
_ALL: Final = 2**31 - 1
"""What Git takes for the whole history, also where it has that already."""
_MEMORY: Final = pathlib.Path("/dev/shm")  # noqa: S108 - memory, and the folder in it is ours alone
_DECLINED: Final = re.compile(
    r"hook declined|protected|GH006|GL-HOOK|not allowed|TF402455|denied", re.IGNORECASE
)
_AGAIN: Final = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to (update|lock)|incorrect old value"
    r"|already exists|atomic|reference"
)
_LINE: Final = re.compile(r"^(?P<flag>.)\t(?P<from>[^\t]*):(?P<to>[^\t]*)\t(?P<said>.*)$", re.MULTILINE)
_NOBODY: Final = {"GIT_COMMITTER_NAME": "Undrift", "GIT_COMMITTER_EMAIL": "undrift@localhost"}
"""Who commits where Git knows nobody."""
_LOST_ENVIRONMENT: Final = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """How to sign in over HTTP, where Git's own settings do not say it."""

    user: str = ""
    password: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """A ref that is to move from one commit to another; "" is: it is not there."""

    ref: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push: all refs moved, or none did. `lost` is what the server said when others were faster."""

    done: bool
    lost: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """Who a commit is from: `Name <mail>`, and seconds since the epoch."""

    person: str
    time: float


class Workbench:
    """One repository on a server, and a store of our own that is gone afterwards.

    `environ` is the caller's: his settings, his credential helpers, his signing key. `settings` are more of Git's
    settings (name, value).
    """

    def __init__(
        self,
        url: str,
        environ: Mapping[str, str] | None = None,
        login: Login | None = None,
        settings: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.address = remote.parse_url(url)
        self._own = dict(os.environ if environ is None else environ)
        self._login = login or Login()
        self._settings = tuple(settings)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._environment: dict[str, str] = {}
        self._secrets = [self._login.password] if self._login.password else []
        self._local: set[str] = set()
        self._digest_size = 20

    async def __aenter__(self) -> Self:
        memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self._folder = tempfile.TemporaryDirectory(prefix="undrift-", dir=memory, ignore_cleanup_errors=True)
        store = pathlib.Path(self._folder.name, "store.git")
        self._environment = {
            name: value for name, value in self._own.items() if name not in _LOST_ENVIRONMENT
        }
        self._environment |= {
            "GIT_DIR": str(store),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": self.address.scheme,
            "LC_ALL": "C.UTF-8",
            "LANGUAGE": "C",
        }
        self._environment |= _more_settings(self._environment, self._values())
        await self._git("init", "--quiet", "--bare", "--template=", str(store))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)

    def _values(self) -> list[tuple[str, str]]:
        values = [
            ("remote.origin.url", self.address.url),
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialclonefilter", "blob:none"),
            ("protocol.version", "2"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            *self._settings,
        ]
        if self.address.scheme == "file":
            values.append(("safe.directory", "*"))
        if self._login.password and self.address.scheme in {"https", "http"}:
            header = base64.b64encode(f"{self._login.user}:{self._login.password}".encode()).decode()
            self._secrets.append(header)
            place = f"http.{self.address.scheme}://{self.address.host}/.extraHeader"
            values.append((place, f"Authorization: Basic {header}"))
        return values

    @contextlib.asynccontextmanager
    async def access(self) -> AsyncIterator[remote.Access]:
        """The environment in which `git` reaches the repository as `origin`, for whoever works in a store of their own."""
        yield remote.Access(dict(self._environment), tuple(self._secrets))

    # --- looking ---------------------------------------------------------------------------------------

    async def fetch(self, branches: Collection[str], prefix: str = "", *, depth: int = 2) -> dict[str, str]:
        """The tips of these branches and of all that begin with `prefix`, as they are now; one that is not there is
        left out. Only commits are fetched, and the trees of the upper `depth` levels.

        Raises `SourceDenied`, `SourceUnavailable`, and what `command.explain` knows.
        """
        patterns = [*branches, *([f"{prefix}*"] if prefix else [])]
        specs = [f"+refs/heads/{name}:refs/heads/{name}" for name in patterns]
        done = await self._run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--prune",
            "--depth=2",
            f"--filter=tree:{depth}",
            "origin",
            *specs,
        )
        # Of an empty repository, git says nothing at all.
        if done.status and (not done.complaint or "couldn't find remote ref" in done.complaint):
            return await self._fetch_singly(patterns, depth)
        if done.status:
            raise self._explain(f"{self.address.shown} cannot be fetched", done)
        return await self._tips(patterns)

    async def _fetch_singly(self, patterns: Sequence[str], depth: int) -> dict[str, str]:
        """One of the branches is not there: ask which are."""
        listed = await self._git("ls-remote", "--heads", "origin")
        there = {line.split("\t")[1].removeprefix("refs/heads/") for line in listed.decode().splitlines()}
        kept = [one for one in patterns if one in there or any(name.startswith(one[:-1]) for name in there)]
        if not kept:
            return {}
        found = [one for one in kept if not one.endswith("*")]
        return await self.fetch(found, next((one[:-1] for one in kept if one.endswith("*")), ""), depth=depth)

    async def _tips(self, patterns: Sequence[str]) -> dict[str, str]:
        wanted = [f"refs/heads/{name}" for name in patterns]
        listed = await self._git("for-each-ref", "--format=%(objectname) %(refname)", *wanted)
        lines = [line.split(" ", 1) for line in listed.decode().splitlines()]
        await self._learn()
        return {name.removeprefix("refs/heads/"): commit for commit, name in lines}

    async def _learn(self) -> None:
        """What the store has: anything else would be fetched object by object, one round trip each."""
        listed = await self._git(
            "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered"
        )
        self._local = set(listed.decode().split())
        sample = next(iter(self._local), "")
        self._digest_size = len(sample) // 2 if sample else 20

    async def obtain(self, ids: Iterable[str], *, filtered: str = "tree:0") -> None:
        """Have these objects, with one request for all that are missing."""
        missing = sorted({one for one in ids if one and one not in self._local})
        if not missing:
            return
        given = "".join(f"{one}\n" for one in missing).encode()
        done = await self._run(
            "-c", "fetch.negotiationAlgorithm=noop",
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", f"--filter={filtered}", "--stdin", "origin",
            given=given,
        )  # fmt: skip
        if done.status:
            raise self._explain(f"{self.address.shown} does not give what it named", done)
        self._local |= set(missing)

    async def read(self, ids: Collection[str]) -> dict[str, bytes]:
        """The content of objects (commits, trees, blobs) by their ids."""
        await self.obtain(ids)
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        given = "".join(f"{one}\n" for one in wanted).encode()
        done = await self._run("cat-file", "--batch", given=given)
        if done.status:
            raise self._explain(f"objects of {self.address.shown} cannot be read", done)
        return dict(zip(wanted, _batch(done.output), strict=True))

    async def commits(self, ids: Collection[str]) -> dict[str, trees.Commit]:
        """Commits by their ids."""
        return {name: trees.parse_commit(data) for name, data in (await self.read(ids)).items()}

    async def tree(self, tree: str) -> dict[str, trees.Entry]:
        """The entries of a tree; none where the id is ""."""
        if not tree:
            return {}
        return trees.parse_tree((await self.read([tree]))[tree], self._digest_size)

    async def forest(self, commit: str, folders: Collection[str]) -> Forest:
        """A commit's trees as far as these folders need them, level by level, all folders together."""
        root = (await self.commits([commit]))[commit].tree if commit else ""
        known: dict[str, Mapping[str, trees.Entry]] = {"": await self.tree(root)}
        level = {part for folder in folders for part in [*planting.parents(folder), folder] if part}
        for count in range(1, max((part.count("/") + 2 for part in level), default=1)):
            wanted: dict[str, str] = {}
            for part in (one for one in level if one.count("/") + 1 == count):
                above, _, name = part.rpartition("/")
                entry = known.get(above, {}).get(name)
                if entry is not None and entry.mode == trees.TREE:
                    wanted[part] = entry.object_id
            read = await self.read(list(wanted.values()))
            known |= {part: trees.parse_tree(read[tree], self._digest_size) for part, tree in wanted.items()}
        return Forest(planting.Nursery(self._digest_size), known, root)

    async def leaves(self, entries: Mapping[str, trees.Entry]) -> dict[str, trees.Entry]:
        """All files below some entries, by their paths, without their content; submodules are left out."""
        found: dict[str, trees.Entry] = {}
        level = dict(entries)
        while level:
            read = await self.read([one.object_id for one in level.values() if one.mode == trees.TREE])
            below: dict[str, trees.Entry] = {}
            for path, entry in level.items():
                if entry.mode == trees.TREE:
                    inner = trees.parse_tree(read[entry.object_id], self._digest_size)
                    below |= {f"{path}/{name}": one for name, one in inner.items()}
                elif entry.mode != trees.SUBMODULE:
                    found[path] = entry
            level = below
        return dict(sorted(found.items()))

    async def files(self, leaves: Mapping[str, trees.Entry]) -> dict[str, source.File]:
        """The files behind leaves."""
        contents = await self.read([one.object_id for one in leaves.values()])
        return {path: source.File(contents[one.object_id], _kind(one.mode)) for path, one in leaves.items()}

    async def history(
        self, commit: str, folder: str, limit: int, depth: int = 200
    ) -> list[tuple[str, trees.Commit]]:
        """The newest commits that touched a folder, newest first, as far as `depth` commits reach (0: all).

        Costs a fetch of trees: only to explain something, or to go back.
        """
        reach = [f"--depth={depth or _ALL}"]
        await self._git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *reach, "--filter=blob:none", "origin", commit
        )  # fmt: skip
        listed = await self._git(
            "log", "--first-parent", "--format=%H", f"--max-count={limit}", commit, "--", f":(literal){folder}"
        )
        ids = listed.decode().split()
        await self._learn()
        known = await self.commits(ids)
        return [(one, known[one]) for one in ids]

    # --- writing ---------------------------------------------------------------------------------------

    async def identity(self) -> None:
        """See that there is somebody who commits: Undrift itself where Git knows nobody, as on most runners of CI."""
        done = await self._run("var", "GIT_COMMITTER_IDENT")
        if done.status:
            self._environment |= _NOBODY

    async def commit(
        self, forest: Forest, parents: Sequence[str], message: str, author: Signature | None = None
    ) -> str:
        """Store what was made of a forest as a commit, signed where the caller's settings say so; its id."""
        await asyncio.to_thread(_store, pathlib.Path(self._environment["GIT_DIR"], "objects"), forest.nursery)
        self._local |= forest.nursery.made.keys()
        extra = {}
        if author is not None:
            name, _, mail = author.person.rpartition(" <")
            extra = {
                "GIT_AUTHOR_NAME": name or author.person,
                "GIT_AUTHOR_EMAIL": mail.rstrip(">"),
                "GIT_AUTHOR_DATE": f"@{int(author.time)} +0000",
            }
        signs = await self._run("config", "--type=bool", "--get", "commit.gpgSign")
        sign = ["-S"] if signs.output.strip() == b"true" else []
        named = [part for parent in parents for part in ("-p", parent)]
        done = await self._run("commit-tree", *sign, forest.root, *named, given=message.encode(), extra=extra)
        if done.status:
            raise errors.UsageInvalid(
                "the commit cannot be made",
                why=mask.Mask(self._secrets)(command.shorten(done.complaint)),
                hint="check your signing key (git config user.signingKey), or commit without commit.gpgSign",
            )
        made = done.output.decode().strip()
        self._local.add(made)
        return made

    async def push(self, moves: Sequence[Move]) -> Pushed:
        """Move all of these refs, or none of them.

        Raises `BranchProtected` where a rule of the server says no, `SourceDenied`, `SourceUnavailable`.
        """
        leases = [f"--force-with-lease={one.ref}:{one.old}" for one in moves]
        specs = [f"{one.new}:{one.ref}" for one in moves]
        atomic = ["--atomic"] if len(moves) > 1 else []
        done = await self._run(
            "push", "--porcelain", "--no-verify", "--no-signed", *atomic, *leases, "origin", *specs
        )
        if done.status == 0:
            return Pushed(done=True)
        said = done.output.decode("utf-8", "replace")
        refused = {line["to"]: line["said"] for line in _LINE.finditer(said) if line["flag"] == "!"}
        if not refused:
            raise self._explain(f"pushing to {self.address.shown} failed", done)
        hidden = mask.Mask(self._secrets)
        for ref, why in refused.items():
            if _DECLINED.search(why) and "atomic" not in why:
                complaint = hidden(command.shorten(done.complaint))
                raise _protected(
                    ref.removeprefix("refs/heads/"), self.address.shown, f"{why}\n{complaint}".strip()
                )
        return Pushed(done=False, lost=hidden("; ".join(sorted(set(refused.values())))))

    # --- running ---------------------------------------------------------------------------------------

    def _explain(self, what: str, done: command.Finished) -> errors.SourceError:
        try:
            return command.explain(what, done, self._secrets)
        except command.Corruption as damage:
            return errors.SourceUnavailable(what, why=mask.Mask(self._secrets)(command.shorten(str(damage))))

    async def _git(self, *arguments: str) -> bytes:
        done = await self._run(*arguments)
        if done.status:
            raise self._explain(f"git {arguments[0]} failed for {self.address.shown}", done)
        return done.output

    async def _run(
        self, *arguments: str, given: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> command.Finished:
        try:
            return await command.run(
                arguments, {**self._environment, **(extra or {})}, given=given, timeout=_TIMEOUT
            )
        except TimeoutError:
            raise errors.SourceUnavailable(
                f"{self.address.shown} does not answer",
                why=f"git {arguments[0]} took longer than {_TIMEOUT:g} s",
            ) from None


@dataclasses.dataclass(slots=True)
class Forest:
    """The trees of a commit, as far as they are known, and what is made of them. `root` is the id of the whole."""

    nursery: planting.Nursery
    known: dict[str, Mapping[str, trees.Entry]] = dataclasses.field(repr=False)
    root: str

    def entries(self, folder: str) -> Mapping[str, trees.Entry]:
        """What is in a folder; nothing where it is not there."""
        return self.known.get(folder, {})

    def folder(self, folder: str) -> str:
        """The id of a folder's tree; "" where it is not there."""
        above, _, name = folder.rpartition("/")
        entry = self.known.get(above, {}).get(name)
        return entry.object_id if entry is not None and entry.mode == trees.TREE else ""

    def graft(self, folder: str, tree: str) -> None:
        """Put a tree of the nursery ("": nothing) in the place of a folder."""
        self.root = planting.graft(self.nursery, folder, tree, self.known)

    def copy(self) -> Forest:
        """Another one to change, with the same nursery."""
        return Forest(self.nursery, dict(self.known), self.root)


def _more_settings(environment: Mapping[str, str], values: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings of ours after those that the caller's environment holds already."""
    count = int(environment.get("GIT_CONFIG_COUNT") or 0)
    found = {"GIT_CONFIG_COUNT": str(count + len(values))}
    for index, (name, value) in enumerate(values, start=count):
        found[f"GIT_CONFIG_KEY_{index}"] = name
        found[f"GIT_CONFIG_VALUE_{index}"] = value
    return found


def _store(place: pathlib.Path, nursery: planting.Nursery) -> None:
    """Write what was made as loose objects."""
    for name, (kind, content) in nursery.made.items():
        path = place / name[:2] / name[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(f"{kind} {len(content)}\0".encode() + content, 1))


def _batch(output: bytes) -> list[bytes]:
    """What `git cat-file --batch` printed: a line with the size, the content, a line break; again and again."""
    found: list[bytes] = []
    place = 0
    while place < len(output):
        end = output.index(b"\n", place)
        words = output[place:end].split(b" ")
        if words[-1] == b"missing":
            name = words[0].decode()
            raise errors.SourceUnavailable(
                f"the object {name[:12]} is missing on the server", hint="try again"
            )
        size = int(words[2])
        found.append(output[end + 1 : end + 1 + size])
        place = end + 1 + size + 1
    return found


def _kind(mode: str) -> source.FileKind:
    if mode == trees.LINK:
        return source.FileKind.LINK
    return source.FileKind.EXECUTABLE if mode == trees.EXECUTABLE else source.FileKind.FILE


def _protected(branch: str, shown: str, why: str) -> errors.BranchProtected:
    return errors.BranchProtected(
        f"branch {branch} of {shown} is protected",
        why=why,
        hint="let whoever publishes push to it, or set publish: pull-request for that stage",
    )
