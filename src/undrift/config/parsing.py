"""One file → the documents in it that are ours: sound ones, broken ones, and what cannot be told.

What is not ours is left alone: a document with another apiVersion, or with neither an apiVersion nor the form of
one of ours. A broken document takes only itself out, also where the break is one of syntax.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pydantic

from undrift import errors
from undrift.config import declared, documents, explaining, part
from undrift.lib import canonical, words, yaml

ENDINGS: Final = (".yaml", ".yml", ".json")
_MARKER: Final = part.GROUP.encode()
_SEPARATOR: Final = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_ALIKE: Final = 0.8
_LONGEST_WORD: Final = 63
_TRAPS: Final = frozenset("yYnN")
_OF_CI: Final = ("Delivery",)
"""Kinds that are for the part of Undrift that runs in CI: an agent leaves them alone."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """What one file holds. `lost` is set when a document of ours has no name that can be read; `unreadable`
    are the places that are no YAML, `marked` whether the file seems to hold documents of ours at all.
    """

    file: str
    sound: tuple[declared.Declared[part.Document], ...] = ()
    spoiled: tuple[declared.Spoiled, ...] = ()
    errors: declared.Errors = ()
    unreadable: declared.Errors = ()
    lost: bool = False
    marked: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    """A file to parse. `content` is decrypted; `original` is what is in Git, where it differs."""

    file: str
    content: bytes
    original: bytes | None = None


def seems_ours(path: str) -> bool:
    """Whether a file may hold configuration, by its name: YAML or JSON, and not hidden."""
    return path.endswith(ENDINGS) and not any(step.startswith(".") for step in path.split("/"))


def parse(plain: Plain) -> Parsed:
    """All that can be read of a file; raises nothing."""
    found, unreadable = _documents(plain)
    marked = _MARKER in plain.content
    sound: list[declared.Declared[part.Document]] = []
    spoiled: list[declared.Spoiled] = []
    wrong: list[errors.UndriftError] = []
    lost = False
    for data, places in found:
        if not _is_ours(data):
            continue
        kind = _kind(data)
        made = _document(data, kind, places, plain)
        trapped = _trapped(places)
        if trapped:
            made = (*(() if isinstance(made, declared.Declared) else made), *trapped)
        if isinstance(made, declared.Declared):
            sound.append(made)
            continue
        name = _name(data)
        if kind and name:
            spoiled.append(declared.Spoiled(kind, name, places.of(()), made, _mentions(data, plain)))
        else:
            wrong += made
            lost = True
    return Parsed(plain.file, tuple(sound), tuple(spoiled), tuple(wrong), tuple(unreadable), lost, marked)


def parse_data(content: bytes, file: str) -> Any:
    """The data of the only document of a file. Raises `ConfigUnreadable`."""
    try:
        found = yaml.documents(content, file)
    except yaml.YamlError as error:
        raise _unreadable(error, file) from None
    if len(found) == 1:
        return found[0].data
    raise errors.ConfigUnreadable(
        f"{file} has {len(found)} documents, and should have one", origin=errors.Origin(file, 1, 1)
    )


def _documents(plain: Plain) -> tuple[list[tuple[Any, declared.FilePlaces]], list[errors.UndriftError]]:
    try:
        found = yaml.documents(plain.content, plain.file)
    except yaml.YamlError as error:
        return _piecewise(plain, error)
    if plain.original is None:
        return [
            (each.data, declared.FilePlaces(plain.file, each.positions, 0, each.traps)) for each in found
        ], []
    places = _places_of(plain.file, plain.original, len(found))
    return list(zip((each.data for each in found), places, strict=True)), []


def _places_of(file: str, original: bytes, count: int) -> Sequence[declared.FilePlaces]:
    """The places in Git of documents that were decrypted: their lines are those of the encrypted file."""
    try:
        found = yaml.documents(original, file)
    except yaml.YamlError:
        found = []
    if len(found) != count:
        return [declared.FilePlaces(file, {})] * count
    return [declared.FilePlaces(file, each.positions) for each in found]


def _piecewise(
    plain: Plain, whole: yaml.YamlError
) -> tuple[list[tuple[Any, declared.FilePlaces]], list[errors.UndriftError]]:
    """The documents of a file of which one at least cannot be read."""
    try:
        text = plain.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [], [_unreadable(whole, plain.file)]
    starts = [0, *(match.start() for match in _SEPARATOR.finditer(text) if match.start())]
    if len(starts) == 1 or "\0" in text:
        return [], [_unreadable(whole, plain.file)]
    found: list[tuple[Any, declared.FilePlaces]] = []
    wrong: list[errors.UndriftError] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        before = text.count("\n", 0, start)
        try:
            each = yaml.documents(text[start:end], plain.file)
        except yaml.YamlError:
            wrong.append(_unreadable(_placed(text[start:end], plain.file, before), plain.file))
        else:
            found += [
                (one.data, declared.FilePlaces(plain.file, one.positions, before, one.traps)) for one in each
            ]
    return found, wrong or [_unreadable(whole, plain.file)]


def _placed(piece: str, file: str, before: int) -> yaml.YamlError:
    """What is wrong with a piece of a file, told with the lines of the whole."""
    try:
        yaml.documents("\n" * before + piece, file)
    except yaml.YamlError as error:
        return error
    return yaml.YamlError(file, before + 1, 0, "this document cannot be read on its own")


def _unreadable(error: yaml.YamlError, file: str) -> errors.ConfigUnreadable:
    return errors.ConfigUnreadable(
        f"{posixpath.basename(file)} cannot be read",
        origin=errors.Origin(file, error.line, error.column),
        why=error.problem,
        hint="correct it, or move it out of the path of the configuration",
    )


def _is_ours(data: Any) -> bool:
    if not isinstance(data, Mapping):
        return False
    version = data.get("apiVersion")
    if data.get("kind") in _OF_CI:
        return False
    if version is None:
        return data.get("kind") in documents.KINDS or ("metadata" in data and "spec" in data)
    group, _, rest = str(version).rstrip("/").partition("/")
    if "/" in rest:
        return False  # a manifest for one of our providers: undrift.dev/hosts/v1
    ours = part.GROUP.rstrip("/")
    return group == ours or difflib.SequenceMatcher(None, group, ours).ratio() > _ALIKE


def _trapped(places: declared.FilePlaces) -> tuple[errors.UndriftError, ...]:
    """`y` and `n` are truth values in YAML as Kubernetes reads it; in our documents nobody means that."""
    return tuple(
        errors.ConfigInvalid(
            f"{trap.text} without quotes means {str(trap.meaning).lower()}",
            origin=errors.Origin(places.file, trap.line + places.before, trap.column),
            hint=f'write "{trap.text}", or {str(trap.meaning).lower()} where that is meant',
        )
        for trap in places.traps
        if trap.text in _TRAPS
    )


def _kind(data: Mapping[str, Any]) -> str | None:
    """The kind a document has, or was meant to have."""
    written = data.get("kind")
    if not isinstance(written, str):
        return None
    return written if written in documents.KINDS else words.nearest(written, documents.KINDS)


def _name(data: Mapping[str, Any]) -> str | None:
    """The name of a document whose other parts may be anything."""
    metadata = data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) and name else None


def _mentions(data: Any, plain: Plain) -> frozenset[str]:
    """The words in a broken document; of an encrypted one only those that may be former names."""
    if plain.original is None:
        return frozenset(declared.words_in(data))
    spec = data.get("spec")
    return frozenset(declared.words_in(spec.get("movedFrom"))) if isinstance(spec, Mapping) else frozenset()


def _document(
    data: Mapping[str, Any], kind: str | None, places: declared.FilePlaces, plain: Plain
) -> declared.Declared[part.Document] | tuple[errors.UndriftError, ...]:
    """The document, or all that is wrong with it."""
    if kind is None or data.get("kind") != kind:
        return (_unknown_kind(data, kind, places),)
    model = documents.KINDS[kind]
    try:
        made = model.model_validate(data, context={"encrypted": plain.original is not None})
    except pydantic.ValidationError as error:
        return explaining.explain(error, model, places)
    try:
        digest = _digest(data, plain)
    except TypeError:
        what = f"{kind} {made.metadata.name} holds bytes that are no text"
        hint = "documents of the configuration are text: take !!binary out"
        return (errors.ConfigInvalid(what, origin=places.of(()), hint=hint),)
    return declared.Declared((kind, made.metadata.name), made, places.of(()), places, digest)


def _unknown_kind(
    data: Mapping[str, Any], kind: str | None, places: declared.FilePlaces
) -> errors.ConfigInvalid:
    written = data.get("kind")
    if written is None:
        what = "kind is missing"
    elif isinstance(written, str) and len(written) <= _LONGEST_WORD:
        what = f"kind is {written!r}, which is none of ours"
    else:
        what = "kind should be text"
    known = ", ".join(documents.KINDS)
    return errors.ConfigInvalid(
        what, origin=places.of(("kind",)), hint=explaining.ask(kind) or f"one of {known}"
    )


def _digest(data: Mapping[str, Any], plain: Plain) -> str:
    """Names the content; of an encrypted document by what is in Git, so that nothing can be guessed from it."""
    if plain.original is None:
        return canonical.digest(data)
    name = f"{data.get('kind')}/{_name(data)}".encode()
    return "sha256:" + hashlib.sha256(name + b"\0" + plain.original).hexdigest()
