"""PowerDNS through its API: octoDNS' provider, with serials, and zones that can be made and removed."""

from __future__ import annotations

import dataclasses
from typing import Any

from undrift.providers.dns import anyone, seeing

_CLASS = "octodns_powerdns.PowerDnsProvider"
_NOT_FOUND = 404


class PowerDnsServer(anyone.AnyServer):
    """Implements `server.Server`."""

    tells_serials = True
    makes_zones = True

    def _class(self) -> str:
        return _CLASS

    def serial(self, zone: str) -> int | None:
        """See `server.Server`: the zone without its records."""
        found = self._asked(lambda: self._zone(zone), f"asking for the serial of {zone}")
        return int(found["serial"]) if found is not None else None

    def _zone(self, zone: str) -> Any:
        session, own = self.provider._sess, self.provider  # noqa: SLF001 - what it is signed in with
        url = f"{own.scheme}://{own.host}:{own.port}/api/v1/servers/{own.server_id}/zones/{zone}"
        answer = session.get(url, params={"rrsets": "false"}, timeout=self._given.timeout)
        if answer.status_code == _NOT_FOUND:
            return None
        answer.raise_for_status()
        return answer.json()

    def look(self, zone: str, known: seeing.Seen | None, *, whole: bool) -> seeing.Seen:
        """See `server.Server`: the serial first."""
        serial = self.serial(zone)
        if serial is None:
            return seeing.nothing(zone)
        if known is not None and known.exists and not whole and known.serial == serial:
            return known
        return dataclasses.replace(super().look(zone, None, whole=True), serial=serial)

    def delete(self, zone: str) -> None:
        """See `server.Server`."""
        request = self.provider._request  # noqa: SLF001 - it has no other way
        self._asked(lambda: request("DELETE", f"zones/{zone}"), f"removing {zone}")
