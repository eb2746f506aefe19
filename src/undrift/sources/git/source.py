"""A Git repository as `interfaces.Source`: one declared reference of it."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence

from undrift import errors
from undrift.model import source
from undrift.sources import sharing
from undrift.sources.git import content, history, references, repository, signing, trees

Release = Callable[[], Awaitable[None]]


class GitSource:
    """Implements `interfaces.Source`. `release` is called once, when this source is closed."""

    def __init__(
        self,
        declared: source.Source,
        owner: repository.Repository,
        open_submodule: content.Open,
        release: Release,
    ) -> None:
        self.declared = declared
        self.repository = owner
        self._content = content.Content(declared, owner, open_submodule)
        self._release: Release | None = release
        self._verifier = signing.Verifier(declared.verification, owner) if declared.verification else None
        self._prefixes = references.prefixes(declared.reference)
        self._resolving: sharing.Shared[source.Revision] = sharing.Shared()
        self._verdict: tuple[references.Selected, source.Revision | errors.UndriftError] | None = None

    async def resolve(self) -> source.Revision:
        """The revision that the reference names now.

        What is judged once (signature, rewritten history) stays judged while the reference stays where it is, so
        a call that finds nothing new costs one poll, or none within a second of the last.
        Raises a `SourceError`.
        """
        selected = await self._select()
        if self._verdict is None or self._verdict[0] != selected:
            return await self._resolving.do(selected, lambda: self._judge(selected))
        verdict = self._verdict[1]
        if isinstance(verdict, errors.UndriftError):
            raise copy.copy(verdict)
        return verdict

    async def _select(self) -> references.Selected:
        wanted, shown = self.declared.reference, self.repository.shown
        refs = await self.repository.refs(self._prefixes)
        try:
            return references.select(wanted, refs, shown)
        except errors.ReferenceMissing:
            if wanted.commit or wanted.semver:
                raise
        # Worth a second request: all branches or tags tell what may have been meant.
        return references.select(wanted, await self.repository.refs(references.family(wanted)), shown)

    def expect(self) -> None:
        """Something may be new (a webhook, an order): the next `resolve` asks the server in any case."""
        self.repository.expect()

    async def _judge(self, selected: references.Selected) -> source.Revision:
        await self.repository.obtain(selected)
        commit = await self.repository.commit(selected.commit)
        try:
            await self._check_history(selected, commit.author)
            signer = await self._verifier.signer(selected) if self._verifier else ""
        except (errors.HistoryRewritten, errors.SignatureRefused) as error:
            self._verdict = (selected, error.at(str(_revision(selected, commit)), commit.author))
            raise
        revision = _revision(selected, commit, signer)
        if selected.ref:
            self.repository.store.accept(self.declared.name, selected.ref, selected.commit)
        self._verdict = (selected, revision)
        return revision

    async def _check_history(self, selected: references.Selected, author: str) -> None:
        """A ref may only move forward, unless the source allows otherwise."""
        if not selected.ref or self.declared.allow_force_push:
            return
        before = self.repository.store.accepted(self.declared.name, selected.ref)
        if not before or await history.descends(self.repository, selected.commit, before):
            return
        raise errors.HistoryRewritten(
            f"{selected.shown} of {self.repository.shown} was force-pushed",
            why=f"it is at {selected.commit[:12]} by {author}, and {before[:12]}, the revision before, is not in its"
            " history any more",
            hint="push a branch that contains the revision before, or set allowForcePush: true on the source if this"
            " was meant; what was applied last stays",
        )

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """The content digest of each path that exists, from tree ids. Raises a `SourceError`."""
        commit = await self.ensure(revision)
        return await self._content.digests(commit, list(paths))

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """The files of one path. Raises `PathMissing`, `ArtifactRefused` and other `SourceError`s."""
        commit = await self.ensure(revision)
        try:
            found = await self._content.files(commit, path)
        except errors.ArtifactRefused as error:
            raise error.at(str(revision), revision.author) from error.__cause__
        if found is None:
            raise errors.PathMissing(
                f"path {path} does not exist in {self.repository.shown} at {revision.short}",
                hint="correct source.path of the application, or add the folder in the same commit",
            ).at(str(revision), revision.author)
        digest, files = found
        return source.Artifact(revision, path, digest, files, single="." in digest)

    async def ensure(self, revision: source.Revision) -> str:
        """The commit id of a revision, which is in the store from now on. Raises `ReferenceMissing`."""
        commit = revision.digest.partition(":")[2]
        if not self.repository.knows(commit):
            await self.repository.obtain(references.Selected("", revision.reference or commit[:12], commit))
        return commit

    async def log(
        self, revision: source.Revision, path: str = "", limit: int = 20
    ) -> tuple[history.Entry, ...]:
        """The newest `limit` commits of a revision that touched a path, newest first. Raises a `SourceError`."""
        return await history.log(self.repository, await self.ensure(revision), path, limit)

    async def commit_of(self, revision: source.Revision, path: str, line: int = 0) -> history.Entry | None:
        """The commit that a line (from 1) of a file comes from, of line 0 the last one that touched the file.

        For error messages: None when it cannot be told in a few seconds; never raises a `SourceError`.
        """
        try:
            return await history.blame(self.repository, await self.ensure(revision), path, line)
        except errors.SourceError:
            return None

    async def tree_at(self, revision: source.Revision, path: str) -> str:
        """The id of the tree (of a file: the blob) at a path. Raises `PathMissing`."""
        commit = await self.ensure(revision)
        found = (await self.repository.locate(commit, [path])).get(path)
        if found is None:
            raise errors.PathMissing(f"path {path} does not exist at {revision.short}")
        return found.object_id

    async def close(self) -> None:
        """Give the share in the repository back."""
        release, self._release = self._release, None
        await self._resolving.close()
        if self._verifier:
            self._verifier.close()
        if release:
            await release()


def _revision(selected: references.Selected, commit: trees.Commit, signer: str = "") -> source.Revision:
    algorithm = "sha1" if len(selected.commit) == 40 else "sha256"  # noqa: PLR2004 - hexadecimal digits
    return source.Revision(
        reference=selected.shown if selected.ref else "",
        digest=f"{algorithm}:{selected.commit}",
        author=commit.author,
        time=commit.time,
        message=commit.subject,
        signer=signer,
    )
