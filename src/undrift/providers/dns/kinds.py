"""How records and zones are called."""

from __future__ import annotations

from typing import Final

from undrift.model import resource

ZONE: Final = "Zone"
MARK: Final = "_undrift"
"""The name, in a zone, of the TXT record that says whose records are in it."""
APEX: Final = "@"


def record_id(kind: str, zone: str, name: str) -> resource.ResourceId:
    """`A/example.org./www`; the zone's own name is `@`. `name` is relative to the zone, "" its own."""
    return resource.ResourceId(kind.replace("/", "."), zone, name or APEX)


def zone_id(zone: str) -> resource.ResourceId:
    """`Zone/example.org.`."""
    return resource.ResourceId(ZONE, "", zone)


def zone_of(rid: resource.ResourceId) -> str:
    """The zone that a record is in, or that is meant itself."""
    return rid.namespace or rid.name


def is_mark(name: str) -> bool:
    """Whether a name in a zone is that of our marks."""
    return name == MARK


def below(zone: str, other: str) -> str:
    """What lies between two zones ("" where the other is not below this one)."""
    return other.removesuffix(f".{zone}") if other.endswith(f".{zone}") else ""
