"""What is seen at a path, as fields; and the steps that make fields true there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from undrift import errors
from undrift.model import resource, secret
from undrift.providers.hosts import blocks, kinds, local, transport, trees

IS: Final = "is"
"""The only field of something that is there in the place of what we made, and of another sort."""

_SORTS: Final = {
    kinds.FILE: transport.Sort.FILE,
    kinds.DIRECTORY: transport.Sort.DIRECTORY,
    kinds.LINK: transport.Sort.LINK,
}
_NEEDS: Final = {kinds.FILE: transport.Need.DIGEST, kinds.BLOCK: transport.Need.CONTENT}


def need(rid: resource.ResourceId) -> transport.Need:
    """What a look at a resource has to find out."""
    return _NEEDS.get(rid.kind, transport.Need.NOTHING)


def fields_of(
    rid: resource.ResourceId, seen: transport.Seen | None, *, hidden: bool
) -> dict[str, Any] | None:
    """The fields of what is there, or None when the resource does not exist; `hidden` content shows as a secret."""
    if seen is None:
        return None
    if rid.kind == kinds.BLOCK:
        return _block_fields(rid, seen, hidden=hidden)
    if seen.sort is not _SORTS[rid.kind]:
        return {IS: str(seen.sort)}
    if rid.kind == kinds.LINK:
        return {"to": seen.points_to}
    fields: dict[str, Any] = {
        "mode": trees.spell_mode(seen.mode),
        "owner": seen.owner,
        "group": seen.group,
    }
    if rid.kind == kinds.FILE:
        fields["digest"] = kinds.hide(seen.digest) if hidden else seen.digest
    return fields


def block_name(rid: resource.ResourceId) -> str:
    """The name of a block within its file."""
    return rid.name.rpartition("#")[2]


def _block_fields(rid: resource.ResourceId, seen: transport.Seen, *, hidden: bool) -> dict[str, Any] | None:
    if seen.content is None:
        return None
    found = blocks.find(text_of(seen.content), block_name(rid))
    if found is None:
        return None
    digest = local.name_content(found.lines.encode("utf-8", "surrogateescape"))
    return {"digest": kinds.hide(digest) if hidden else digest, "comment": found.comment}


def text_of(content: bytes) -> str:
    """Text in which bytes that are not UTF-8 survive."""
    return content.decode("utf-8", "surrogateescape")


def content_of(one: resource.Resource) -> bytes:
    """What a file or block should hold."""
    content = one.settings.get("content", b"")
    raw = content.reveal() if isinstance(content, secret.Secret) else content
    return raw if isinstance(raw, bytes) else str(raw).encode()


def attributes_of(fields: resource.Fields) -> transport.Attributes:
    """Mode and owner as declared."""
    mode = fields.get("mode")
    return transport.Attributes(
        int(mode, 8) if isinstance(mode, str) else None, fields.get("owner"), fields.get("group")
    )


def make(
    one: resource.Resource, live: resource.Fields | None, seen: transport.Seen | None
) -> Sequence[transport.Step]:
    """The steps to make a resource as declared; `live` None: where nothing may be."""
    path, replace = kinds.path_of(one.id), live is not None
    attributes = attributes_of(one.fields)
    match one.id.kind:
        case kinds.LINK:
            return [transport.MakeLink(path, str(one.fields["to"]), replace)]
        case kinds.DIRECTORY if live is None:
            return [transport.MakeDirectory(path, attributes)]
        case kinds.DIRECTORY:
            if live is not None and IS in live:
                raise errors.ChangeRefused(
                    f"{path} should be a directory",
                    why=f"it is {live[IS]} now",
                    hint="move that away by hand; then the directory is made anew",
                )
            return [transport.Alter(path, attributes)]
        case kinds.BLOCK:
            return [_write_block(one, seen)]
        case _:
            if live is not None and live.get("digest") == one.fields.get("digest"):
                return [transport.Alter(path, attributes)]
            return [transport.Write(path, content_of(one), attributes, replace)]


def _write_block(one: resource.Resource, seen: transport.Seen | None) -> transport.Write:
    path = kinds.path_of(one.id)
    before = _foreign(path, seen)
    lines = text_of(content_of(one))
    after = blocks.put(before, block_name(one.id), lines, str(one.fields["comment"]))
    return _rewrite(path, after, seen)


def _foreign(path: str, seen: transport.Seen | None) -> str:
    if seen is None:
        return ""
    if seen.content is None:
        raise errors.ChangeRefused(
            f"{path} should be a file with a block in it",
            why=f"it is {seen.sort}",
            hint="declare the block in the file itself",
        )
    return text_of(seen.content)


def _rewrite(path: str, text: str, seen: transport.Seen | None) -> transport.Write:
    attributes = transport.Attributes(seen.mode if seen is not None else None)
    return transport.Write(path, text.encode("utf-8", "surrogateescape"), attributes, seen is not None)


def unmake(rid: resource.ResourceId, seen: transport.Seen | None) -> Sequence[transport.Step]:
    """The steps to take a resource away. Raises `ChangeRefused` for a directory with something in it."""
    path = kinds.path_of(rid)
    if rid.kind == kinds.BLOCK:
        return (
            [] if seen is None else [_rewrite(path, blocks.take(_foreign(path, seen), block_name(rid)), seen)]
        )
    if rid.kind == kinds.DIRECTORY and seen is not None and seen.entries:
        shown = ", ".join(seen.entries[:5]) + (" …" if len(seen.entries) > 5 else "")  # noqa: PLR2004 - a few
        raise errors.ChangeRefused(
            f"the directory {path} is not empty and stays",
            why=f"in it, and not ours: {shown}",
            hint="move that away or declare it; or set prune: false",
        )
    return [transport.Remove(path, _SORTS[rid.kind])]
