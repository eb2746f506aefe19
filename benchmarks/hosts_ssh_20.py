"""hosts-ssh-20: 20 hosts over SSH with 50 small files each, nothing to do on any, all at once and from no connection.

The floor is 20 bare connections with one command each.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from benchmarks import figures, hosts_ssh_noop, servers
from undrift.model import record
from undrift.providers.hosts import provider
from undrift.testing import machines

HOSTS, COUNT, ROUNDS = 20, 50, 3


async def measure(fleet: list[machines.Machine]) -> tuple[float, float, float]:
    """Seconds: from no connection, over those that are kept, and of the floor."""
    hosts = provider.HostsProvider()
    made = [servers.Server(machine, COUNT, hosts) for machine in fleet]
    await asyncio.gather(*(server.expect(record.Ending.APPLIED) for server in made))
    cold, kept, floor = list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        await asyncio.gather(*(server.close() for server in made))
        for found in (cold, kept):
            begun = time.perf_counter()
            await asyncio.gather(*(server.expect(record.Ending.IN_SYNC) for server in made))
            found.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await asyncio.gather(*(hosts_ssh_noop.bare(machine) for machine in fleet))
        floor.append(time.perf_counter() - begun)
    await asyncio.gather(*(server.close() for server in made))
    return statistics.median(cold), statistics.median(kept), statistics.median(floor)


def main() -> None:
    """Print the figures."""
    with servers.booted(HOSTS) as fleet:
        cold, kept, floor = asyncio.run(measure(fleet))
    print(f"over connections that an agent keeps: {kept:.3f} s")
    figures.tell("hosts-ssh-20", cold, "s", floor)


if __name__ == "__main__":
    main()
