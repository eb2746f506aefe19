"""Manifests as they are: YAML and JSON files become documents, everything else is there for them to refer to.

Manifests are the `*.yaml`, `*.yml` and `*.json` files of the application's folder, at any depth, but neither in
`files/` and `templates/` (content that manifests refer to) nor hidden. What SOPS encrypted is decrypted in memory.
Documents of Undrift's own configuration may lie beside the manifests; they are left out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import posixpath
from collections.abc import Mapping
from typing import Any, Final

import undrift
from undrift import errors, interfaces
from undrift.lib import globs, paths, words, yaml
from undrift.model import source, target
from undrift.renderers import opening, substituting

MANIFESTS: Final = ("**/*.yaml", "**/*.yml", "**/*.json")
CONTENT: Final = ("files/**", "templates/**")
_SETTINGS: Final = ("include", "exclude", substituting.SETTING)
_OUR_GROUP: Final = "undrift.dev/"
_OUR_KINDS: Final = frozenset(
    {
        "Agent",
        "Application",
        "ApplicationGenerator",
        "Delivery",
        "Notifier",
        "Project",
        "Source",
        "Target",
        "TargetGroup",
    }
)
_MOST_LINKS: Final = 10
_AT_ONCE: Final = 100_000
"""So many bytes are parsed on the event loop; more go to a thread."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Chosen:
    """Which files are manifests."""

    include: tuple[str, ...] = MANIFESTS
    exclude: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        """Whether the file at `path` is a manifest."""
        if globs.matches(path, self.exclude) or not globs.matches(path, self.include):
            return False
        if self.include is not MANIFESTS:
            return True
        return not globs.matches(path, CONTENT) and not any(step.startswith(".") for step in path.split("/"))


class PlainRenderer:
    """`kind: plain`. Settings: `include` and `exclude`, lists of globs on paths below the application's folder."""

    self_contained = True

    def __init__(self, decryptor: interfaces.Decryptor | None = None) -> None:
        self._decryptor = decryptor

    def beside(self, artifact: source.Artifact, recipe: interfaces.Recipe) -> frozenset[str]:
        """See `interfaces.Renderer`: nothing."""
        return frozenset()

    def version(self) -> str:
        """See `interfaces.Renderer`."""
        return f"plain {undrift.__version__}"

    async def render(
        self, artifact: source.Artifact, recipe: interfaces.Recipe, facts: target.Facts
    ) -> interfaces.Rendered:
        """See `interfaces.Renderer`. Raises all `RenderError`s at once."""
        chosen = _choose(recipe.settings)
        variables = substituting.variables(recipe.settings)
        opened = await opening.opened(artifact.files, artifact.path, self._decryptor)
        files = opened.files
        taken = _Taken(
            artifact.path,
            {name: files[name] for name in sorted(files) if chosen.takes(name) and name not in opened.wrong},
            files,
            {name: artifact.files[name].content for name in opened.encrypted},
            variables,
        )
        size = sum(len(file.content) for file in taken.manifests.values())
        read = await asyncio.to_thread(_read, taken) if size > _AT_ONCE else _read(taken)
        found = [error for _, error in sorted(opened.wrong.items())] + read.wrong
        if found:
            raise errors.gather(found)
        return interfaces.Rendered(
            tuple(read.documents),
            files,
            opened.encrypted,
            {"undrift": undrift.__version__},
            tuple(read.warnings),
            artifact.path,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Taken:
    """The manifests (decrypted) of an artifact at `path`, beside all its files; `encrypted` as it is in Git.

    `variables` are filled in where any are declared.
    """

    path: str
    manifests: Mapping[str, source.File]
    files: Mapping[str, source.File]
    encrypted: Mapping[str, bytes]
    variables: Mapping[str, str] | None = None


def _choose(settings: Mapping[str, Any]) -> _Chosen:
    wrong: list[errors.UndriftError] = []
    found: dict[str, tuple[str, ...]] = {}
    for name, value in settings.items():
        if name == substituting.SETTING:
            continue
        if name not in _SETTINGS:
            hint = words.suggestion(name, _SETTINGS)
            wrong.append(errors.RenderFailed(f"renderer.{name} is not a setting of plain", hint=hint))
        elif (
            isinstance(value, list | tuple)
            and value
            and all(isinstance(each, str) and each for each in value)
        ):
            found[name] = tuple(value)
        else:
            why = "it should be a list of globs"
            wrong.append(
                errors.RenderFailed(f"renderer.{name} cannot be used", why=why, hint='write ["*.yaml"]')
            )
    if wrong:
        raise errors.gather(wrong)
    return _Chosen(**found)


@dataclasses.dataclass(slots=True)
class _Read:
    """What became of the manifests."""

    documents: list[interfaces.Document] = dataclasses.field(default_factory=list)
    warnings: list[errors.UndriftError] = dataclasses.field(default_factory=list)
    wrong: list[errors.UndriftError] = dataclasses.field(default_factory=list)


def _read(taken: _Taken) -> _Read:
    read = _Read()
    for name in taken.manifests:
        try:
            _take(taken, name, read)
        except errors.UndriftError as error:
            read.wrong.append(error)
    return read


def _take(taken: _Taken, name: str, read: _Read) -> None:
    """Take in the documents of one manifest. Raises `RenderFailed`."""
    origin = _origin(taken.path, name)
    real = _follow(taken.files, name)
    if real is None:
        raise errors.RenderFailed(
            f"{name} is a link that leads nowhere in its folder",
            origin=origin,
            hint="put the file itself here",
        )
    secret = real in taken.encrypted
    content: bytes | str = taken.files[real].content
    if taken.variables is not None:
        content = substituting.substitute(
            taken.files[real].content.decode("utf-8", "replace"), taken.variables, origin.file
        )
    try:
        found = yaml.documents(content, origin.file)
    except yaml.YamlError as error:
        line, column = (0, 0) if secret else (error.line, error.column)
        raise errors.RenderFailed(
            f"{posixpath.basename(name)} cannot be read as a manifest",
            origin=errors.Origin(origin.file, line, column),
            why="what was decrypted is not YAML" if secret else error.problem,
            hint="correct it; content that manifests refer to belongs in files/ or templates/",
        ) from None
    places = [each.positions for each in found]
    if secret:
        places = _places(taken.encrypted[real], len(found))
    for each, positions in zip(found, places, strict=True):
        if not _is_configuration(each.data):
            read.documents.append(interfaces.Document(each.data, origin.file, positions, secret))
            if not secret and not _is_secret(each.data):
                read.warnings += [_surprise(trap, origin.file) for trap in each.traps if not _is_meant(trap)]


def _is_secret(data: Any) -> bool:
    """Whether what surprises in it may not be told."""
    return isinstance(data, Mapping) and data.get("kind") == "Secret"


def _is_meant(trap: yaml.Trap) -> bool:
    """Permissions are written in octal."""
    return not isinstance(trap.meaning, bool) and trap.key.lower().endswith("mode")


def _surprise(trap: yaml.Trap, file: str) -> errors.ScalarSurprising:
    meaning = str(trap.meaning).lower()
    return errors.ScalarSurprising(
        f"{trap.text} without quotes means {meaning}",
        origin=errors.Origin(file, trap.line, trap.column),
        why="kubectl and Helm read it so, too",
        hint=f'write "{trap.text}", or {meaning} where that is meant',
    )


def _places(encrypted: bytes, count: int) -> list[Mapping[tuple[str | int, ...], tuple[int, int]]]:
    """Where decrypted documents stand in Git: SOPS leaves the keys of an encrypted file where they are."""
    try:
        found = yaml.documents(encrypted)
    except yaml.YamlError:
        found = []
    return [each.positions for each in found] if len(found) == count else [{}] * count


def _follow(files: Mapping[str, source.File], name: str) -> str | None:
    """The file that `name` is, or that it leads to."""
    for _ in range(_MOST_LINKS):
        file = files.get(name)
        if file is None or file.kind is not source.FileKind.LINK:
            return name if file is not None else None
        points_to = file.content.decode("utf-8", "surrogateescape")
        if paths.link_leaves(name, points_to):
            return None
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), points_to))
    return None


def _is_configuration(data: Any) -> bool:
    if not isinstance(data, Mapping):
        return False
    version = data.get("apiVersion")
    return isinstance(version, str) and version.startswith(_OUR_GROUP) and data.get("kind") in _OUR_KINDS


def _origin(path: str, name: str) -> errors.Origin:
    return errors.Origin(posixpath.normpath(posixpath.join(path, name)))
