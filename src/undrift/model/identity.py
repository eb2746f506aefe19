"""How a resource is named within its target."""

from __future__ import annotations

from typing import NamedTuple


class ResourceId(NamedTuple):
    """The name of a resource within its target: unique, and the same before and after it exists."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)

    @classmethod
    def of(cls, kind: str, name: str, namespace: str = "") -> ResourceId:
        """An id whose namespace may be left out."""
        return cls(kind, namespace, name)
