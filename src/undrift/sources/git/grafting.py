"""Writing folders of a repository without a checkout: look at a few trees, put others in their place, push.

```
async with Workbench(url, signed_in=…) as bench:
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
import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Final, Self

from undrift import errors
from undrift.lib import mask
from undrift.model import source
from undrift.sources.git import addresses, batches, command, login, planting, refusals, trees

_TIMEOUT: Final = 120.0
_ROOM: Final = 512 << 20
_ALL: Final = 2**31 - 1
"""What Git takes for the whole history, also where it has that already."""
_MEMORY: Final = pathlib.Path("/dev/shm")  # noqa: S108 - memory, and the folder in it is ours alone
_NOBODY: Final = ("Undrift", "undrift@localhost")
"""Who commits where Git knows nobody."""
_CRUD: Final = " .,:;<>\"\\'"
"""What Git takes off the ends of a name (ident.c)."""


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
        signed_in: login.Login | None = None,
        settings: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.address = addresses.parse_url(url)
        self._own = dict(os.environ if environ is None else environ)
        self._login = signed_in or login.Login()
        self._settings = tuple(settings)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._environment: dict[str, str] = {}
        self._secrets = [self._login.password] if self._login.password else []
        self._local: set[str] = set()
        self._known: dict[str, bytes] = {}
        self._signs: bool | None = None
        self._digest_size = 20

    async def __aenter__(self) -> Self:
        memory = _MEMORY if _is_roomy(_MEMORY) else None
        self._folder = tempfile.TemporaryDirectory(prefix="undrift-", dir=memory, ignore_cleanup_errors=True)
        store = pathlib.Path(self._folder.name, "store.git")
        protocols = addresses.protocols(self.address)
        helped = login.helped(self.address, self._login)
        environment = command.personal_environment(self._own, str(store), protocols) | {
            "GIT_TERMINAL_PROMPT": "0",
            **helped.environment,
        }
        values = [*self._values(), *helped.settings]
        self._environment = environment | command.more_settings(environment, values)
        await self._init("sha1")
        return self

    async def _init(self, kind: str) -> None:
        """An empty store for object ids of a kind."""
        store = self._environment["GIT_DIR"]
        await asyncio.to_thread(shutil.rmtree, store, ignore_errors=True)
        await self._git("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", store)
        self._digest_size = {"sha1": 20, "sha256": 32}[kind]
        self._local = set()

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
        return values

    @contextlib.asynccontextmanager
    async def access(self) -> AsyncIterator[addresses.Access]:
        """The environment in which `git` reaches the repository as `origin`, for whoever works in a store of their own."""
        yield addresses.Access(dict(self._environment), tuple(self._secrets))

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
        if done.status and "server sha256" in done.complaint:
            await self._init("sha256")
            return await self.fetch(branches, prefix, depth=depth)
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
        listed, _ = await asyncio.gather(
            self._git("for-each-ref", "--format=%(objectname) %(refname)", *wanted), self._learn()
        )
        lines = [line.split(" ", 1) for line in listed.decode().splitlines()]
        return {name.removeprefix("refs/heads/"): commit for commit, name in lines}

    async def _learn(self) -> None:
        """What the store has: anything else would be fetched object by object, one round trip each."""
        listed = await self._git(
            "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered"
        )
        self._local = set(listed.decode().split())

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
        """The content of objects (commits, trees, blobs) by their ids; what was read before is remembered."""
        wanted = [one for one in dict.fromkeys(ids) if one not in self._known]
        await self.obtain(wanted)
        if wanted:
            self._known |= zip(wanted, batches.contents(await self._batch(wanted)), strict=True)
        return {one: self._known[one] for one in ids}

    async def _batch(self, names: Iterable[str]) -> bytes:
        given = "".join(f"{one}\n" for one in names).encode()
        done = await self._run("cat-file", "--batch", given=given)
        if done.status:
            raise self._explain(f"objects of {self.address.shown} cannot be read", done)
        return done.output

    async def _read_paths(self, commit: str, paths: Collection[str]) -> None:
        """Read a commit and its trees at some paths with one program: who tries again has no time to lose."""
        if commit in self._local and commit not in self._known:
            names = [commit, f"{commit}^{{tree}}", *(f"{commit}:{path}" for path in sorted(paths))]
            read = batches.found_or_missing(await self._batch(names))
            self._known |= {name: content for name, content in read if content is not None}

    async def commits(self, ids: Collection[str]) -> dict[str, trees.Commit]:
        """Commits by their ids."""
        return {name: trees.parse_commit(data) for name, data in (await self.read(ids)).items()}

    async def tree(self, tree: str) -> dict[str, trees.Entry]:
        """The entries of a tree; none where the id is ""."""
        if not tree:
            return {}
        return trees.parse_tree((await self.read([tree]))[tree], self._digest_size, strict=False)

    async def forest(self, commit: str, folders: Collection[str]) -> planting.Forest:
        """A commit's trees as far as these folders need them, level by level, all folders together.

        Names beside them are somebody else's: whatever they are like, they stay.
        """
        level = {part for folder in folders for part in [*planting.parents(folder), folder] if part}
        await self._read_paths(commit, level)
        root = (await self.commits([commit]))[commit].tree if commit else ""
        known: dict[str, Mapping[str, trees.Entry]] = {"": await self.tree(root)}
        for count in range(1, max((part.count("/") + 2 for part in level), default=1)):
            wanted: dict[str, str] = {}
            for part in (one for one in level if one.count("/") + 1 == count):
                above, _, name = part.rpartition("/")
                entry = known.get(above, {}).get(name)
                if entry is not None and entry.mode == trees.TREE:
                    wanted[part] = entry.object_id
            read = await self.read(list(wanted.values()))
            known |= {
                part: trees.parse_tree(read[tree], self._digest_size, strict=part in folders)
                for part, tree in wanted.items()
            }
        return planting.Forest(planting.Nursery(self._digest_size), known, root)

    async def leaves(self, entries: Mapping[str, trees.Entry]) -> dict[str, trees.Entry]:
        """All files and submodules below some entries, by their paths, without their content."""
        found: dict[str, trees.Entry] = {}
        level = dict(entries)
        while level:
            read = await self.read([one.object_id for one in level.values() if one.mode == trees.TREE])
            below: dict[str, trees.Entry] = {}
            for path, entry in level.items():
                if entry.mode == trees.TREE:
                    inner = trees.parse_tree(read[entry.object_id], self._digest_size)
                    below |= {f"{path}/{name}": one for name, one in inner.items()}
                else:
                    found[path] = entry
            level = below
        return dict(sorted(found.items()))

    async def files(self, leaves: Mapping[str, trees.Entry]) -> dict[str, source.File]:
        """The files behind leaves; submodules have none here."""
        there = {path: one for path, one in leaves.items() if one.mode != trees.SUBMODULE}
        contents = await self.read([one.object_id for one in there.values()])
        return {
            path: source.File(contents[one.object_id], batches.kind(one.mode)) for path, one in there.items()
        }

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
            "log",
            "--first-parent",
            "--format=%H",
            f"--max-count={limit}",
            commit,
            "--",
            f":(literal){folder}",
        )
        ids = listed.decode().split()
        await self._learn()
        known = await self.commits(ids)
        return [(one, known[one]) for one in ids]

    # --- writing ---------------------------------------------------------------------------------------

    async def identity(self) -> None:
        """See that there is somebody who commits: Undrift itself where Git knows nobody, as on most runners of CI.

        Who commits is also the author of what has no other.
        """
        done = await self._run("var", "GIT_COMMITTER_IDENT")
        name, mail = _NOBODY
        if done.status == 0:
            name, _, rest = done.output.decode("utf-8", "replace").strip().rpartition(" <")
            mail = rest.partition(">")[0]
        for role in ("AUTHOR", "COMMITTER"):
            self._environment |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": mail}
        self._environment.pop("GIT_AUTHOR_DATE", None)

    async def commit(
        self, forest: planting.Forest, parents: Sequence[str], message: str, author: Signature | None = None
    ) -> str:
        """Store what was made of a forest as a commit, signed where the caller's settings say so; its id."""
        await asyncio.to_thread(_store, pathlib.Path(self._environment["GIT_DIR"], "objects"), forest.nursery)
        self._local |= forest.nursery.made.keys()
        extra = {}
        if author is not None:
            name, mail = _parted(author.person)
            extra = {
                "GIT_AUTHOR_NAME": name,
                "GIT_AUTHOR_EMAIL": mail,
                "GIT_AUTHOR_DATE": f"@{max(0, int(author.time))} +0000",
            }
        if self._signs is None:
            signs = await self._run("config", "--type=bool", "--get", "commit.gpgSign")
            self._signs = signs.output.strip() == b"true"
        sign = ["-S"] if self._signs else []
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
        refused = refusals.read(done.output)
        if not refused and refusals.wants_long_ids(done.complaint):
            # An empty repository does not say earlier that its ids are those of SHA-256.
            await self._init("sha256")
            return Pushed(done=False, lost="the repository has ids of SHA-256")
        hidden = mask.Mask(self._secrets)
        refusals.check(refused, hidden(done.complaint), self.address.shown)
        if not refused:
            raise self._explain(f"pushing to {self.address.shown} failed", done)
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


def _store(place: pathlib.Path, nursery: planting.Nursery) -> None:
    """Write what was made as loose objects."""
    for name, (kind, content) in nursery.made.items():
        path = place / name[:2] / name[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(f"{kind} {len(content)}\0".encode() + content, 1))


def _parted(person: str) -> tuple[str, str]:
    """Name and address, as Git takes them: it refuses a name of which nothing is left without its signs."""
    shown = "".join(sign for sign in person if sign.isprintable())
    name, found, mail = shown.rpartition(" <")
    name, mail = (name, mail.rstrip(">")) if found else (shown, "")
    if not name.strip(_CRUD):
        name = mail if mail.strip(_CRUD) else "unknown"
    return name, mail


def _is_roomy(place: pathlib.Path) -> bool:
    """Whether a store fits there: containers often have 64 MiB of it, or none."""
    try:
        return os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM
    except OSError:
        return False
