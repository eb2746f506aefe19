"""A host over SSH on a bad day: the connection breaks anywhere, the host goes down, others write there too."""

import asyncio
import contextlib
import json
import pathlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests import machines as hosts
from tests.integration.providers import world
from undrift import errors
from undrift.model import record
from undrift.providers.hosts import transport
from undrift.providers.hosts.ssh import connecting
from undrift.testing import machines


@pytest.fixture(scope="module")
def machine() -> Iterator[machines.Machine]:
    with hosts.booted("storm") as made:
        yield made


def files(content: dict[str, str], more: str = "") -> dict[str, str]:
    rows = "".join(f"    - {{path: {path}, content: {json.dumps(text)}}}\n" for path, text in content.items())
    return {"host.yaml": world.manifest(f"  files:\n{rows}{more}")}


class Cutter:
    """A cable between us and an sshd that breaks after so many bytes to it, once."""

    def __init__(self, server: machines.Sshd | machines.Machine) -> None:
        self._server = server
        self.port = 0
        self.after: int | None = None
        self.passed = 0
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def plugged(self) -> AsyncIterator["Cutter"]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def settings(self, user: str, **more: Any) -> dict[str, Any]:
        """A Target that is reached through it."""
        key = machines.public(self._server.host_key)
        return {
            **hosts.settings(self._server, user, **more),
            "address": "127.0.0.1",
            "port": self.port,
            "hostKeys": f"* {key}\n",
        }

    def arm(self, after: int) -> None:
        """Break once so many bytes went to the host from now on."""
        self.passed, self.after = 0, after

    def is_armed(self) -> bool:
        """Whether it has not broken yet."""
        return self.after is not None

    def cut(self) -> None:
        """Break all connections now."""
        for stream in list(self._streams):
            stream.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._server.address, self._server.port)
        self._streams |= {writer, back}
        for source, sink, counts in ((reader, back, True), (there, writer, False)):
            task = asyncio.create_task(self._carry(source, sink, counts=counts))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(1 << 16):
                if counts:
                    self.passed += len(chunk)
                    if self.after is not None and self.passed > self.after:
                        self.after = None
                        self.cut()
                        break
                sink.write(chunk)
                await sink.drain()
        sink.transport.abort()
        self._streams.discard(sink)


def wait_for(path: pathlib.Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.005)


def whole(root: pathlib.Path) -> dict[str, str]:
    """Every file below a root, but our own records."""
    found = (
        path for path in root.rglob("*") if path.is_file() and ".undrift/" not in f"{path.relative_to(root)}/"
    )
    return {f"/{path.relative_to(root)}": path.read_text() for path in found}


async def test_a_connection_that_breaks_anywhere_costs_time_and_nothing_else(
    sshd: machines.Sshd, tmp_path: pathlib.Path
) -> None:
    """Whatever came through until then: files are whole, ours stay ours, and the next time it converges.

    The way goes from nothing over an update to a prune; it is cut at a dozen places of it.
    """
    first = files({"/a/one": "1", "/a/two": "2" * 3000, "/b": "b"})
    second = files({"/a/one": "changed", "/b": "b", "/c": "x" * 300_000})
    policy = {"deletion_limit": world.UNLIMITED}
    cut_at, told = 0, None
    async with Cutter(sshd).plugged() as cable:
        for number in range(12):
            root = tmp_path / str(number)
            root.mkdir()
            made = world.World(root, cable.settings(sshd.user))
            cable.arm(cut_at)
            for content in (first, second):
                made.commit(content)
                for _ in range(4):
                    try:
                        told = await made.reconcile(policy=policy)
                    except errors.TargetUnavailable:
                        continue
                    if told.ending in {record.Ending.APPLIED, record.Ending.IN_SYNC}:
                        break
                    assert told.failure is not None
                    assert errors.waiting_helps(told.failure.error), told.failure
                    for text in whole(root).values():
                        assert text in {"1", "2" * 3000, "b", "changed", "x" * 300_000}, "half a file"
                assert told is not None
                assert told.failure is None, told.failure
            assert whole(root) == {"/a/one": "changed", "/b": "b", "/c": "x" * 300_000}
            assert not [path for path in root.rglob("*.undrift") if path != root / ".undrift"]
            assert (await made.reconcile()).ending is record.Ending.IN_SYNC
            await made.close()
            if cable.is_armed():
                break
            cut_at += 4_300 if cut_at < 35_000 else 70_000
    assert number > 6, "it was cut too seldom"


async def test_nothing_to_do_is_one_command_whatever_the_number_of_files(
    sshd: machines.Sshd, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.World(tmp_path, hosts.settings(sshd, sshd.user))
    made.commit(files({f"/tree/{n % 20}/{n}": str(n) for n in range(200)}))
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    sent: list[bytes] = []
    real = connecting.Connection.send

    async def counted(self: connecting.Connection, request: bytes, timeout: float) -> connecting.Spoken:
        sent.append(request)
        return await real(self, request, timeout)

    monkeypatch.setattr(connecting.Connection, "send", counted)

    assert (await made.reconcile()).ending is record.Ending.IN_SYNC

    assert len(sent) == 1
    await made.close()


async def test_a_host_that_goes_down_in_the_middle_is_caught_up(machine: machines.Machine) -> None:
    """The power goes while it applies; when it is back, what was begun is ours and is finished."""
    made = world.World(
        pathlib.Path("/"), hosts.settings(machine, state="/var/lib/undrift/down", connectTimeout=5)
    )
    made.commit(files({f"/srv/down/{n}": str(n) for n in range(40)}))
    await made.connect()
    work = asyncio.create_task(made.reconcile())
    marks = machine.root / "var/lib/undrift/down/@agent"
    await asyncio.to_thread(wait_for, marks)
    await asyncio.to_thread(machine.switch_off)
    told = await work
    assert told.failure is not None
    assert errors.waiting_helps(told.failure.error)
    assert (await made.reconcile()).failure is not None, "it is off"
    await asyncio.to_thread(machine.boot)

    told = await made.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert len(list((machine.root / "srv/down").iterdir())) == 40
    assert (await made.reconcile()).ending is record.Ending.IN_SYNC
    await made.close()


async def test_a_cable_that_is_pulled_is_noticed(machine: machines.Machine) -> None:
    """Nothing says that the host is away but its silence."""
    made = world.World(pathlib.Path("/opt"), hosts.settings(machine, root="/opt", connectTimeout=2))
    made.commit(files({"/note": "x"}))
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    with machine.unplugged():
        async with asyncio.timeout(40):
            told = await made.reconcile()
        assert told.failure is not None
        assert told.failure.error.parts[0].code == "UD501"
    assert (await made.reconcile()).ending is record.Ending.IN_SYNC
    await made.close()


@pytest.mark.parametrize("mount", ["size=32k", "ro"])
async def test_a_full_or_read_only_disk_over_there(machine: machines.Machine, mount: str) -> None:
    place = "/srv/full" if mount != "ro" else "/srv/locked"
    machine.run("mkdir", "-p", place)
    machine.run("mount", "-t", "tmpfs", "-o", mount, "tmpfs", place)
    state = f"/var/lib/undrift/{mount[:2]}"
    made = world.World(pathlib.Path("/"), hosts.settings(machine, state=state))
    made.commit(files({f"{place}/small": "s", f"{place}/large": "l" * 100_000}))

    told = await made.reconcile()

    assert told.failure is not None
    error = told.failure.error.parts[0]
    assert error.code == ("UD502" if mount == "ro" else "UD508"), (error.what, error.why)
    assert ("read-only" in error.hint) is (mount == "ro")
    left = machine.shell('find "$1" -type f', place).split()
    assert set(left) <= {f"{place}/small"}, "nothing half"
    machine.run("umount", place)
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    await made.close()


async def test_marks_that_cannot_be_written_stop_before_anything_is_changed(
    machine: machines.Machine,
) -> None:
    state = "/var/lib/undrift-ro"
    made = world.World(pathlib.Path("/"), hosts.settings(machine, state=state))
    await made.connect()
    machine.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", state)
    made.commit(files({"/srv/unmarked": "x"}))

    told = await made.reconcile()

    assert told.failure is not None
    assert told.failure.error.parts[0].code == "UD502"
    assert not (machine.root / "srv/unmarked").exists()
    machine.run("umount", state)
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    await made.close()


async def test_a_hand_edit_between_look_and_write_is_a_conflict(
    sshd: machines.Sshd, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.World(tmp_path, hosts.settings(sshd, sshd.user))
    made.commit(files({"/note": "one"}))
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    session: Any = await made.connect()
    real = session.intend

    async def edited(*words: Any) -> None:
        (tmp_path / "note").write_text("by hand")
        await real(*words)

    made.commit(files({"/note": "two"}))
    with monkeypatch.context() as patch:
        patch.setattr(session, "intend", edited)
        told = await made.reconcile()
    assert told.failure is not None
    assert told.failure.error.parts[0].code == "UD504"
    assert (tmp_path / "note").read_text() == "by hand"
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    await made.close()


async def test_two_agents_on_one_host_lose_no_marks_of_each_other(
    sshd: machines.Sshd, tmp_path: pathlib.Path
) -> None:
    """One over SSH and one on the host itself, and both over SSH: all write at once."""
    far = hosts.settings(sshd, sshd.user)
    worlds = [world.World(tmp_path, far), world.World(tmp_path, far), world.World(tmp_path)]

    async def work(number: int, made: world.World) -> None:
        for turn in range(3):
            name = f"app{number}"
            made.commit(files({f"/{name}/{n}": f"{turn}" for n in range(3)}), name)
            told = await made.reconcile(name)
            assert told.ending is record.Ending.APPLIED, told.failure

    await asyncio.gather(*(work(number, made) for number, made in enumerate(worlds)))

    for number, made in enumerate(worlds):
        assert (await made.reconcile(f"app{number}")).ending is record.Ending.IN_SYNC
        await made.close()
    marked = {path.stem: json.loads(path.read_text()) for path in (tmp_path / ".undrift").glob("@*/*.json")}
    assert {name: len(found["resources"]) for name, found in marked.items()} == {
        "app0": 3,
        "app1": 3,
        "app2": 3,
    }


async def test_a_lock_that_is_held_for_long_is_told_with_its_holder(
    sshd: machines.Sshd, tmp_path: pathlib.Path
) -> None:
    made = world.World(tmp_path, hosts.settings(sshd, sshd.user))
    await made.connect()
    made.commit(files({"/note": "one"}))
    script = 'exec 9<>"$1"; flock 9; printf "12345678pid 77 on elsewhere\\n" >&9; echo held; exec sleep 60'
    holder = await asyncio.create_subprocess_exec(
        "sh", "-c", script, "sh", str(tmp_path / ".undrift/lock"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        await holder.stdout.readline()
        told = await made.reconcile()
    finally:
        holder.kill()
        await holder.wait()
    assert told.failure is not None
    error = told.failure.error.parts[0]
    assert errors.waiting_helps(error)
    assert "pid 77 on elsewhere" in error.why
    await made.close()


async def test_odd_names_and_large_files(sshd: machines.Sshd, tmp_path: pathlib.Path) -> None:
    session: Any = await world.World(tmp_path, hosts.settings(sshd, sshd.user)).connect()
    host: transport.Transport = session.far.host
    names = [
        "/-rf",
        "/ lead",
        "/trail ",
        "/new\nline",
        "/back\\slash",
        "/bar|pipe",
        "/'quote\"",
        "/ü€",
        "/\udcff",
        "/$(id)",
        "/*",
        "/a\tb",
        "/=x",
    ]
    content = bytes(range(256)) * 5
    await host.change([transport.Write(name, content) for name in names])
    large = transport.Write("/deep/er/large", content * 1000, transport.Attributes(0o640))

    assert await host.change([large]) == ["/deep", "/deep/er"]

    need = transport.Need.DIGEST | transport.Need.CONTENT
    seen = await host.look(dict.fromkeys([*names, "/none\nsuch", "/none"], need))
    assert {name: one.content for name, one in seen.items()} == dict.fromkeys(names, content)
    found = await host.look({"/deep/er/large": transport.Need.CONTENT, "/": transport.Need.ENTRIES})
    assert found["/deep/er/large"].content == large.content
    assert set(found["/"].entries) == {*(name[1:] for name in names), "deep", ".undrift"}
    await host.change([transport.Remove(name, transport.Sort.FILE) for name in names])
    assert not await host.look(dict.fromkeys(names, transport.Need.NOTHING))
    await session.close()
