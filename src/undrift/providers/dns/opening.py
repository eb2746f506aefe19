"""Name servers of targets, opened once and shared by all sessions; and the last look at each of their zones."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from undrift import errors, interfaces
from undrift.model import resource, target
from undrift.providers.dns import anyone, planner, powerdns, rfc2136, seeing, server, settings


class Opened:
    """One target: its server, its processors, what was seen of its zones.

    `expected` are records that were changed and that not every name server answers with yet (None: gone).
    """

    def __init__(self, given: settings.Settings, arguments: Mapping[str, Any]) -> None:
        self.settings = given
        self.server = _server(given, arguments)
        self.processors = planner.processors(given)
        self.expected: dict[resource.ResourceId, resource.Fields | None] = {}
        self._seen: dict[str, seeing.Seen] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def seen(self, zone: str) -> seeing.Seen | None:
        """The last look at a zone."""
        return self._seen.get(zone)

    async def look(self, zone: str, *, whole: bool = False) -> seeing.Seen:
        """A zone as it is now. Raises a `TargetError`."""
        async with self._locks[zone]:
            known = self._seen.get(zone)
            stale = known is not None and time.monotonic() - known.at > self.settings.transfer_every
            found = await asyncio.to_thread(self.server.look, zone, known, whole=whole or stale)
            self._seen[zone] = found
            return found

    def watched(self) -> tuple[str, ...]:
        """The zones that were looked at."""
        return tuple(self._seen)

    def forget(self, zone: str) -> None:
        """The next look transfers everything."""
        self._seen.pop(zone, None)

    def zones(self, ids: Collection[resource.ResourceId]) -> tuple[str, ...]:
        """The zones that ids are in, and those that are named in the settings."""
        return tuple(sorted({rid.namespace or rid.name for rid in ids} | self.settings.zones.keys()))


async def opened(place: target.Target, secrets: interfaces.SecretResolver) -> Opened:
    """Open a target. Raises `ConfigInvalid`, `CredentialMissing`, `TargetUnavailable`."""
    given = settings.read(place)
    arguments = dict(given.options)
    for name, credential in given.secrets.items():
        arguments[name] = (await secrets.resolve(credential)).strip()
    try:
        return await asyncio.to_thread(Opened, given, arguments)
    except errors.ConfigError as error:
        error.origin = error.origin or place.origin
        raise


def _server(given: settings.Settings, arguments: Mapping[str, Any]) -> server.Server:
    if given.provider == settings.RFC2136:
        return rfc2136.Rfc2136Server(given, arguments)
    if given.provider == settings.POWERDNS:
        return powerdns.PowerDnsServer(given, arguments)
    return anyone.AnyServer(given, arguments)
