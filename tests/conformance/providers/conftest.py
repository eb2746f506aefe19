"""A stand of each layer, against its real peer."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest

from tests import nameservers, peers, planes
from tests.conformance.providers import relay
from tests.conformance.providers.stands import dns, hosts_local, hosts_ssh, kubernetes
from undrift.testing import control_plane, machines
from undrift.testing.conformance import stand, suite

LAYERS = ("hosts_local", "hosts_ssh", "kubernetes", "dns")
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def plane() -> Iterator[control_plane.ControlPlane]:
    """One cluster for all of these tests that a worker runs."""
    with planes.started() as made:
        yield made


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[machines.Sshd]:
    """An sshd on loopback: its host is this machine, and its user is us."""
    peers.require_peer("sshd")
    peers.require_peer("ssh-keygen")
    with machines.Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nameservers.NameServer]:
    """A BIND with a zone for each law."""
    peers.require_peer("named")
    zones = [f"law{number}.test" for number in range(len(suite.LAWS))]
    with nameservers.bind(tmp_path_factory.mktemp("bind"), *zones) as server:
        yield server


@pytest.fixture(params=LAYERS)
async def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> AsyncIterator[stand.Stand]:
    """Somewhere of that kind to work, fresh."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "hosts_local":
            yield hosts_local.HostsLocalStand(tmp_path)
        elif request.param == "hosts_ssh":
            server: machines.Sshd = request.getfixturevalue("sshd")
            yield hosts_ssh.HostsSshStand(tmp_path, server, await _before(server.port, stack))
        elif request.param == "kubernetes":
            cluster: control_plane.ControlPlane = request.getfixturevalue("plane")
            made = kubernetes.KubernetesStand(tmp_path, cluster, await _before(cluster.port, stack))
            stack.callback(made.close)
            yield made
        else:
            found: nameservers.NameServer = request.getfixturevalue("names")
            yield dns.DnsStand(found, f"law{next(_NUMBERS)}.test")


async def _before(port: int, stack: contextlib.AsyncExitStack) -> relay.Relay:
    made = relay.Relay(port)
    await made.start()
    stack.push_async_callback(made.stop)
    return made
