"""Hosts over SSH for benchmarks: booted machines, an application of small files on each, and other tools that do the same.

pyinfra and Ansible are run as programs from an environment of their own (`rivals`), over the same SSH to the same host.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from undrift import interfaces
from undrift.engine import reconciling, rendering, settling
from undrift.lib import canonical
from undrift.model import application, record, source, target, view
from undrift.providers.hosts import provider
from undrift.renderers import plain
from undrift.testing import machines, memory

PYINFRA, ANSIBLE = "3.10.0", "2.19.14"
FOLDER = "/etc/fleet"
_PYINFRA = """
import glob, io, os, sys, time
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.context import ctx_state
from pyinfra.operations import files
address, key, known, source, target, apply = sys.argv[1:]
data = {"ssh_user": "root", "ssh_key": key, "ssh_known_hosts_file": known, "ssh_strict_host_key_checking": "yes",
        "ssh_look_for_keys": False, "ssh_allow_agent": False}
begun = time.perf_counter()
state = State(Inventory(([(address, data)], {})), Config(CONNECT_TIMEOUT=10), check_for_changes=True)
with ctx_state.use(state):
    connect_all(state)
    add_op(state, files.directory, path=target, mode="755")
    for path in sorted(glob.glob(source + "/*")):
        add_op(state, files.put, src=path, dest=f"{target}/{os.path.basename(path)}", mode="644", create_remote_dir=False)
    if apply == "yes":
        run_ops(state)
    disconnect_all(state)
print(time.perf_counter() - begun)
"""
_PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - file: {path: "{{ target }}", state: directory, mode: "0755"}
    - copy: {src: "{{ item }}", dest: "{{ target }}/{{ item | basename }}", mode: "0644"}
      loop: "{{ query('fileglob', source + '/*') | sort }}"
"""


class Files:
    """A source with one commit."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = {name: source.File(text.encode()) for name, text in files.items()}

    async def resolve(self) -> source.Revision:
        """The only revision."""
        return source.Revision("main", "sha1:1", author="Ada <ada@example.org>")

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """Always the same."""
        return dict.fromkeys(paths, canonical.digest("1"))

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """All files."""
        return source.Artifact(revision, path, canonical.digest("1"), self.files)

    async def close(self) -> None:
        """Nothing is open."""


class Secrets:
    """Credentials in files."""

    async def resolve(self, credential: source.Credential) -> str:
        """The content of the file."""
        return await asyncio.to_thread(pathlib.Path(credential.file).read_text)


class Server:
    """One application with small files on one host, as an agent keeps it."""

    def __init__(self, machine: machines.Machine, count: int, hosts: provider.HostsProvider) -> None:
        rows = "".join(
            f"    - {{path: {FOLDER}/f{n:03}.conf, content: {json.dumps(content(n))}}}\n"
            for n in range(count)
        )
        text = f"apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  files:\n{rows}"
        self.source = Files({"host.yaml": text})
        self.database = memory.MemoryDatabase()
        self.provider = hosts
        self.session: interfaces.Session | None = None
        self._cache: rendering.Cache = {}
        self.target = target.Target(
            machine.name,
            "hosts",
            settings={
                "address": machine.address,
                "identity": {"file": str(machine.key)},
                "hostKeys": machine.known_hosts,
            },
        )

    async def reconcile(self) -> record.Reconciliation:
        """As the agent does it; a session is opened where there is none."""
        if self.session is None:
            self.session = await self.provider.connect(self.target, Secrets())
        policy = application.Policy(health_timeout=30.0)
        reference = application.SourceReference("config", "site")
        declared = application.Application("site", reference, self.target.name, policy=policy)
        subject = reconciling.Subject(
            application=declared,
            config_digest="1",
            memory=await self.database.recall("site"),
            surroundings=view.Surroundings(),
        )
        lease = (await self.database.acquire(["site"], "agent", 60))["site"]
        around = reconciling.World(
            agent="agent",
            source=self.source,
            renderer=plain.PlainRenderer(),
            provider=self.provider,
            target=self.target,
            session=self.session,
            database=self.database,
            lease=lease,
            cache=self._cache,
            key=b"k" * 32,
            version="1",
        )
        told = await reconciling.reconcile(subject, around, "r1")
        await self.database.settle(lease, "site", functools.partial(settling.settle, told))
        return told

    async def expect(self, ending: record.Ending) -> float:
        """Seconds of a reconcile that has to end so."""
        begun = time.perf_counter()
        told = await self.reconcile()
        took = time.perf_counter() - begun
        if told.ending is not ending:
            raise RuntimeError(f"{told.ending} instead of {ending}: {told.failure}")
        return took

    async def close(self) -> None:
        """Hang up."""
        if self.session is not None:
            await self.session.close()
            self.session = None


def content(number: int) -> str:
    """What is in a file."""
    return f"# {number}\n" + "".join(f"option_{n} = value of {number}\n" for n in range(5))


@contextlib.contextmanager
def booted(count: int) -> Iterator[list[machines.Machine]]:
    """So many machines."""
    base = machines.find()
    if base is None or machines.missing():
        sys.exit(f"no machine can be booted here: {machines.missing()}")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="undrift-bench-")))
        yield [
            stack.enter_context(machines.Machine(folder / f"host{n}", base, f"host{n}")) for n in range(count)
        ]


class Rivals:
    """pyinfra and Ansible on the same host."""

    def __init__(self, machine: machines.Machine, folder: pathlib.Path, count: int) -> None:
        self._machine = machine
        self._folder = folder
        self._python = machines.ROOT / "rivals/bin/python"
        if not self._python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(machines.ROOT / "rivals")], check=True)
            wanted = [f"pyinfra=={PYINFRA}", f"ansible-core=={ANSIBLE}"]
            subprocess.run([str(self._python), "-m", "pip", "install", "-q", *wanted], check=True)
        (folder / "files").mkdir()
        for n in range(count):
            (folder / "files" / f"f{n:03}.conf").write_text(content(n))
        (folder / "known_hosts").write_text(machine.known_hosts)
        (folder / "site.yml").write_text(_PLAYBOOK)

    def pyinfra(self, place: str, *, apply: bool) -> float:
        """Seconds that pyinfra says."""
        words = [self._machine.address, str(self._machine.key), str(self._folder / "known_hosts")]
        command = [
            str(self._python),
            "-c",
            _PYINFRA,
            *words,
            str(self._folder / "files"),
            place,
            "yes" if apply else "no",
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1])

    def ansible(self, place: str, *, apply: bool) -> float:
        """Seconds of an `ansible-playbook` with pipelining."""
        playbook = self._python.with_name("ansible-playbook")
        options = f"-o UserKnownHostsFile={self._folder / 'known_hosts'} -o ControlMaster=auto -o ControlPersist=60s"
        said: dict[str, Any] = {"source": str(self._folder / "files"), "target": place}
        command = [
            str(playbook), "-i", f"{self._machine.address},", "-u", "root", "--private-key", str(self._machine.key),
            f"--ssh-common-args={options}", "-e", json.dumps(said), *([] if apply else ["--check"]),
            str(self._folder / "site.yml"),
        ]  # fmt: skip
        environment = {
            "PATH": machines.PATH,
            "HOME": str(self._folder),
            "ANSIBLE_PIPELINING": "True",
            "LC_ALL": "C.UTF-8",
        }
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - begun
