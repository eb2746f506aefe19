"""hosts-ssh-full: 200 small files are made on one host over SSH, with marks before and after, and looked at again.

The floor is the same connection and one tar stream. pyinfra and Ansible make the same files beside it.
"""

from __future__ import annotations

import asyncio
import io
import pathlib
import statistics
import tarfile
import tempfile
import time

import asyncssh

from benchmarks import figures, servers
from undrift.model import record
from undrift.providers.hosts import provider
from undrift.testing import machines

COUNT = 200
ROUNDS = 3


def packed() -> bytes:
    """All files as one archive."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as archive:
        for number in range(COUNT):
            text = servers.content(number).encode()
            entry = tarfile.TarInfo(f"f{number:03}.conf")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return found.getvalue()


async def bare(machine: machines.Machine) -> float:
    """Seconds of a connection and of one archive that is unpacked."""
    begun = time.perf_counter()
    trusted = asyncssh.import_known_hosts(machine.known_hosts)
    async with asyncssh.connect(
        machine.address, username="root", client_keys=[str(machine.key)], known_hosts=trusted, config=[]
    ) as connection:
        command = "mkdir -p /etc/bare && tar -x -C /etc/bare"
        await connection.run(command, check=True, input=packed(), encoding=None)
    return time.perf_counter() - begun


async def measure(machine: machines.Machine) -> tuple[float, float]:
    """Seconds from no connection, and of the floor."""
    full, floor = [], []
    for _ in range(ROUNDS):
        machine.run("rm", "-rf", servers.FOLDER, "/etc/bare", "/var/lib/undrift")
        server = servers.Server(machine, COUNT, provider.HostsProvider())
        full.append(await server.expect(record.Ending.APPLIED))
        await server.close()
        floor.append(await bare(machine))
    return statistics.median(full), statistics.median(floor)


def main() -> None:
    """Print the figures."""
    with servers.booted(1) as (machine,), tempfile.TemporaryDirectory() as folder:
        full, floor = asyncio.run(measure(machine))
        rivals = servers.Rivals(machine, pathlib.Path(folder), COUNT)
        print(f"pyinfra {servers.PYINFRA}, files.put: {rivals.pyinfra('/etc/pyinfra', apply=True):.1f} s")
        print(
            f"ansible-core {servers.ANSIBLE}, copy: {rivals.ansible('/etc/ansible-made', apply=True):.1f} s"
        )
    figures.tell("hosts-ssh-full", full, "s", floor)


if __name__ == "__main__":
    main()
