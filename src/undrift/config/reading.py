"""The config artifact → `Configuration`: every file parsed, generators run, references checked, nothing raised.

What was parsed is kept by file and content, so that reading again after a commit costs what the commit changed.
Decrypted files are not kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
import posixpath
from collections.abc import Iterable, Sequence
from typing import Final, cast

from undrift import errors, interfaces
from undrift.config import (
    assembling,
    configuration,
    declared,
    documents,
    elements,
    generating,
    generation,
    grouping,
    parsing,
    part,
)
from undrift.model import source

_AT_ONCE: Final = 100_000
"""So many bytes are parsed on the event loop; more go to a thread."""


async def read(
    artifact: source.Artifact,
    decryptor: interfaces.Decryptor | None = None,
    directories: elements.Directories | None = None,
) -> configuration.Configuration:
    """What an artifact declares, read once. Who reads again after each commit keeps a `Reader`."""
    return await Reader(decryptor, directories).read(artifact)


class Reader:
    """Reads one revision after the other of one config repository."""

    def __init__(
        self,
        decryptor: interfaces.Decryptor | None = None,
        directories: elements.Directories | None = None,
    ) -> None:
        self._decryptor = decryptor
        self._directories = directories
        self._path = ""
        self._files: dict[str, tuple[source.File, parsing.Parsed]] = {}
        self._generated: generating.Memo = {}
        self._grouped: grouping.Memo = {}
        self._applications: assembling.Memo = {}

    async def read(self, artifact: source.Artifact) -> configuration.Configuration:
        """What the artifact declares, and all that is wrong with it. Raises nothing but for cancellation."""
        parsed, opened = await self._parse(artifact)
        sound = [each for one in parsed for each in one.sound]
        spoiled = [each for one in parsed for each in one.spoiled]
        looked_into = {name for each in _generators(sound) for name in elements.sources(each.document)}
        grouped = grouping.resolve(sound, spoiled, self._grouped)
        sound, spoiled = grouped.sound, grouped.spoiled
        around = elements.Surroundings(
            artifact, self._directories, parsing.parse_data, grouping.targets(sound)
        )
        uncertain = _uncertain(sound, spoiled)
        for each in _generators(sound):
            made = await generating.generate(each, around, self._generated)
            sound += made.sound
            spoiled += made.spoiled
            if any(one.kind == "ApplicationGenerator" for one in made.spoiled):
                sound.remove(each)
        for gone in self._generated.keys() - {each.name for each in _generators(sound)}:
            del self._generated[gone]
        unreadable = [one for one in parsed if one.unreadable]
        reported = _reported(unreadable, sound, artifact.path)
        material = assembling.Material(
            revision=artifact.revision,
            sound=sound,
            spoiled=spoiled,
            errors=[
                *opened.wrong,
                *(error for one in parsed for error in one.errors),
                *(error for one in reported for error in one.unreadable),
            ],
            looked_into=frozenset(looked_into),
            uncertain=uncertain,
            unreadable_files=frozenset(opened.closed | {one.file for one in unreadable}),
            complete=not opened.closed and not reported and not any(one.lost for one in parsed),
        )
        return assembling.assemble(material, self._applications)

    async def _parse(self, artifact: source.Artifact) -> tuple[Sequence[parsing.Parsed], _Opened]:
        """All files in the order of their names, and what was opened for it."""
        if artifact.path != self._path:
            self._files.clear()
            self._path = artifact.path
        kept: dict[str, tuple[source.File, parsing.Parsed]] = {}
        opened = _Opened()
        for name, file in artifact.files.items():
            known = self._files.get(name)
            if known is not None and known[0].content == file.content and known[0].kind is file.kind:
                kept[name] = known
            elif parsing.seems_ours(name):
                await self._open(name, file, artifact, opened)
        parsed = await _parse_all(list(opened.plain.values()))
        found = {name: known[1] for name, known in kept.items()}
        found.update(zip(opened.plain, parsed, strict=True))
        for name, plain in opened.plain.items():
            if plain.original is None:
                kept[name] = (artifact.files[name], found[name])
        self._files = kept
        return [found[name] for name in sorted(found)], opened

    async def _open(self, name: str, file: source.File, artifact: source.Artifact, opened: _Opened) -> None:
        """Note the file, decrypted where it has to be; a link to a file that is read anyway is left out."""
        path = _join(artifact.path, name)
        if file.kind is source.FileKind.LINK:
            if not _leads_inside(name, file, artifact):
                opened.refuse(path, _bad_link(path, file))
            return
        try:
            decrypted = await self._decrypt(file.content, path)
        except errors.UndriftError as error:
            opened.refuse(path, error)
            return
        if decrypted is None:
            opened.plain[name] = parsing.Plain(path, file.content)
        else:
            opened.plain[name] = parsing.Plain(path, decrypted, file.content)

    async def _decrypt(self, content: bytes, path: str) -> bytes | None:
        if b"ENC[" not in content:
            return None
        if self._decryptor is not None:
            return await self._decryptor.decrypt(content, path)
        if b"AES256_GCM" not in content or b"sops" not in content:
            return None
        raise errors.DecryptionFailed(
            f"{posixpath.basename(path)} is encrypted, and nothing here can decrypt it",
            hint="give the agent a key: SOPS_AGE_KEY_FILE, or --age-key-file",
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Opened:
    """Files to parse by their name, errors, and the paths of files that cannot be opened."""

    plain: dict[str, parsing.Plain] = dataclasses.field(default_factory=dict)
    wrong: list[errors.UndriftError] = dataclasses.field(default_factory=list)
    closed: set[str] = dataclasses.field(default_factory=set)

    def refuse(self, path: str, error: errors.UndriftError) -> None:
        """Note that a file cannot be opened, and why."""
        error.origin = error.origin or errors.Origin(path)
        self.wrong.extend(error.parts)
        self.closed.add(path)


def _join(path: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(path, name))


def _leads_inside(name: str, file: source.File, artifact: source.Artifact) -> bool:
    points_to = _join(posixpath.dirname(name), file.content.decode("utf-8", "replace"))
    return points_to in artifact.files and parsing.seems_ours(points_to)


def _bad_link(path: str, file: source.File) -> errors.UndriftError:
    return errors.ConfigUnreadable(
        f"{posixpath.basename(path)} is a link to something that is no part of the configuration",
        why=f"it points to {file.content.decode('utf-8', 'replace')}",
        hint="put the file itself here",
    )


async def _parse_all(new: Sequence[parsing.Plain]) -> Sequence[parsing.Parsed]:
    if sum(len(plain.content) for plain in new) < _AT_ONCE:
        return [parsing.parse(plain) for plain in new]
    return await asyncio.to_thread(lambda: [parsing.parse(plain) for plain in new])


def _generators(
    sound: Iterable[declared.Declared[part.Document]],
) -> list[declared.Declared[generation.ApplicationGenerator]]:
    return [
        cast("declared.Declared[generation.ApplicationGenerator]", each)
        for each in sound
        if isinstance(each.document, generation.ApplicationGenerator)
    ]


def _uncertain(
    sound: Iterable[declared.Declared[part.Document]], spoiled: Iterable[declared.Spoiled]
) -> frozenset[str]:
    """Generators that select targets, while some target cannot be told: what they made for it stays."""
    if all(each.kind not in ("Target", "TargetGroup") for each in spoiled):
        return frozenset()
    return frozenset(each.name for each in _generators(sound) if elements.selects(each.document))


def _reported(
    unreadable: Sequence[parsing.Parsed], sound: Iterable[declared.Declared[part.Document]], own: str
) -> list[parsing.Parsed]:
    """Unreadable files that matter: an application's own files (a chart's templates) are its renderer's matter."""
    if not unreadable:
        return []
    folders = {
        each.document.spec.source.path
        for each in sound
        if isinstance(each.document, documents.Application)
        and each.document.spec.source.name == part.CONFIG_SOURCE
    }
    inner = [folder for folder in folders if folder not in {".", own} and not own.startswith(f"{folder}/")]
    return [
        one
        for one in unreadable
        if one.marked or not any(one.file.startswith(f"{folder}/") for folder in inner)
    ]
