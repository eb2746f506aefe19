"""One record set as it is declared, whatever the format of its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from undrift import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """Records of one type at one name. `name` is relative to the zone and ASCII ("" = the zone itself).

    `values` are in the form of zone files, with whole names; empty where a type has no such form. `data` is the
    octoDNS form, None for what stands in a zone file. `places` are where the single values stand.
    """

    zone: str
    name: str
    kind: str
    ttl: int
    values: tuple[str, ...]
    origin: errors.Origin
    data: Mapping[str, Any] | None = None
    places: tuple[errors.Origin, ...] = ()

    @property
    def fqdn(self) -> str:
        """The whole name."""
        return f"{self.name}.{self.zone}" if self.name else self.zone

    def place(self, index: int) -> errors.Origin:
        """Where a value stands."""
        return self.places[index] if index < len(self.places) else self.origin
