"""An OCI artifact as `interfaces.Source`: the digest of its manifest is the revision."""

from __future__ import annotations

import asyncio
import collections
import datetime
import hashlib
import posixpath
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from undrift import errors, interfaces
from undrift.model import source
from undrift.sources import connecting, limits, links, sharing, versions
from undrift.sources.oci import archives, registry

_KEPT = 4
_ARCHIVE = re.compile(r"tar|layer|content")
_ANNOTATION = "org.opencontainers.image."

Files = Mapping[str, source.File]
Release = Callable[[], Awaitable[None]]


class OciSource:
    """Implements `interfaces.Source`. The last few artifacts are kept in memory; nothing is written to disk."""

    def __init__(
        self,
        declared: source.Source,
        secrets: interfaces.SecretResolver,
        web: connecting.Web,
        bounds: limits.Limits,
        release: Release,
    ) -> None:
        if declared.verification:
            raise errors.ConfigInvalid(
                f"the signature of {declared.url} cannot be verified",
                why="signatures are verified for Git sources only",
                hint="pin the artifact by its digest instead: reference: {commit: sha256:…}",
            )
        self.declared = declared
        self._registry = registry.Registry(declared, secrets, web)
        self._limits = bounds
        self._release: Release | None = release
        self._polls: sharing.Shared[source.Revision] = sharing.Shared()
        self._pulls: sharing.Shared[Files] = sharing.Shared()
        self._epoch = 0
        self._polled: tuple[float, source.Revision] | None = None
        self._kept: collections.OrderedDict[str, Files] = collections.OrderedDict()
        self._revisions: dict[str, source.Revision] = {}

    async def resolve(self) -> source.Revision:
        """The digest that the reference names now. Raises a `SourceError`."""
        now = asyncio.get_running_loop().time()
        if self._polled and now - self._polled[0] < self._limits.freshness:
            return self._polled[1]
        epoch = self._epoch
        return await self._polls.do(epoch, lambda: self._poll(epoch))

    def expect(self) -> None:
        """Something may be new: the next `resolve` asks the registry in any case."""
        self._epoch += 1
        self._polled = None

    async def _poll(self, epoch: int) -> source.Revision:
        asked = asyncio.get_running_loop().time()
        shown, digest = await self._select()
        revision = self._revisions.get(digest)
        if revision is None or revision.reference != shown:
            manifest = await self._registry.manifest(digest)
            revision = describe(shown, digest, manifest.get("annotations"))
            self._revisions = {digest: revision}
        if epoch == self._epoch:
            self._polled = (asked, revision)
        return revision

    async def _select(self) -> tuple[str, str]:
        wanted = self.declared.reference
        if wanted.commit:
            return "", wanted.commit
        if not wanted.semver:
            # A source that says nothing follows `main` of a repository, which for artifacts is called latest.
            tag = wanted.tag or ("latest" if wanted == source.GitReference(branch="main") else wanted.branch)
            return tag, await self._registry.digest(tag)
        try:
            range_ = versions.parse(wanted.semver)
        except ValueError as error:
            raise errors.ReferenceMissing(
                f"{wanted.semver!r} is not a range of versions",
                why=str(error),
                hint="write it as ^1.4 or >=1.2 <2",
            ) from None
        tags = await self._registry.tags()
        found = range_.highest(tags)
        if found is None:
            raise errors.ReferenceMissing(
                f"{self.declared.url} has no tag in the range {wanted.semver}",
                why=f"none of its {len(tags)} tags fits",
                hint="push a tag, or widen the range",
            )
        return found, await self._registry.digest(found)

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """The content digest of each path that exists. The first call for a revision pulls it."""
        files = await self._files(revision)
        found = {path: below(files, path) for path in paths}
        return {path: digest_of(part) for path, part in found.items() if part}

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """The files of one path. Raises `PathMissing`, `ArtifactRefused` and other `SourceError`s."""
        files = below(await self._files(revision), path)
        if not files:
            raise errors.PathMissing(
                f"path {path} does not exist in {self.declared.url} at {revision.short}",
                hint="correct source.path of the application, or push an artifact that has it",
            ).at(str(revision), revision.author)
        try:
            links.check(
                {
                    name: file.content.decode()
                    for name, file in files.items()
                    if file.kind is source.FileKind.LINK
                }
            )
        except errors.ArtifactRefused as error:
            raise error.at(str(revision), revision.author) from None
        return source.Artifact(revision, path, digest_of(files), files)

    async def _files(self, revision: source.Revision) -> Files:
        digest = revision.digest
        if digest not in self._kept:
            self._kept[digest] = await self._pulls.do(digest, lambda: self._pull(digest))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[digest]

    async def _pull(self, digest: str) -> Files:
        manifest = await self._registry.manifest(digest)
        layers = manifest.get("layers")
        if not isinstance(layers, list) or not layers:
            raise errors.ArtifactRefused(
                f"{self.declared.url} holds no files",
                why="it is a list of images for several machines"
                if "manifests" in manifest
                else "it has no layer",
                hint="push a folder, as `flux push artifact` or `oras push` does",
            )
        found: dict[str, source.File] = {}
        for layer in layers:
            content = await self._registry.blob(str(layer.get("digest", "")), self._limits.total)
            found.update(await asyncio.to_thread(self._unpack, layer, content))
            self._limits.check_total(len(found), sum(len(file.content) for file in found.values()))
        return found

    def _unpack(self, layer: Mapping[str, Any], content: bytes) -> Files:
        """An archive, or (as `oras push FILE` makes them) a single file with its name beside it."""
        title = (layer.get("annotations") or {}).get("org.opencontainers.image.title", "")
        unpacked = (layer.get("annotations") or {}).get("io.deis.oras.content.unpack") == "true"
        if title and not unpacked and not _ARCHIVE.search(str(layer.get("mediaType", ""))):
            self._limits.check_file(title, len(content))
            return {archives.clean(title): source.File(content)}
        return archives.unpack(content, self._limits)

    async def close(self) -> None:
        """Stop what is under way."""
        release, self._release = self._release, None
        await self._polls.close()
        await self._pulls.close()
        if release:
            await release()


def describe(shown: str, digest: str, annotations: object) -> source.Revision:
    """A revision with what the artifact's annotations tell of the commit that it was made from."""
    told = annotations if isinstance(annotations, dict) else {}
    try:
        time = datetime.datetime.fromisoformat(str(told.get(_ANNOTATION + "created"))).timestamp()
    except ValueError:
        time = 0.0
    return source.Revision(
        reference=shown,
        digest=digest,
        author=str(told.get(_ANNOTATION + "authors", "")),
        time=time,
        message=str(told.get(_ANNOTATION + "revision", "")),
    )


def below(files: Files, path: str) -> dict[str, source.File]:
    """The files below a folder (or the one file) by their names relative to it."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise errors.PathMissing(f"the path {path} leads out of the source", hint="write it without ..")
    folder = "/".join(parts)
    if folder in files:
        return {posixpath.basename(folder): files[folder]}
    prefix = f"{folder}/" if folder else ""
    return {name.removeprefix(prefix): file for name, file in files.items() if name.startswith(prefix)}


def digest_of(files: Files) -> str:
    """One digest of names, kinds and contents."""
    total = hashlib.sha256()
    for name in sorted(files):
        file = files[name]
        for part in (name.encode(), file.kind.value.encode(), file.content):
            total.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{total.hexdigest()}"
