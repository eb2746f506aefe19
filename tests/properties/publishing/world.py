"""Many jobs of CI at once on a real bare repository and a forge, with people between them; each step by itself.

A job stops before everything that others can see (a fetch, a push, a call of the forge) until it is told to go on, so
that any order of such steps can be tried, and a job can be killed at any of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import pathlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from undrift import errors
from undrift.lib import backoff, globs
from undrift.model import delivery, publication, source
from undrift.publishing import deciding, looking, messages, preparing, racing, reverting, running
from undrift.sources import directory
from undrift.sources.git import checkout, grafting
from undrift.testing import forge, git_server

Files = Mapping[str, bytes]
RECIPE = delivery.Recipe("manifests", "k8s")
STAGES = (
    delivery.Stage("staging", RECIPE, folder="staging/pet"),
    delivery.Stage("prod-eu", RECIPE, way=delivery.Way.PULL_REQUEST, folder="prod-eu/pet"),
    delivery.Stage("prod-us", RECIPE, way=delivery.Way.PULL_REQUEST, folder="prod-us/pet"),
)
REVIEWED = STAGES[1:]
NOTHING_FOUND = publication.Findings()
KEEP = ("local/*", "*.note")
ENVIRON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_COMMITTER_NAME": "CI",
    "GIT_COMMITTER_EMAIL": "ci@example.com",
}
_here: contextvars.ContextVar[Job | None] = contextvars.ContextVar("job", default=None)


@dataclasses.dataclass(eq=False)
class Job:
    """One run of `undrift publish`. `ended` is what became of it: the results, or an error."""

    sha: str
    permit: asyncio.Semaphore
    parked: asyncio.Event
    task: asyncio.Task[running.Done] | None = None
    at: str = ""

    @property
    def done(self) -> bool:
        return self.task is not None and self.task.done()

    @property
    def ended(self) -> running.Done | BaseException | None:
        if self.task is None or not self.task.done():
            return None
        if self.task.cancelled():
            return asyncio.CancelledError()
        return self.task.exception() or self.task.result()


@dataclasses.dataclass(frozen=True)
class Push:
    """How many refs a push wanted to move, and how many it did."""

    wanted: int
    moved: int


pushes: list[Push] = []
forges: list[forge.FakeForge] = []


class Bench(grafting.Workbench):
    """A workbench that stops before it talks to the server."""

    async def fetch(self, *given: Any, **more: Any) -> dict[str, str]:
        await pass_by("fetch")
        return await super().fetch(*given, **more)

    async def push(self, moves: Sequence[grafting.Move]) -> grafting.Pushed:
        await pass_by("push")
        before = self._moved(moves)
        try:
            return await super().push(moves)
        finally:
            after = self._moved(moves)
            pushes.append(Push(len(moves), sum(old != new for old, new in zip(before, after, strict=True))))
            for one in forges:
                one.opened()  # a forge closes what has no branch any more at once

    def _moved(self, moves: Sequence[grafting.Move]) -> list[str]:
        git = ["git", "--git-dir", self.address.path, "for-each-ref", "--format=%(objectname)"]
        return [git_server.run([*git, move.ref]).decode() for move in moves]


async def pass_by(what: str) -> None:
    """Wait until the job that this is part of may go on."""
    job = _here.get()
    if job is not None:
        job.at = what
        job.parked.set()
        await job.permit.acquire()


class World:
    """Two repositories, a forge, and the jobs that run."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.application = git_server.GitRepository(folder / "app.git")
        self.gitops = git_server.GitRepository(folder / "gitops.git")
        self.forge = forge.FakeForge(self.gitops, pass_by)
        work = folder / "checkout"
        work.mkdir()
        (work / ".git").write_text(f"gitdir: {self.application.path}\n", encoding="utf-8")
        self.history = checkout.Checkout(work, ENVIRON)
        self.declared = delivery.Delivery(
            "pet", delivery.Destination(self.gitops.file_url, keep=KEEP), STAGES
        )
        self.commits: dict[str, dict[str, Files]] = {}
        self.jobs: list[Job] = []
        self.place = directory.DirectorySource(folder)
        self.gitops.commit({"README.md": "The GitOps repository.\n", "other/app/x.yaml": "x: 1\n"}, "Begin")
        self._stack = contextlib.ExitStack()
        pushes.clear()
        forges[:] = [self.forge]
        quick = backoff.Backoff(first=0.001, cap=0.001)
        self._stack.enter_context(mock.patch.object(racing, "_BACKOFF", quick))
        self._stack.enter_context(mock.patch.object(grafting, "Workbench", Bench))

    def close(self) -> None:
        for job in self.jobs:
            self.crash(job)
        self.run(self.history.close())
        self._stack.close()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # --- the application -------------------------------------------------------------------------------

    def commit(self, files: Mapping[str, bytes]) -> str:
        """A new revision; every stage is rendered to these files, and a name of its own."""
        change: dict[str, str | bytes | None] = {f"k8s/{name}": content for name, content in files.items()}
        there = self.application.git("for-each-ref", "refs/heads/main")
        gone = set(self.application.files() if there else ()) - change.keys()
        sha = self.application.commit(
            {**change, **dict.fromkeys(gone)}, f"Change {len(self.commits)} #{len(self.commits)}"
        )
        self._know(sha, files)
        return sha

    def rewrite(self, files: Mapping[str, bytes]) -> str | None:
        """Force-push the application: its newest revision is replaced by another one."""
        if len(self.application.git("rev-list", "main").split()) < 2:
            return None
        self.application.git("update-ref", "refs/heads/main", "main^")
        return self.commit(files)

    def begin_anew(self, files: Mapping[str, bytes]) -> str:
        """The application's main branch is replaced by one that has nothing to do with it."""
        self.application.delete("main")
        return self.commit(files)

    def _know(self, sha: str, files: Mapping[str, bytes]) -> None:
        self.commits[sha] = {
            stage.name: {**files, "stage.yaml": f"stage: {stage.name}\n".encode()} for stage in STAGES
        }

    # --- jobs ------------------------------------------------------------------------------------------

    def start(
        self,
        sha: str,
        options: deciding.Options | None = None,
        sequence: int = 0,
        findings: publication.Findings = NOTHING_FOUND,
    ) -> Job:
        """A job that stands before its first step."""
        revision = self._revision(sha, sequence)

        async def work() -> running.Done:
            prepared = dataclasses.replace(self.prepared(revision), findings=findings)
            return await running.publish(prepared, self.how(options))

        return self._launch(sha, work)

    def start_rollback(self, stage: str, reason: str = "it bites") -> Job:
        """A job that takes a stage back to what it was before."""
        newest = self.application.revision()
        opened = self.prepared(self._revision(newest)).opened

        async def work() -> running.Done:
            order = reverting.Order(stage=stage, by="ada", reason=reason)
            return await reverting.roll_back(opened, self.how(None), order)

        return self._launch(newest, work)

    def how(self, options: deciding.Options | None) -> running.How:
        return running.How(
            options=options or deciding.Options(),
            deadline=60.0,
            queued=False,
            environ=ENVIRON,
            forge=self.forge,
        )

    def _revision(self, sha: str, sequence: int = 0) -> publication.AppRevision:
        found: publication.AppRevision = self.run(self.history.revision(sha, sequence=sequence))
        return found

    def _launch(self, sha: str, work: Callable[[], Coroutine[Any, Any, running.Done]]) -> Job:
        async def make() -> Job:
            job = Job(sha, asyncio.Semaphore(0), asyncio.Event())

            async def inside() -> running.Done:
                _here.set(job)
                return await work()

            job.task = asyncio.create_task(inside())
            return job

        job: Job = self.run(make())
        self.jobs.append(job)
        self.run(self._settle(job))
        return job

    def prepared(self, revision: publication.AppRevision) -> preparing.Prepared:
        """A revision rendered for all stages."""
        request = preparing.Request(folder=pathlib.Path(), variables={})
        named = source.Revision("", f"sha1:{revision.sha}")
        opened = preparing.Opened(
            request, self.declared, STAGES, {}, self.place, named, revision, self.history
        )
        rendered = self.commits[revision.sha]
        renditions = [
            publication.Rendition(
                stage, {name: source.File(content) for name, content in rendered[stage.name].items()}
            )
            for stage in STAGES
        ]
        return preparing.Prepared(opened, tuple(renditions))

    def step(self, job: Job) -> None:
        """Let a job do one thing that others can see."""
        if not job.done:

            async def go() -> None:
                job.parked.clear()
                job.permit.release()
                await self._settle(job)

            self.run(go())

    async def _settle(self, job: Job) -> None:
        """Until the job stands before its next step, or is done."""
        assert job.task is not None
        parked = asyncio.create_task(job.parked.wait())
        async with asyncio.timeout(30):
            await asyncio.wait({parked, job.task}, return_when=asyncio.FIRST_COMPLETED)
        parked.cancel()
        if job.task.done() and not job.task.cancelled():
            job.task.exception()  # whoever wants it asks for it again

    def finish(self, job: Job) -> running.Done | BaseException:
        for _ in range(400):
            if job.done:
                break
            self.step(job)
        assert job.ended is not None, f"a job never ends; it is at {job.at}"
        return job.ended

    def crash(self, job: Job) -> None:
        """Kill a job where it stands."""
        if job.task is not None and not job.task.done():
            job.task.cancel()
            self.run(asyncio.wait({job.task}))

    def publish(self, sha: str, options: deciding.Options | None = None) -> running.Done | BaseException:
        """A whole job."""
        return self.finish(self.start(sha, options))

    # --- people ----------------------------------------------------------------------------------------

    def protect(self, *branches: str) -> None:
        """A rule of the server: nobody pushes to these branches; none protects none."""
        hook = self.gitops.path / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        cases = "".join(f'[ "$1" = refs/heads/{name} ] && exit 1\n' for name in branches)
        hook.write_text(f"#!/bin/sh\n{cases}exit 0\n", encoding="utf-8")
        hook.chmod(0o755)

    def edit(self, stage: str, name: str = "a.yaml", text: bytes = b"by: hand\n") -> str:
        """Somebody changes a published file on the main branch."""
        return self.gitops.commit({f"{stage}/pet/{name}": text}, "Edit by hand")

    def commit_on_branch(self, stage: str) -> str:
        """Somebody commits to the branch of a pull request of ours; "" where there is none."""
        branch = looking.branch("pet", stage)
        if not self.tip(branch):
            return ""
        return self.gitops.commit({f"{stage}/pet/a.yaml": b"by: hand\n"}, "Help out", branch=branch)

    # --- what is there ---------------------------------------------------------------------------------

    def tip(self, branch: str = "main") -> str:
        return self.gitops.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def main(self) -> list[str]:
        """The commits of the main branch, oldest first."""
        return self.gitops.git("rev-list", "--reverse", "--first-parent", "main").split()

    def folder(self, commit: str, stage: str) -> tuple[dict[str, bytes], publication.Provenance | None]:
        """The files of a stage in a commit, and what they say of themselves."""
        place = f"{stage}/pet/"
        names = [name for name in self.gitops.files(commit) if name.startswith(place)]
        names = [name for name in names if not globs.matches(name.removeprefix(place), KEEP)]
        files = {name.removeprefix(place): self.gitops.read(name, commit) for name in names}
        noted = files.pop(publication.PROVENANCE, None)
        return files, messages.parse_provenance(noted)[0] if noted is not None else None

    def tree_of(self, commit: str, path: str) -> str:
        return self.gitops.git("ls-tree", commit, "--", path).split("\t")[0]

    def is_ours(self, commit: str) -> str:
        """The stage that a commit was published for; "" where it is not ours."""
        message = self.gitops.git("log", "-1", "--format=%B", commit)
        return next((stage.name for stage in STAGES if looking.is_ours(message, "pet", stage.name)), "")

    def is_ancestor(self, old: str, new: str, repository: git_server.GitRepository) -> bool:
        try:
            repository.git("merge-base", "--is-ancestor", old, new)
        except RuntimeError:
            return False
        return True


@contextlib.contextmanager
def opened(folder: pathlib.Path) -> Iterator[World]:
    """A world in a new folder, for the time of a block."""
    folder.mkdir()
    made = World(folder)
    try:
        yield made
    finally:
        made.close()


def failed(ended: running.Done | BaseException) -> BaseException | None:
    """The error that a job ended with."""
    return ended if isinstance(ended, BaseException) else None


HONEST = (
    errors.HandEdited,
    errors.OrderUnknown,
    errors.BranchTaken,
    errors.ForgeUnavailable,
    errors.BranchProtected,
    errors.PushDeadline,
    errors.RollbackImpossible,
)
