"""What a person or a machine does on a bad day: a clear error, nothing lost, and all is well when it is over."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.world import World

GOOD = {"/a.txt": "one"}


@pytest.fixture
def site(world: World) -> str:
    """An application that is in sync, on an agent that runs; the commit it is at."""
    world.declare("site")
    world.files("site", GOOD)
    commit = world.push()
    world.start()
    world.settled("site", commit)
    return commit


def failure(world: World, code: str) -> dict[str, str]:
    """Wait for a failure of the site with this code."""
    world.until(lambda: (world.glance("site").get("failure") or {}).get("code", "") == code)
    found: dict[str, str] = world.glance("site")["failure"]
    return found


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    "content, where, said",
    [
        (b"apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec: [\n", "site/host.yaml:4:1", "not YAML"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe\x00", "site/host.yaml", "binary"),
        (b"apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec: {fils: []}\n", "site/host.yaml:3", "files"),
        (
            b"<<<<<<< HEAD\nkind: Host\n=======\nkind: Hosts\n>>>>>>> theirs\n",
            "site/host.yaml:1:1",
            "conflict",
        ),
    ],
    ids=["bad YAML", "a binary file", "a misspelt word", "a conflict of Git"],
)
def test_a_manifest_that_is_none(world: World, content: bytes, where: str, said: str) -> None:
    """What was applied stays, and drift of it is repaired, until the next commit."""
    world.write("site/host.yaml", content)
    bad = world.push("Oops", "Bob Builder <bob@example.org>")
    world.until(lambda: world.state_of("site") == "failing")
    found = world.glance("site")["failure"]

    assert found["where"].startswith(where)
    assert said in json.dumps(found)
    assert bad in found["revision"]
    assert found["author"] == "Bob Builder <bob@example.org>"
    assert world.tree() == GOOD

    (world.target / "a.txt").unlink()
    world.until(lambda: world.tree() == GOOD)

    world.files("site", {"/a.txt": "two"})
    world.settled("site", world.push("Mend it"))
    assert world.tree() == {"/a.txt": "two"}


def test_the_repository_is_replaced_by_another(world: World, site: str) -> None:
    """Another history is a rewritten one: it is not taken, however well it reads; the old one may come back."""
    kept = world.repository.with_name("kept.git")
    world.repository.rename(kept)
    other = world.root / "other"
    world.git("init", "-q", "--bare", "-b", "main", str(world.repository), where=world.root)
    world.git("init", "-q", "-b", "main", str(other), where=world.root)
    shutil.copytree(world.checkout / "undrift", other / "undrift")
    world.git("add", "-A", where=other)
    world.git("commit", "-q", "-m", "Another beginning", where=other)
    world.git("push", "-q", str(world.repository), "main", where=other)
    world.until(lambda: world.client.agent()["sources"][0]["error"])
    shown = world.cli("status")

    assert shown.returncode == 3
    assert "✗ source config: UD204" in shown.stdout
    assert "force-pushed" in shown.stdout
    assert "not in its history any more" in shown.stdout.replace("\n", " ")
    assert world.tree() == GOOD
    (world.target / "a.txt").unlink()
    world.until(lambda: world.tree() == GOOD)

    shutil.rmtree(world.repository)
    kept.rename(world.repository)
    world.files("site", {"/a.txt": "two"})
    world.settled("site", world.push())
    assert site


@pytest.fixture
def small(world: World) -> Iterator[pathlib.Path]:
    """A file system of 1 MiB in the target's place."""
    if not _can_mount(world.root):
        pytest.skip("this user may not mount a tmpfs")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "undrift", world.target], check=True)
    yield world.target
    world.stop()
    subprocess.run(["umount", "-l", world.target], check=True)


def _can_mount(root: pathlib.Path) -> bool:
    place = root / "mount"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True, check=False)
    if done.returncode == 0:
        subprocess.run(["umount", place], check=True)
    return done.returncode == 0


def test_the_disk_of_the_target_is_full(world: World, small: pathlib.Path) -> None:
    world.declare("site")
    world.files("site", GOOD)
    commit = world.push()
    world.start()
    world.settled("site", commit)
    (small / "ballast").write_bytes(b"x" * 900_000)
    world.files("site", {"/a.txt": "one", "/large.txt": "y" * 300_000})
    world.push()
    found = failure(world, "UD508")

    assert "No space left" in found["why"]
    assert "make room" in found["hint"]
    assert (small / "a.txt").read_text(encoding="utf-8") == "one"
    assert sorted(path.name for path in small.iterdir()) == [".undrift", "a.txt", "ballast"]

    (small / "ballast").unlink()
    world.until(lambda: world.state_of("site") == "in sync")
    assert (small / "large.txt").stat().st_size == 300_000


def test_the_target_is_made_read_only(world: World, small: pathlib.Path) -> None:
    world.declare("site")
    world.files("site", GOOD)
    commit = world.push()
    world.start()
    world.settled("site", commit)
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    world.files("site", {"/a.txt": "two"})
    world.push()
    found = failure(world, "UD502")

    assert "Read-only" in found["why"]
    assert "read-only" in found["hint"]
    assert (small / "a.txt").read_text(encoding="utf-8") == "one"

    subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    world.client.reconcile("site")
    world.until(lambda: world.state_of("site") == "in sync")
    assert (small / "a.txt").read_text(encoding="utf-8") == "two"
