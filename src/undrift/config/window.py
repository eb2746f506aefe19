"""A span of the week, as documents write it: what applications and stages share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import pydantic

from undrift.config import fields, part

if TYPE_CHECKING:
    from undrift.model import application

Days = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: Final = {
    name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 1)
}


class WindowPart(part.Part):
    """A span of the week in which changes are allowed, or denied."""

    kind: Literal["allow", "deny"] = part.said("Whether changes are allowed or denied while it is open.")
    days: Annotated[tuple[Days, ...], pydantic.Field(min_length=1)] = part.said(
        "The days on which it opens; left out, every day.",
        default=("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    )
    start: fields.Minute = part.said('When it opens, on the clock of `zone`: "22:00".', alias="from")
    end: fields.Minute = part.said(
        'When it closes; not after `from` means on the next day: "06:00".', alias="to"
    )
    zone: fields.Zone = part.said("The IANA time zone whose clock is meant: Europe/Zurich.", default="UTC")


def to_window(found: WindowPart) -> application.Window:
    """A span of time."""
    from undrift.model import application  # noqa: PLC0415 - for documents that have windows

    kind = application.WindowKind(found.kind)
    return application.Window(
        kind, frozenset(_DAYS[day] for day in found.days), found.start, found.end, found.zone
    )
