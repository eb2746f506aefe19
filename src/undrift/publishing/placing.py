"""Names of published files: one for each resource that a tool rendered, and none that leads out or meets another."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import paths
from undrift.model import publication, source
from undrift.publishing import gathering

_OTHER: Final = re.compile(r"[^a-z0-9.-]+")
_LONGEST: Final = 200


def names(documents: Sequence[Any]) -> list[str]:
    """A file name for each document: `<kind>-<name>.yaml`; those that would meet get their namespace, their group too.

    A name depends on what else is rendered only where two would meet.
    """
    made = [_named(one, 0) for one in documents]
    for depth in (1, 2):
        often = Counter(made)
        made = [
            _named(one, depth) if often[name] > 1 else name for one, name in zip(documents, made, strict=True)
        ]
    seen: Counter[str] = Counter()
    unique: list[str] = []
    for name in made:
        seen[name] += 1
        unique.append(f"{name}-{seen[name]}.yaml" if seen[name] > 1 else f"{name}.yaml")
    return unique


def _named(data: Any, depth: int) -> str:
    found = data if isinstance(data, Mapping) else {}
    metadata = found.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    group = str(found.get("apiVersion") or "").rpartition("/")[0]
    parts = [str(found.get("kind") or "resource")]
    parts += [group] if depth > 1 and group else []
    parts += [str(metadata.get("namespace"))] if depth and metadata.get("namespace") else []
    parts.append(str(metadata.get("name") or metadata.get("generateName") or ""))
    text = "-".join(_OTHER.sub("-", part.lower()).strip("-.") for part in parts if part)
    return text[:_LONGEST].rstrip("-.")


def refused(made: Mapping[str, source.File]) -> Iterator[errors.UndriftError]:
    """What may not be published by its name, or leads out: `ArtifactRefused`s."""
    folded: dict[str, str] = {}
    for name in sorted(made):
        problem = _problem(name, made[name])
        if problem:
            yield errors.ArtifactRefused(
                f"{name!r} cannot be published", why=problem, hint="rename it, or leave it out with exclude"
            )
        # Folders too: `A/x` and `a/y` are one folder on many file systems.
        steps = name.split("/")
        for length in range(1, len(steps) + 1):
            part = "/".join(steps[:length])
            other = folded.setdefault(unicodedata.normalize("NFC", part).casefold(), part)
            if other != part:
                yield errors.ArtifactRefused(
                    f"{other} and {part} differ by case only",
                    why="they are one file on many file systems",
                    hint="rename one of them",
                )
        if name == publication.PROVENANCE:
            yield errors.ArtifactRefused(
                f"{name} cannot be published", why="Undrift writes a file of that name", hint="rename it"
            )
    yield from _files_as_folders(made)


def _problem(name: str, file: source.File) -> str:
    steps = name.split("/")
    if name.startswith("/") or any(step in {"", ".", ".."} for step in steps) or "\\" in name:
        return "it is no path below a folder"
    if any("\ud800" <= sign <= "\udfff" for sign in name):
        return "its name is not UTF-8"
    if any(ord(sign) < ord(" ") or sign == "\x7f" for sign in name):
        return "its name holds a control character"
    if any(gathering.is_gits(step) for step in steps):
        return "it is one of Git's own files"
    if file.kind is source.FileKind.LINK:
        points_to = file.content.decode("utf-8", "surrogateescape")
        if paths.link_leaves(name, points_to):
            return f"it is a link that leads out, to {points_to}"
    return ""


def _files_as_folders(made: Iterable[str]) -> Iterator[errors.UndriftError]:
    known = set(made)
    for name in sorted(known):
        parent = name.rpartition("/")[0]
        while parent:
            if parent in known:
                yield errors.ArtifactRefused(
                    f"{parent} would be a file and a folder", hint="rename one of them"
                )
            parent = parent.rpartition("/")[0]


def twice(made: Sequence[publication.ResourceFile], namespace: str) -> Iterator[errors.ResourceTwice]:
    """Resources that two places define. One without namespace is in that of the stage."""
    known: dict[tuple[str, ...], publication.ResourceFile] = {}
    for one in made:
        metadata = one.data.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        if not metadata.get("name"):
            continue
        group = str(one.data.get("apiVersion")).rpartition("/")[0]
        inside = str(metadata.get("namespace") or namespace)
        other = known.setdefault((group, str(one.data.get("kind")), inside, str(metadata["name"])), one)
        if other is not one:
            where = f" in namespace {inside}" if inside else ""
            yield errors.ResourceTwice(
                f"two files define {one.title}{where}",
                origin=one.origin,
                why=f"the other is {other.origin}",
                hint="remove one of them",
            )
