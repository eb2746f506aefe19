"""The config artifact → `Configuration`: every file parsed, generators run, references checked, nothing raised.

What was parsed is kept by file and content, so that reading again after a commit costs what the commit changed.
Decrypted files are not kept.
"""

from __future__ import annotations

import asyncio
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
        self._files: dict[str, tuple[bytes, parsing.Parsed]] = {}
        self._generated: generating.Memo = {}
        self._applications: assembling.Memo = {}

    async def read(self, artifact: source.Artifact) -> configuration.Configuration:
        """What the artifact declares, and all that is wrong with it. Raises nothing but for cancellation."""
        parsed, wrong, closed = await self._parse(artifact)
        sound = [each for one in parsed for each in one.sound]
        spoiled = [each for one in parsed for each in one.spoiled]
        around = elements.Surroundings(artifact, self._directories, parsing.parse_data)
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
                *wrong,
                *(error for one in parsed for error in one.errors),
                *(error for one in reported for error in one.unreadable),
            ],
            unreadable_files=closed | {one.file for one in unreadable},
            complete=not closed and not reported and not any(one.lost for one in parsed),
        )
        return assembling.assemble(material, self._applications)

    async def _parse(
        self, artifact: source.Artifact
    ) -> tuple[Sequence[parsing.Parsed], Sequence[errors.UndriftError], frozenset[str]]:
        """All files in the order of their names; errors and names of those that cannot even be opened."""
        found: dict[str, parsing.Parsed] = {}
        new: list[parsing.Plain] = []
        wrong: list[errors.UndriftError] = []
        closed: set[str] = set()
        for name, file in artifact.files.items():
            if not parsing.seems_ours(name):
                continue
            path = posixpath.normpath(posixpath.join(artifact.path, name))
            known = self._files.get(path)
            if known is not None and known[0] == file.content:
                found[path] = known[1]
                continue
            try:
                plain = await self._open(path, file, artifact)
            except errors.UndriftError as error:
                error.origin = error.origin or errors.Origin(path)
                wrong += error.parts
                closed.add(path)
                continue
            if plain is not None:
                new.append(plain)
        found.update((one.file, one) for one in await _parse_all(new))
        self._files = {
            plain.file: (plain.content, found[plain.file]) for plain in new if plain.original is None
        } | {
            path: self._files[path]
            for path in found
            if path in self._files and found[path] is self._files[path][1]
        }
        return [found[path] for path in sorted(found)], wrong, frozenset(closed)

    async def _open(self, path: str, file: source.File, artifact: source.Artifact) -> parsing.Plain | None:
        """The file, decrypted where it has to be. None for a link to a file that is read anyway."""
        if file.kind is source.FileKind.LINK:
            _follow(path, file, artifact)
            return None
        if b"ENC[" not in file.content:
            return parsing.Plain(path, file.content)
        if self._decryptor is None:
            raise errors.DecryptionFailed(
                f"{path} is encrypted, and nothing here can decrypt it",
                hint="give the agent a key: SOPS_AGE_KEY_FILE, or --age-key-file",
            )
        decrypted = await self._decryptor.decrypt(file.content, path)
        if decrypted is None:
            return parsing.Plain(path, file.content)
        return parsing.Plain(path, decrypted, file.content)


def _follow(path: str, file: source.File, artifact: source.Artifact) -> None:
    points_to = posixpath.normpath(
        posixpath.join(posixpath.dirname(path), file.content.decode("utf-8", "replace"))
    )
    names = {posixpath.normpath(posixpath.join(artifact.path, name)) for name in artifact.files}
    if points_to not in names or not parsing.seems_ours(points_to):
        raise errors.ConfigUnreadable(
            f"{posixpath.basename(path)} is a link that leads out of the configuration",
            why=f"it points to {points_to}",
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
