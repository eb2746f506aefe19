"""hosts-ssh-noop: 200 small files on one host over SSH, nothing to do: from no connection at all to the word that all is well.

The floor is the same connection and one command that reads all of the files. pyinfra and Ansible do the same beside it.
"""

from __future__ import annotations

import asyncio
import pathlib
import statistics
import tempfile
import time

import asyncssh

from benchmarks import figures, servers
from undrift.model import record
from undrift.providers.hosts import provider
from undrift.testing import machines

COUNT = 200
ROUNDS = 5


async def bare(machine: machines.Machine) -> float:
    """Seconds of a connection and of one command that digests all files."""
    begun = time.perf_counter()
    trusted = asyncssh.import_known_hosts(machine.known_hosts)
    async with asyncssh.connect(
        machine.address, username="root", client_keys=[str(machine.key)], known_hosts=trusted, config=[]
    ) as connection:
        await connection.run(f"stat -c %f {servers.FOLDER}/*; sha256sum {servers.FOLDER}/*", check=True)
    return time.perf_counter() - begun


async def measure(machine: machines.Machine) -> tuple[float, float, float]:
    """Seconds: from no connection, over one that is kept, and of the floor."""
    server = servers.Server(machine, COUNT, provider.HostsProvider())
    await server.expect(record.Ending.APPLIED)
    kept = [await server.expect(record.Ending.IN_SYNC) for _ in range(ROUNDS)]
    cold, floor = [], []
    for _ in range(ROUNDS):
        await server.close()
        cold.append(await server.expect(record.Ending.IN_SYNC))
        floor.append(await bare(machine))
    await server.close()
    return statistics.median(cold), statistics.median(kept), statistics.median(floor)


def main() -> None:
    """Print the figures."""
    with servers.booted(1) as (machine,), tempfile.TemporaryDirectory() as folder:
        cold, kept, floor = asyncio.run(measure(machine))
        print(f"over the connection that an agent keeps: {kept:.3f} s")
        rivals = servers.Rivals(machine, pathlib.Path(folder), COUNT)
        print(
            f"pyinfra {servers.PYINFRA}, files.put, plan only: {rivals.pyinfra(servers.FOLDER, apply=False):.1f} s"
        )
        print(
            f"ansible-core {servers.ANSIBLE}, copy, --check: {rivals.ansible(servers.FOLDER, apply=False):.1f} s"
        )
    figures.tell("hosts-ssh-noop", cold, "s", floor)


if __name__ == "__main__":
    main()
