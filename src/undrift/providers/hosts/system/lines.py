"""One line in somebody else's file. Pure text, but for the file itself.

The line takes the place of the first one that matches, else it is appended. What stood there before is kept with the
mark, and comes back when the line is no longer declared.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, transport
from undrift.providers.hosts.system import checking, facility

_BEFORE: Final = "before"
_MATCH: Final = "match"
_NONE: Final = ""


class Lines(facility.Facility):
    """Lines in files."""

    serves = (kinds.LINE,)
    ever = frozenset(serves)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {kinds.path_of(rid): transport.Need.CONTENT for rid in ids}

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`: the line that is there for what was looked for when it was made."""
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            notes, text = told.notes.get(rid, {}), told.text(kinds.path_of(rid))
            if _MATCH in notes and text is not None:
                known[rid] = facility.Known({"line": find(text, str(notes[_MATCH])), "match": notes[_MATCH]})
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        wanted, path = order.wanted, kinds.path_of(order.wanted.id)
        match, line = str(wanted.fields["match"]), str(wanted.fields["line"])
        seen = (await host.look({path: transport.Need.CONTENT})).get(path)
        if seen is None or seen.content is None:
            raise errors.ChangeRefused(
                f"there is no file {path} to edit", hint="declare what makes it, or declare the file itself"
            )
        before = seen.content.decode("utf-8", "surrogateescape")
        after = put(before, match, line)
        if after != before:
            write = transport.Write(
                path, after.encode("utf-8", "surrogateescape"), _access(seen), replace=True
            )
            check = tuple(wanted.settings.get("check") or ())
            if check and checking.takes_path(check):
                await checking.before(host, wanted, path, write.content, check)
            await host.change([write])
            if check and not checking.takes_path(check):
                try:
                    await checking.after(host, wanted, check)
                except errors.ChangeRefused:
                    await host.change([transport.Write(path, seen.content, _access(seen), replace=True)])
                    raise
        kept = {} if _BEFORE in order.notes else {_BEFORE: find(before, match)}
        return {**kept, _MATCH: match}

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`: the former line comes back, unless somebody else has changed it since."""
        path, match = kinds.path_of(gone.id), str(gone.notes.get(_MATCH, ""))
        seen = (await host.look({path: transport.Need.CONTENT})).get(path)
        if seen is None or seen.content is None or not match:
            return
        text = seen.content.decode("utf-8", "surrogateescape")
        after = put(
            text, match, str(gone.notes.get(_BEFORE, _NONE)), exact=str(gone.fields.get("line", _NONE))
        )
        if after != text:
            content = after.encode("utf-8", "surrogateescape")
            await host.change([transport.Write(path, content, _access(seen), replace=True)])


def find(text: str, match: str) -> str:
    """The first line that matches; "" where none does."""
    pattern = re.compile(match)
    return next((line for line in text.splitlines() if pattern.search(line)), _NONE)


def put(text: str, match: str, line: str, *, exact: str | None = None) -> str:
    """The text with `line` for the first one that matches ("": without any that match); appended where none does.

    With `exact` only that very line is replaced, and nothing is appended but in the place of nothing.
    """
    pattern = re.compile(match)
    lines = text.splitlines(keepends=True)
    found = [index for index, each in enumerate(lines) if pattern.search(each.rstrip("\r\n"))]
    if exact is not None:
        found = [index for index in found if lines[index].rstrip("\r\n") == exact][:1]
        if not found and (exact or not line):
            return text
    if not line:
        return "".join(each for index, each in enumerate(lines) if index not in set(found))
    if found:
        lines[found[0]] = f"{line}\n"
        return "".join(lines)
    gap = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{gap}{line}\n"


def _access(seen: transport.Seen) -> transport.Attributes:
    return transport.Attributes(seen.mode, seen.owner, seen.group)


def exactly(line: str) -> str:
    """The expression that matches this line and no other."""
    return f"^{re.escape(line)}$"
