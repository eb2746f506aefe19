"""A stage on its way to a rendition: its files, what is in them, and where that was declared."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import globs, splicing, yaml
from undrift.model import delivery, publication, source
from undrift.renderers import plain

Positions = Mapping[tuple[str | int, ...], tuple[int, int]]
_OURS: Final = "undrift.dev/"
_LISTS: Final = "List"
Images = list[tuple[int, delivery.Image]]
Values = list[tuple[int, delivery.Value]]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a document was declared: a file of the application's source, and its fields in it."""

    file: str
    positions: Positions = dataclasses.field(default_factory=dict, repr=False)

    def of(self, *steps: str | int) -> errors.Origin:
        """Where a field was declared, as near as is known."""
        return errors.Origin(self.file, *yaml.nearest(self.positions, steps))


@dataclasses.dataclass(slots=True)
class Page:
    """One file to be published. `origin` is the file of the source that it was, or the one that asked for it.

    `documents` are what is in it, with a `place` for each, where it is YAML or JSON that is read; `encrypted` by SOPS.
    """

    name: str
    file: source.File
    origin: str
    documents: list[Any] = dataclasses.field(default_factory=list, repr=False)
    places: list[Place] = dataclasses.field(default_factory=list, repr=False)
    encrypted: bool = False

    def change(self, edits: Sequence[splicing.Edit]) -> None:
        """Make edits. Raises `lib.splicing.SpliceError`."""
        content = splicing.change(self.file.content, edits, as_json=self.name.endswith(".json"))
        if content is not self.file.content:
            self.file = dataclasses.replace(self.file, content=content)
            self.documents = [one.data for one in yaml.documents(content)]


def read(name: str, file: source.File, origin: str) -> Page:
    """A page of a manifest. Raises `RenderFailed`."""
    page = Page(name, file, origin)
    if file.kind is source.FileKind.LINK:
        return page
    try:
        found = yaml.documents(file.content, origin)
    except yaml.YamlError as error:
        raise errors.RenderFailed(
            f"{posixpath.basename(origin)} cannot be read as a manifest",
            origin=errors.Origin(origin, error.line, error.column),
            why=error.problem,
            hint="correct it; content that manifests refer to belongs in files/ or templates/",
        ) from None
    page.documents = [one.data for one in found]
    page.places = [Place(origin, one.positions) for one in found]
    page.encrypted = any(is_encrypted(one) for one in page.documents)
    return page


def is_manifest(name: str) -> bool:
    """Whether agents take a published file for a manifest: `renderers.plain` without settings."""
    hidden = any(step.startswith(".") for step in name.split("/"))
    return globs.matches(name, plain.MANIFESTS) and not globs.matches(name, plain.CONTENT) and not hidden


def is_encrypted(data: Any) -> bool:
    """Whether SOPS encrypted a document."""
    return isinstance(data, Mapping) and isinstance(data.get("sops"), Mapping) and "mac" in data["sops"]


@dataclasses.dataclass(slots=True)
class Tree:
    """All pages of a stage by their names."""

    pages: dict[str, Page] = dataclasses.field(default_factory=dict)

    def add(self, page: Page) -> None:
        """Take in a page. Raises `ArtifactRefused` when there is one of that name already."""
        known = self.pages.get(page.name)
        if known is not None and known.file != page.file:
            raise errors.ArtifactRefused(
                f"two files would be published as {page.name}",
                origin=errors.Origin(page.origin),
                why=f"the other is {known.origin}",
                hint="rename one of them",
            )
        self.pages[page.name] = page

    def documents(self) -> Iterator[tuple[Page, int, Any, Place]]:
        """Every document: its page, number in it, data and place."""
        for name in sorted(self.pages):
            page = self.pages[name]
            for index, (data, place) in enumerate(zip(page.documents, page.places, strict=True)):
                yield page, index, data, place

    def resources(self) -> Iterator[publication.ResourceFile]:
        """What is a resource of Kubernetes; each item of a list is one."""
        for page, _, data, place in self.documents():
            for item, steps in _items(data):
                positions: Positions = place.positions
                if steps:
                    positions = {
                        path[len(steps) :]: at
                        for path, at in positions.items()
                        if path[: len(steps)] == steps
                    }
                yield publication.ResourceFile(
                    item, page.name, place.of(*steps), positions, is_encrypted(item)
                )


def _items(
    data: Any, steps: tuple[str | int, ...] = ()
) -> Iterator[tuple[Mapping[str, Any], tuple[str | int, ...]]]:
    if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
        return
    version, items = data.get("apiVersion"), data.get("items")
    if not isinstance(version, str) or version.startswith(_OURS):
        return
    if str(data["kind"]).endswith(_LISTS) and isinstance(items, list):
        for index, one in enumerate(items):
            yield from _items(one, (*steps, "items", index))
    else:
        yield data, steps


@dataclasses.dataclass(frozen=True, slots=True)
class Called:
    """What a tool did: its version, and the images and values that are left to be set in what it rendered."""

    tools: Mapping[str, str]
    images: Images
    values: Values
    warnings: tuple[errors.UndriftError, ...] = ()
