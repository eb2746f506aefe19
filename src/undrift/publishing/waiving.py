"""Exceptions from policies: somebody answers for a finding until a day; after it, it counts again."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence

from undrift import errors
from undrift.lib import globs
from undrift.model import delivery, publication
from undrift.publishing.checks import finding


@dataclasses.dataclass(slots=True)
class Waiving:
    """The waivers of a delivery on a day; it notes which of them were of use."""

    waivers: Sequence[delivery.Waiver]
    today: datetime.date
    used: set[int] = dataclasses.field(default_factory=set)

    def waiver_for(self, found: finding.Finding) -> delivery.Waiver | None:
        """The waiver that covers a finding. One that is out of date covers nothing, but it was meant for it."""
        for index, one in enumerate(self.waivers):
            if self._covers(one, found):
                self.used.add(index)
                if self._holds(one):
                    return one
        return None

    def expired(self) -> Iterable[errors.UndriftError]:
        """Those that are out of date."""
        for one in self.waivers:
            if not self._holds(one):
                yield errors.WaiverExpired(
                    f"the waiver of {one.owner} for {one.rule} ended on {one.until}",
                    origin=one.origin,
                    why=one.reason,
                    hint="mend what it stands for, or give it a later date",
                )

    def unused(self) -> Iterable[errors.UndriftError]:
        """Those that still hold, but cover nothing; to be asked when every stage was looked at."""
        for index, one in enumerate(self.waivers):
            if index not in self.used and self._holds(one):
                yield errors.WaiverExpired(
                    f"nothing needs the waiver of {one.owner} for {one.rule}",
                    origin=one.origin,
                    why=f"no finding of {', '.join(one.resources)}",
                    hint="remove it",
                )

    def waived(self, found: finding.Finding, by: delivery.Waiver) -> publication.Waived:
        """The finding, with who answers for it."""
        return publication.Waived(found.error, by.owner, by.until)

    def _holds(self, one: delivery.Waiver) -> bool:
        return self.today <= datetime.date.fromisoformat(one.until)

    @staticmethod
    def _covers(one: delivery.Waiver, found: finding.Finding) -> bool:
        title = found.title.casefold()
        return (
            bool(title)
            and one.rule in {found.error.code, found.rule}
            and globs.matches(title, [pattern.casefold() for pattern in one.resources])
        )
