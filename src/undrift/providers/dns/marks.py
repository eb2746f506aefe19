"""The mark of a zone: one TXT record at `_undrift` whose values say, one an application, whose records are in the zone.

`undrift=1 agent=production application=web revision=main@sha1:4c0f…`. While several messages are on their way it also
has `from=` the revision that was applied before: then both name what is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from undrift.model import inventory
from undrift.providers.dns import kinds

_VERSION = "1"


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """One value. `earlier` is the revision before, while an apply is under way."""

    agent: str
    application: str
    revision: str
    earlier: str = ""

    def text(self) -> str:
        """As it is written into the zone."""
        more = f" from={self.earlier}" if self.earlier else ""
        return f"undrift={_VERSION} agent={self.agent} application={self.application} revision={self.revision}{more}"


def read(text: str) -> Mark | None:
    """What `Mark.text` wrote; None for anything else."""
    parts = dict(word.partition("=")[::2] for word in text.strip('"').split(" ") if "=" in word)
    if parts.get("undrift") != _VERSION or not {"agent", "application", "revision"} <= parts.keys():
        return None
    return Mark(parts["agent"], parts["application"], parts["revision"], parts.get("from", ""))


def known(zone: str, texts: Iterable[str]) -> tuple[inventory.Mark, ...]:
    """The marks of a zone as the engine knows them."""
    found: list[inventory.Mark] = []
    for one in filter(None, map(read, texts)):
        whole = inventory.Mark(one.agent, one.application, kinds.zone_id(zone), one.revision)
        found.append(dataclasses.replace(whole, pending=bool(one.earlier)))
        if one.earlier:
            found.append(dataclasses.replace(whole, revision=one.earlier))
    return tuple(found)


def is_ours(text: str, owner: inventory.Owner) -> bool:
    """Whether a value is this owner's, under its present or a former name."""
    one = read(text)
    return one is not None and owner.owns(
        inventory.Mark(one.agent, one.application, kinds.zone_id(""), one.revision)
    )


def revision(texts: Iterable[str], owner: inventory.Owner) -> str:
    """The revision that the owner's mark names; "" for none."""
    return next((one.revision for text in texts if is_ours(text, owner) and (one := read(text))), "")


def others(texts: Iterable[str], owner: inventory.Owner) -> tuple[Mark, ...]:
    """The marks of everybody else."""
    return tuple(one for text in texts if not is_ours(text, owner) and (one := read(text)) is not None)


def replaced(texts: Iterable[str], owner: inventory.Owner, mark: Mark | None) -> tuple[str, ...]:
    """The values with the owner's taken out and `mark` (if any) put in."""
    kept = tuple(text for text in texts if not is_ours(text, owner))
    return (*kept, mark.text()) if mark is not None else kept
