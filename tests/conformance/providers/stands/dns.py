"""DNS: a thing is a TXT record, in a zone of the law's own on a real BIND."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Mapping

import dns.query
import dns.tsigkeyring
import dns.zone

from tests import nameservers, peers
from tests.conformance.providers import credentials
from undrift import interfaces
from undrift.model import resource, target
from undrift.providers.dns import kinds, provider
from undrift.testing.conformance import stand

_GRANT = "grant undrift zonesub ANY;"


class DnsStand(stand.Stand):
    """One zone of a name server that has one for each law."""

    field = "values.0"

    def __init__(self, server: nameservers.NameServer, zone: str) -> None:
        self._server = server
        self._zone = zone
        self.place = target.Target("names", "dns", settings={**server.settings, "timeout": "3s"})
        self.secrets = credentials.Credentials({"DNS_KEY": server.key})
        self.planted = (server.key,)

    def provider(self) -> interfaces.Provider:
        return provider.DnsProvider()

    def files(self, things: Mapping[str, str], application: str) -> Mapping[str, str]:
        rows = [f"{name}: {{type: TXT, ttl: 60, value: {value}}}\n" for name, value in things.items()]
        return {f"{self._zone}.yaml": "".join(rows)}

    def id(self, thing: str, application: str) -> resource.ResourceId:
        return kinds.record_id("TXT", f"{self._zone}.", thing)

    async def read(self, application: str) -> Mapping[str, str]:
        found = await asyncio.to_thread(self._transfer)
        return {
            str(name): str(rdata).strip('"')
            for name, _, rdata in found.iterate_rdatas("TXT")
            if str(name) != kinds.MARK
        }

    def _transfer(self) -> dns.zone.Zone:
        keys = dns.tsigkeyring.from_text({"undrift": self._server.key})
        messages = dns.query.xfr(
            "127.0.0.1",
            self._zone,
            port=self._server.port,
            keyring=keys,
            keyalgorithm="hmac-sha256",
            lifetime=10,
        )
        return dns.zone.from_xfr(messages)

    async def put(self, thing: str, value: str, application: str) -> None:
        step = ("replace", thing, "60", "TXT", f'"{value}"')
        await asyncio.to_thread(self._server.update, f"{self._zone}.", step)

    async def remove(self, thing: str, application: str) -> None:
        await asyncio.to_thread(self._server.update, f"{self._zone}.", ("delete", thing, "TXT"))

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._server.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(self._server.start)

    @contextlib.asynccontextmanager
    async def refusing(self, thing: str, application: str) -> AsyncIterator[None]:
        deny = f"deny undrift name {thing}.{self._zone}. ANY; {_GRANT}"
        await asyncio.to_thread(self._configure, _GRANT, deny)
        try:
            yield
        finally:
            await asyncio.to_thread(self._configure, deny, _GRANT)

    def _configure(self, before: str, after: str) -> None:
        path = self._server.folder / "named.conf"
        lines = path.read_text().splitlines(keepends=True)
        mine = f'zone "{self._zone}" '
        path.write_text("".join(line.replace(before, after) if mine in line else line for line in lines))
        rndc = [str(peers.require_peer("rndc")), "-c", str(self._server.folder / "rndc.conf")]
        subprocess.run([*rndc, "reconfig"], check=True, capture_output=True, timeout=20)
