"""Manifest entries that become files, directories, links and blocks."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import archives, content, documents, kinds, loading, local

_FOLDER = 0o755


def add_file(reading: loading.Reading, item: documents.File, origin: errors.Origin) -> None:
    """One declared file."""
    filled = reading.draft.library.fill(item, reading.variables, origin, hidden=reading.hidden)
    _put(reading, item, _file(item.path, filled, item.mode, item, origin))


def add_directory(reading: loading.Reading, item: documents.Directory, origin: errors.Origin) -> None:
    """One declared directory, with everything that its folder in Git holds."""
    if item.path != "/" or item.source is None:
        _put(reading, item, _directory(item.path, item, origin))
    if item.source is None:
        return
    plain = item.model_copy(update={"moved_from": None})
    made: set[str] = set()
    for entry in reading.draft.library.folder(item.source):
        path = posixpath.join(item.path, entry.path)
        for folder in _between(item.path, path, made):
            _put(reading, plain, _directory(folder, item, origin))
        if entry.points_to:
            _put(reading, plain, _link(path, entry.points_to, origin))
        else:
            filled = reading.draft.library.read(entry.name)
            _put(reading, plain, _file(path, filled, None, item, origin))


def add_link(reading: loading.Reading, item: documents.Link, origin: errors.Origin) -> None:
    """One declared symbolic link."""
    _put(reading, item, _link(item.path, reading.fill(item.to, origin), origin))


def add_block(reading: loading.Reading, item: documents.Block, origin: errors.Origin) -> None:
    """Lines of ours in a foreign file."""
    filled = reading.draft.library.fill(item, reading.variables, origin, hidden=reading.hidden)
    try:
        text = filled.raw.decode()
    except UnicodeDecodeError:
        raise errors.ResourceInvalid(f"the block {item.name} is not UTF-8 text", origin=origin) from None
    lines = content.Content(text.rstrip("\n").encode() + b"\n", filled.hidden)
    if "\n" in item.comment:
        raise errors.ResourceInvalid(
            f"the comment of the block {item.name} is more than a line", origin=origin
        )
    fields = {"digest": digest_of(lines), "comment": item.comment}
    rid = kinds.block_id(item.path, item.name)
    settings = {"content": lines.guarded, "check": item.check}
    _put(reading, item, resource.Resource(rid, fields, origin, settings=settings))


def add_archive(reading: loading.Reading, item: documents.Archive, origin: errors.Origin) -> None:
    """An archive: each of its files is a resource, so that each is compared, shown and pruned on its own."""
    packed = reading.draft.library.read(item.source)
    plain = item.model_copy(update={"moved_from": None})
    if item.path != "/":
        _put(reading, plain, _directory(item.path, item, origin))
    made: set[str] = set()
    for member in archives.members(packed.raw, item.source, item.strip):
        path = posixpath.join(item.path, member.path)
        for folder in _between(item.path, path, made):
            _put(reading, plain, _directory(folder, item, origin))
        if member.points_to:
            _put(reading, plain, _link(path, member.points_to, origin))
        else:
            filled = content.Content(member.content, packed.hidden, member.executable)
            _put(reading, plain, _file(path, filled, None, item, origin))


def _put(reading: loading.Reading, item: documents.Item, one: resource.Resource) -> None:
    """Add it; what is wrong with one does not hide what is wrong with the next."""
    try:
        reading.draft.add(one, item)
    except errors.UndriftError as error:
        reading.draft.wrong.append(error)


def _file(
    path: str, filled: content.Content, mode: int | None, item: Any, origin: errors.Origin
) -> resource.Resource:
    usual = 0o755 if filled.executable else 0o644
    fields = {
        "digest": digest_of(filled),
        "mode": spell_mode(usual if mode is None else mode),
        **_owners(item),
    }
    rid = resource.ResourceId.of(kinds.FILE, path)
    settings = {"content": filled.guarded, "check": getattr(item, "check", None)}
    return resource.Resource(rid, fields, origin, settings=settings)


def _directory(path: str, item: Any, origin: errors.Origin) -> resource.Resource:
    declared = getattr(item, "mode", None)
    fields = {"mode": spell_mode(_FOLDER if declared is None else declared), **_owners(item)}
    return resource.Resource(resource.ResourceId.of(kinds.DIRECTORY, path), fields, origin)


def _link(path: str, points_to: str, origin: errors.Origin) -> resource.Resource:
    return resource.Resource(resource.ResourceId.of(kinds.LINK, path), {"to": points_to}, origin)


def _owners(item: Any) -> Mapping[str, str]:
    return {name: getattr(item, name) for name in ("owner", "group") if getattr(item, name) is not None}


def digest_of(filled: content.Content) -> Any:
    """The digest of content as a field: a secret where the content is one."""
    digest = local.name_content(filled.raw)
    return kinds.hide(digest) if filled.hidden else digest


def spell_mode(mode: int) -> str:
    """A mode as people write it."""
    return f"{mode:04o}"


def _between(top: str, path: str, made: set[str]) -> list[str]:
    """The folders below `top` on the way to `path` that were not made yet, outermost first.

    Below the root itself there are none: `/etc` is everybody's, and made only where it is missing.
    """
    found: list[str] = []
    if top == "/":
        return found
    folder = posixpath.dirname(path)
    while folder not in {top, "/"} and folder not in made:
        found.append(folder)
        made.add(folder)
        folder = posixpath.dirname(folder)
    return found[::-1]
