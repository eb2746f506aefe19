"""Changes on a host over SSH are told: at once where it has `inotifywait`, and by looking where it has not."""

import asyncio
import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest

from tests import machines as hosts
from tests.integration.providers import world
from undrift.model import record, resource
from undrift.providers.hosts.ssh import watching
from undrift.testing import machines

Hint = frozenset[resource.ResourceId]
TWO = world.manifest(
    "  files:\n    - {path: /srv/a/one, content: '1'}\n    - {path: /srv/two, content: '2'}\n"
)


@pytest.fixture(scope="module")
def machine() -> Iterator[machines.Machine]:
    with hosts.booted("watched") as made:
        yield made


async def begun(made: world.World, manifest: str = TWO) -> tuple[AsyncIterator[Hint], "asyncio.Task[Hint]"]:
    """The hints of a world in sync, and the first of them to come."""
    made.commit({"host.yaml": manifest})
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    hints = (await made.connect()).watch()
    return hints, asyncio.create_task(anext(hints))  # type: ignore[arg-type] # an async generator


async def test_an_edit_by_hand_is_told_at_once(machine: machines.Machine) -> None:
    made = world.World(pathlib.Path("/"), hosts.settings(machine, state="/var/lib/undrift/w1"))
    hints, first = await begun(made)
    await asyncio.sleep(1.5)
    assert not first.done()

    machine.shell("echo drift >/srv/a/one")

    async with asyncio.timeout(5):
        assert await first == {world.rid("File//srv/a/one")}
    second: asyncio.Task[Hint] = asyncio.create_task(anext(hints))  # type: ignore[arg-type] # an async generator
    machine.shell("rm -r /srv/a; mv /srv/two /srv/away")
    found: Hint = frozenset()
    async with asyncio.timeout(10):
        found = await second
        while found != {world.rid("File//srv/a/one"), world.rid("File//srv/two")}:
            found |= await anext(hints)
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    await hints.aclose()  # type: ignore[attr-defined] # an async generator
    await made.close()
    await asyncio.sleep(0.5)
    assert "inotifywait" not in machine.run("ps", "-e"), "nobody listens any more"


async def test_what_comes_to_be_ours_later_is_watched_too(machine: machines.Machine) -> None:
    made = world.World(pathlib.Path("/opt"), hosts.settings(machine, root="/opt"))
    hints, first = await begun(made, world.manifest("  files: [{path: /x/one, content: '1'}]\n"))
    await asyncio.sleep(1)
    made.commit(
        {
            "host.yaml": world.manifest(
                "  files: [{path: /x/one, content: '1'}, {path: /y/late, content: '1'}]\n"
            )
        }
    )
    assert (await made.reconcile()).ending is record.Ending.APPLIED
    await asyncio.sleep(1.5)

    machine.shell("echo drift >/opt/y/late")

    async with asyncio.timeout(10):
        while world.rid("File//y/late") not in await first:
            first = asyncio.create_task(anext(hints))  # type: ignore[arg-type] # an async generator
    await hints.aclose()  # type: ignore[attr-defined] # an async generator
    await made.close()


async def test_without_inotifywait_it_is_looked_for(
    sshd: machines.Sshd, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_INTERVAL", 0.2)
    monkeypatch.setattr(watching, "_PROGRAM_NAME", "no-such-program")
    made = world.World(tmp_path, hosts.settings(sshd, sshd.user))
    hints, first = await begun(made)
    await asyncio.sleep(0.5)
    assert not first.done()
    (tmp_path / "srv/two").write_text("drift")

    async with asyncio.timeout(10):
        assert await first == {world.rid("File//srv/two")}
    await hints.aclose()  # type: ignore[attr-defined] # an async generator
    await made.close()
