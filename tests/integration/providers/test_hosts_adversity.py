"""A host on a bad day: links that lead out, folders that cannot be written, a full disk, death on the way."""

import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.providers import world
from undrift import errors
from undrift.model import inventory, plan, record, resource
from undrift.providers.hosts import changing, local, transport
from undrift.providers.hosts.ssh import transport as ssh_transport

WAYS = ("local", "ssh")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other users need root")


def files(**content: str) -> dict[str, str]:
    rows = "".join(f"    - {{path: {path}, content: {json.dumps(text)}}}\n" for path, text in content.items())
    return {"host.yaml": world.manifest(f"  files:\n{rows}")}


def one_error(told: record.Reconciliation) -> errors.UndriftError:
    assert told.failure is not None
    return told.failure.error.parts[0]


@pytest.mark.parametrize("out", ["/", "../..", "inner/../../.."])
async def test_no_link_leads_out_of_the_root(here: world.World, tmp_path: pathlib.Path, out: str) -> None:
    (here.root / "inner").mkdir()
    points_to = str(tmp_path / "outside") if out == "/" else f"{out}/outside"
    (tmp_path / "outside").mkdir()
    (here.root / "way").symlink_to(points_to)
    here.commit(files(**{"/way/file": "x"}))

    told = await here.reconcile()

    assert one_error(told).code == "UD509"
    assert not list((tmp_path / "outside").iterdir())


async def test_a_link_that_stays_inside_may_be_followed(here: world.World) -> None:
    (here.root / "real").mkdir()
    (here.root / "near").symlink_to("real")
    (here.root / "far").symlink_to(here.root / "real")
    here.commit(files(**{"/near/one": "1", "/far/two": "2"}))

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert sorted(each.name for each in (here.root / "real").iterdir()) == ["one", "two"]


async def test_links_in_a_circle_are_an_error(here: world.World) -> None:
    (here.root / "a").symlink_to("b")
    (here.root / "b").symlink_to("a")
    here.commit(files(**{"/a/file": "x"}))

    assert "looking at /a/file failed" in one_error(await here.reconcile()).what


def test_a_folder_exchanged_for_a_link_meanwhile_is_not_followed(tmp_path: pathlib.Path) -> None:
    """Somebody swaps folder and link as fast as they can; nothing is ever written outside."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "dir", outside):
        folder.mkdir(parents=True)
    code = (
        "import os,sys\n"
        "while True:\n"
        " os.rename('dir','away'); os.symlink(sys.argv[1],'dir'); os.unlink('dir'); os.rename('away','dir')\n"
    )
    swapping = subprocess.Popen([sys.executable, "-c", code, str(outside)], cwd=root)
    try:
        end = time.monotonic() + 1.0
        tries = 0
        while time.monotonic() < end:
            with contextlib.suppress(errors.TargetError):
                changing.carry_out(str(root), [transport.Write(f"/dir/file{tries}", b"x")])
            tries += 1
    finally:
        swapping.kill()
        swapping.wait()
    assert tries > 20
    assert not list(outside.iterdir())


async def test_a_directory_in_the_way_is_told_and_kept(here: world.World) -> None:
    (here.root / "motd").mkdir()
    (here.root / "motd/theirs").write_text("x")
    here.commit(files(**{"/motd": "x"}))

    error = one_error(await here.reconcile())

    assert (error.code, error.why) == ("UD503", "/motd is a directory, and not ours")
    assert str(error.origin) == "site/host.yaml:5:7"
    assert (here.root / "motd/theirs").exists()


async def test_a_root_that_is_not_there_is_an_error_not_an_absence(here: world.World) -> None:
    here.commit(files(**{"/a": "x"}))
    await here.reconcile()
    here.root.rename(here.root.with_name("away"))

    told = await here.reconcile()

    assert one_error(told).code == "UD501"
    here.root.with_name("away").rename(here.root)
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC
    here.settings["root"] = "/no/such/folder"
    await here.close()
    with pytest.raises(errors.TargetUnavailable) as caught:
        await here.connect()
    assert "/no/such/folder" in caught.value.what


async def test_broken_marks_stop_everything_and_say_which_file(here: world.World) -> None:
    here.commit(files(**{"/a": "x"}))
    await here.reconcile()
    (path,) = (here.root / ".undrift").glob("@*/*.json")
    whole = path.read_text()
    path.write_text(whole[:-20])

    error = one_error(await here.reconcile())

    assert str(path) in error.what
    path.write_text(whole)
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC


@needs_root
def test_a_folder_that_may_not_be_written_is_told_with_the_user(here: world.World) -> None:
    """As nobody, in a process of its own."""
    (here.root / "locked").mkdir(mode=0o755)
    code = (
        "import sys; from undrift import errors; from undrift.providers.hosts import changing, transport\n"
        "try: changing.carry_out(sys.argv[1], [transport.Write('/locked/file', b'x')])\n"
        "except errors.TargetError as e: print(e.code, e.what, e.why, e.hint, sep='|')"
    )
    for folder in here.root.parents:
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    done = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            sys.executable,
            "-c",
            code,
            here.root,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    if "Permission denied" in done.stderr:
        pytest.skip("nobody may not run this Python")
    assert done.stdout.split("|")[:2] == ["UD502", "writing /locked/file failed"], done.stderr
    assert "nobody" in done.stdout


@contextlib.contextmanager
def mounted(place: pathlib.Path, *arguments: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *arguments, place], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounts are not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def remount(place: pathlib.Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


@needs_root
async def test_a_read_only_file_system_is_told_and_heals_when_it_is_writable_again(here: world.World) -> None:
    with mounted(here.root / "data", "-t", "tmpfs", "tmpfs"):
        here.commit(files(**{"/data/a": "one"}))
        await here.reconcile()
        here.commit(files(**{"/data/a": "two"}))
        remount(here.root / "data", "ro")

        error = one_error(await here.reconcile())

        assert error.code == "UD502"
        assert "read-only" in error.hint
        assert errors.waiting_helps(error)
        remount(here.root / "data", "rw")
        assert (await here.reconcile()).ending is record.Ending.APPLIED
        assert (here.root / "data/a").read_text() == "two"


@needs_root
async def test_a_full_disk_leaves_the_old_content_and_nothing_half(here: world.World) -> None:
    with mounted(here.root / "data", "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        here.commit(files(**{"/data/a": "old"}))
        await here.reconcile()
        here.commit(files(**{"/data/a": "x" * 200_000}))

        error = one_error(await here.reconcile())

        assert error.code == "UD508"
        assert (here.root / "data/a").read_text() == "old"
        assert [each.name for each in (here.root / "data").iterdir()] == ["a"], "no temporary file is left"
        here.commit(files(**{"/data/a": "new"}))
        assert (await here.reconcile()).ending is record.Ending.APPLIED


@needs_root
async def test_a_full_disk_under_the_marks_stops_before_anything_is_changed(here: world.World) -> None:
    with mounted(here.root / ".undrift", "-t", "tmpfs", "-o", "size=16k", "tmpfs"):
        (here.root / ".undrift/filler").write_bytes(b"x" * 12_000)
        here.commit(files(**{f"/f{n}": "x" for n in range(60)}))

        error = one_error(await here.reconcile())

        assert error.code == "UD508"
        assert not (here.root / "f1").exists()
        assert "/.undrift failed" in error.what
        (here.root / ".undrift/filler").unlink()
        here.commit(files(**{"/f1": "x"}))
        assert (await here.reconcile()).ending is record.Ending.APPLIED
        await here.close()


class Stop(BaseException):
    """The agent dies here."""


@pytest.mark.parametrize("after", [False, True], ids=["before the change", "after the change"])
@pytest.mark.parametrize("step", ["create", "update", "delete", "adopt"])
async def test_death_at_a_change_loses_no_ownership(
    here: world.World, monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool
) -> None:
    """Whatever was announced: the next look takes for ours what is ours, and nothing else."""
    if step in {"update", "delete"}:
        here.commit(files(**{"/a": "one", "/keep": "k"}))
        assert (await here.reconcile()).ending is record.Ending.APPLIED
    if step == "adopt":
        (here.root / "a").write_text("theirs")
    here.commit(files(**({"/keep": "k"} if step == "delete" else {"/a": "two", "/keep": "k"})))
    policy: dict[str, Any] = {"deletion_limit": world.UNLIMITED, "adopt": ("File//a",)}
    kind = ssh_transport.SshTransport if "address" in here.settings else local.LocalTransport
    real: Any = kind.change

    async def dying(self: Any, steps: Any) -> Any:
        if any(one.path == "/a" for one in steps):
            if after:
                await real(self, steps)
            raise Stop
        return await real(self, steps)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "change", dying)
        with pytest.raises((Stop, BaseExceptionGroup)):
            await here.reconcile(policy=policy)
    await here.abandon()
    here.database.holders.clear()

    told = await here.reconcile(policy=policy)

    assert told.ending in {record.Ending.APPLIED, record.Ending.IN_SYNC}, told.failure
    assert (here.root / "a").exists() is (step != "delete")
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC
    here.commit(files(**{"/keep": "k"}))
    assert (await here.reconcile(policy=policy)).failure is None
    assert not (here.root / "a").exists(), "it was ours, so it goes"


async def test_an_announced_change_that_somebody_else_made_differently_is_theirs(here: world.World) -> None:
    session = await here.connect()
    owner = inventory.Owner("agent", "site")
    rid = world.rid("File//a")
    wanted = resource.Resource(
        rid, {"digest": local.name_content(b"ours"), "mode": "0644"}, settings={"content": b"ours"}
    )
    change = plan.Change(plan.Action.CREATE, rid, plan.Reason.DECLARED, wanted)
    await session.intend([change], owner, "r")
    (here.root / "a").write_text("theirs")

    with pytest.raises(errors.ChangeConflict):
        await session.apply(change, owner, "r")

    found = (await session.observe([rid], owner)).resources[rid]
    assert found.mark is None
    assert (here.root / "a").read_text() == "theirs"


async def test_a_change_between_look_and_write_is_a_conflict(here: world.World) -> None:
    here.commit(files(**{"/a": "one"}))
    await here.reconcile()
    session = await here.connect()
    owner = inventory.Owner("agent", "site")
    rid = world.rid("File//a")
    live = (await session.observe([rid], owner)).resources[rid]
    wanted = resource.Resource(
        rid, {"digest": local.name_content(b"two"), "mode": "0644"}, settings={"content": b"two"}
    )
    (here.root / "a").write_text("hacked")

    for action, desired in ((plan.Action.UPDATE, wanted), (plan.Action.DELETE, None)):
        with pytest.raises(errors.ChangeConflict):
            await session.apply(plan.Change(action, rid, plan.Reason.DECLARED, desired, live), owner, "r")

    assert (here.root / "a").read_text() == "hacked"


async def test_names_with_spaces_newlines_and_other_alphabets(here: world.World) -> None:
    tree = {
        "host.yaml": world.manifest("  directories: [{path: '/odd names', source: files/odd}]\n"),
        "files/odd/a b": "1",
        "files/odd/ünïcödé": "2",
        "files/odd/-rf": "3",
        "files/odd/line\nbreak": "4",
    }
    here.commit(tree)

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert len(list((here.root / "odd names").iterdir())) == 4
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC
    shutil.rmtree(here.root / "odd names")
    assert (await here.reconcile()).ending is record.Ending.APPLIED


async def test_two_hundred_files_are_looked_at_in_a_few_milliseconds(
    here: world.World, on_disk: None
) -> None:
    here.commit(files(**{f"/tree/{n % 10}/{n}": str(n) for n in range(200)}))
    assert (await here.reconcile()).ending is record.Ending.APPLIED
    session = await here.connect()
    owner = inventory.Owner("agent", "site")
    await asyncio.sleep(0.15)
    ids = list((await session.observe([], owner)).resources)

    times = []
    for _ in range(5):
        begun = time.perf_counter()
        await session.observe(ids, owner)
        times.append(time.perf_counter() - begun)

    assert len(ids) == 200
    assert min(times) < 0.05, times
