"""A change as text for people: unified diffs of files, sizes and digests of binaries, secrets masked."""

from __future__ import annotations

from typing import Final

from undrift import errors
from undrift.lib import textdiff
from undrift.model import plan, resource, secret
from undrift.providers.hosts import blocks, kinds, shaping, transport
from undrift.providers.hosts.system import facilities

_LONGEST: Final = 1 << 20
_SECRET: Final = "*** (secret, changed)\n"  # noqa: S105 - what stands there instead
_WITH_TEXT: Final = frozenset({kinds.FILE, kinds.BLOCK, kinds.UNIT, kinds.DROP_IN, kinds.SUDOERS})


async def describe(change: plan.Change, host: transport.Transport) -> str:
    """The change as a diff; "" where its fields say it all. Reads, never raises."""
    if change.id.kind not in _WITH_TEXT or change.action in {plan.Action.MARK, plan.Action.RELEASE}:
        return ""
    if change.desired is not None and "content" not in change.desired.settings:
        return ""
    if _is_secret(change):
        return _SECRET if _changes_content(change) else ""
    if not _changes_content(change):
        return ""
    after = shaping.content_of(change.desired) if change.desired is not None else None
    try:
        before = await _before(change.live.id, host) if change.live is not None else None
    except errors.UndriftError as error:
        return f"(what is there cannot be read: {error.what})\n"
    if isinstance(before, int):
        return f"{before} bytes → {'absent' if after is None else f'{len(after)} bytes'}\n"
    return textdiff.unified(before, after, change.id.name.lstrip("/"))


def _is_secret(change: plan.Change) -> bool:
    sides = (change.desired, change.live)
    return any(isinstance(one.fields.get("digest"), secret.Secret) for one in sides if one is not None)


def _changes_content(change: plan.Change) -> bool:
    if change.desired is None or change.live is None:
        return True
    return change.desired.fields.get("digest") != change.live.fields.get("digest")


async def _before(rid: resource.ResourceId, host: transport.Transport) -> bytes | int | None:
    """What is there now: content, its size where it is too long to show, None where there is none."""
    path = kinds.path_of(rid) or facilities.SERVING[rid.kind].path_of(rid)
    seen = (await host.look({path: transport.Need.NOTHING})).get(path)
    if seen is None or seen.sort is not transport.Sort.FILE:
        return None
    if seen.size > _LONGEST:
        return seen.size
    content = (await host.look({path: transport.Need.CONTENT}))[path].content
    if rid.kind != kinds.BLOCK or content is None:
        return content
    found = blocks.find(shaping.text_of(content), shaping.block_name(rid))
    return None if found is None else found.lines.encode("utf-8", "surrogateescape")
