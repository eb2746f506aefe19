"""What fields a kind has, from the live cluster's own OpenAPI documents: unknown ones are found before anything is touched.

A group's document is read when the first of its kinds is needed, and only the shapes of what is used are kept.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.providers.kubernetes import client, shapes

_MOST: Final = 50


class Schemas:
    """The shapes of one cluster's kinds, by `apiVersion` and kind."""

    def __init__(self, api: client.Client) -> None:
        self._api = api
        self._shapes: dict[tuple[str, str], shapes.Shape | None] = {}
        self._places: Mapping[str, str] | None = None
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """A definition came, changed or went."""
        self._shapes.clear()
        self._places = None

    async def learn(self, wanted: Collection[tuple[str, str]]) -> None:
        """Read the shapes of kinds that are not known yet. What cannot be read is not checked; never raises."""
        if all(one in self._shapes for one in wanted):
            return
        async with self._lock:
            missing = [one for one in wanted if one not in self._shapes]
            try:
                for version in sorted({version for version, _ in missing}):
                    await self._read(version, {kind for each, kind in missing if each == version})
            except errors.UndriftError:
                return

    async def _read(self, version: str, wanted: Collection[str]) -> None:
        if self._places is None:
            listed = await self._api.get("/openapi/v3")
            self._places = {name: str(one["serverRelativeURL"]) for name, one in listed["paths"].items()}
        place = self._places.get(f"apis/{version}" if "/" in version else f"api/{version}")
        document = await self._api.get(place) if place else {}
        made = shapes.Maker(
            document.get("components", {}).get("schemas", {}) if isinstance(document, Mapping) else {}
        )
        for kind in wanted:
            self._shapes[version, kind] = made.of_kind(version, kind)

    def check(self, data: Mapping[str, Any]) -> Iterator[shapes.Finding]:
        """What of an object no API server would take, as far as its kind is known."""
        shape = self._shapes.get((str(data.get("apiVersion")), str(data.get("kind"))))
        if shape is None:
            return
        yield from itertools.islice(shapes.check(data, shape), _MOST)
