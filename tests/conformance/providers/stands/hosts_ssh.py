"""Hosts over SSH: the same folder as the root of a host, reached through sshd."""

from __future__ import annotations

import contextlib
import pathlib

from tests.conformance.providers import credentials, relay
from tests.conformance.providers.stands import hosts_local
from undrift.model import target
from undrift.testing import machines


class HostsSshStand(hosts_local.HostsLocalStand):
    """A folder of the machine that sshd lets us in on."""

    def __init__(self, folder: pathlib.Path, server: machines.Sshd, before: relay.Relay) -> None:
        super().__init__(folder)
        self._relay = before
        settings = {
            "root": str(self.root),
            "address": server.address,
            "port": before.port,
            "user": server.user,
            "identity": {"file": str(server.key)},
            "hostKeys": f"[{server.address}]:{before.port} {machines.public(server.host_key)}\n",
        }
        self.place = target.Target("there", "hosts", settings=settings)
        self.secrets = credentials.Credentials()
        self.planted = (server.key.read_text().splitlines()[1],)

    def away(self) -> contextlib.AbstractAsyncContextManager[None]:
        return self._relay.away()
