"""An application's repository in memory, and deliveries read from text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from undrift import errors, plugins
from undrift.config import delivering, staging
from undrift.lib import canonical, paths
from undrift.model import delivery, publication, source
from undrift.publishing import rendering

REVISION = source.Revision("main", "sha1:" + "1" * 40, author="A Person <a@example.org>")
HEAD = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {name: petclinic}
spec:
  gitopsRepository: {url: https://forge.example/ops/gitops.git}
"""
DEPLOYMENT = """\
# made by hand
apiVersion: apps/v1
kind: Deployment
metadata: {name: petclinic}
spec:
  replicas: 2
  template:
    spec:
      initContainers:
      - {name: prepare, image: "busybox:1"}
      containers:
      - name: application
        image: 'petclinic:1.0' # the one
      - name: sidecar
        image: registry.example:5000/proxy@sha256:0123456789abcdef
"""

Text = str | bytes | source.File


class MemorySource:
    """Implements `interfaces.Source`; `fetched` is what was asked for."""

    def __init__(self, files: Mapping[str, Text]) -> None:
        self.files = {
            name: one
            if isinstance(one, source.File)
            else source.File(one if isinstance(one, bytes) else one.encode())
            for name, one in files.items()
        }
        self.fetched: list[str] = []

    async def resolve(self) -> source.Revision:
        return REVISION

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        return {path: canonical.digest(sorted(self._below(path))) for path in paths if self._below(path)}

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        self.fetched.append(path)
        if path in self.files:
            return source.Artifact(
                revision, path, "d", {path.rpartition("/")[2]: self.files[path]}, single=True
            )
        found = self._below(path)
        if not found:
            raise errors.PathMissing(f"path {path} does not exist")
        for name, file in found.items():
            if file.kind is source.FileKind.LINK and paths.link_leaves(name, file.content.decode()):
                raise errors.ArtifactRefused(f"{name} is a link that leads out of the tree")
        return source.Artifact(revision, path, "d", found)

    async def close(self) -> None:
        """Nothing to give back."""

    def _below(self, path: str) -> dict[str, source.File]:
        front = "" if path == "." else f"{path}/"
        return {name[len(front) :]: file for name, file in self.files.items() if name.startswith(front)}


def deliver(text: str, **variables: str) -> delivery.Delivery:
    """The delivery whose spec goes on with `text`."""
    return delivering.read((HEAD + text).encode(), "undrift.yaml", staging.Given(variables))[0].delivery


async def render(
    text: str, files: Mapping[str, Text] | MemorySource, **variables: str
) -> tuple[publication.Rendition, ...]:
    """All stages of such a delivery."""
    declared = deliver(text, **variables)
    place = files if isinstance(files, MemorySource) else MemorySource(files)
    return await rendering.render_all(declared, declared.stages, place, REVISION, plugins.Registry(None))


async def render_one(text: str, files: Mapping[str, Text], **variables: str) -> dict[str, str]:
    """The files of its only stage, as text."""
    (made,) = await render(text, files, **variables)
    return {name: file.content.decode() for name, file in made.files.items()}
