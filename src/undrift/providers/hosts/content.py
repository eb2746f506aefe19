"""The files beside the manifests: found by name, links followed, secret where they were encrypted in Git."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from undrift import errors, interfaces
from undrift.lib import paths, words
from undrift.model import output, secret, source
from undrift.providers.hosts import documents, templates

_MOST_LINKS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """Bytes, whether they are secret, and whether the file in Git is executable."""

    raw: bytes = dataclasses.field(repr=False)
    hidden: bool = False
    executable: bool = False

    @property
    def guarded(self) -> bytes | secret.Secret:
        """For `Resource.settings`: a secret does not show there."""
        return secret.Secret(self.raw) if self.hidden else self.raw


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder in Git: a file, or (`points_to`) a link; `path` is relative to the folder."""

    path: str
    name: str
    points_to: str = ""


class Library:
    """The files of one application."""

    def __init__(self, rendered: interfaces.Rendered) -> None:
        self._files = rendered.files
        self._encrypted = rendered.encrypted

    def read(self, name: str) -> Content:
        """The content of a file. Raises `ResourceInvalid` for one that is not there."""
        real = name
        for _ in range(_MOST_LINKS):
            file = self._files.get(real)
            if file is None:
                break
            if file.kind is not source.FileKind.LINK:
                executable = file.kind is source.FileKind.EXECUTABLE
                return Content(file.content, real in self._encrypted, executable)
            points_to = file.content.decode("utf-8", "replace")
            if paths.link_leaves(real, points_to):
                break
            real = posixpath.normpath(posixpath.join(posixpath.dirname(real), points_to))
        raise errors.ResourceInvalid(
            f"there is no file {name} in the application's folder",
            hint=words.suggestion(name, self._near(name)) or "commit it beside the manifest",
        )

    def folder(self, name: str) -> Iterator[Entry]:
        """All files and links below a folder, by name. Raises `ResourceInvalid` for one that is not there."""
        prefix = f"{name}/"
        inside = sorted(path for path in self._files if path.startswith(prefix))
        if not inside:
            folders = {posixpath.dirname(path) for path in self._files} - {""}
            raise errors.ResourceInvalid(
                f"there is no folder {name} in the application's folder",
                hint=words.suggestion(name, folders) or "commit it beside the manifest",
            )
        for path in inside:
            file = self._files[path]
            is_link = file.kind is source.FileKind.LINK
            yield Entry(path[len(prefix) :], path, file.content.decode("utf-8", "replace") if is_link else "")

    def fill(
        self, item: documents.Filled, variables: Mapping[str, Any], origin: errors.Origin, *, hidden: bool
    ) -> Content:
        """The content that an item declares; `hidden` when its document is secret."""
        if item.source is not None:
            found = self.read(item.source)
            return dataclasses.replace(found, hidden=found.hidden or hidden)
        if item.content is not None:
            return Content(_bytes(item.content), hidden)
        name = item.template or ""
        template = self.read(name)
        try:
            text = template.raw.decode()
        except UnicodeDecodeError:
            raise errors.TemplateInvalid(f"the template {name} is not UTF-8 text", origin=origin) from None
        folder = posixpath.dirname(origin.file)
        place = errors.Origin(self._place(folder, name))
        facts = variables.get("facts", {})
        before = output.secrets_read(facts)
        filled = templates.fill(text, variables, place)
        hidden = hidden or template.hidden or output.secrets_read(facts) != before
        return Content(_bytes(filled), hidden, template.executable)

    def _place(self, folder: str, name: str) -> str:
        """Where a template is in Git, as well as it can be told: manifests usually lie at the top."""
        return posixpath.join(folder, name)

    def _near(self, name: str) -> list[str]:
        folder = posixpath.dirname(name)
        beside = [path for path in self._files if posixpath.dirname(path) == folder]
        return beside or [path for path in self._files if not path.endswith((".yaml", ".yml"))]


def _bytes(text: str) -> bytes:
    """Text as bytes; what YAML's `!!binary` made of bytes becomes the same bytes again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise errors.ResourceInvalid(
            "the content is no text", why="it has half of a character", hint="use !!binary, or source"
        ) from None
