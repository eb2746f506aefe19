"""Applications are made, moved and removed by commits; so are targets and sources."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.world import AGENT, World

GENERATOR = """\
apiVersion: undrift.dev/v1
kind: ApplicationGenerator
metadata: {name: sites}
spec:
  generators:
    - directories: {source: %s, path: sites/*}
  template:
    metadata: {name: "site-{{ name }}"}
    spec:
      source: {name: %s, path: "{{ path }}"}
      target: host
      deletionPolicy: delete
"""
SOURCE = """\
apiVersion: undrift.dev/v1
kind: Source
metadata: {name: elsewhere}
spec: {url: %s, branch: main, interval: 500ms}
"""


def codes(world: World) -> list[str]:
    """What the agent says is wrong with the configuration."""
    return [error["code"] for error in world.client.agent()["errors"]]


def gone(world: World, name: str) -> bool:
    return all(one["name"] != name for one in world.client.status())


def test_a_renamed_application_keeps_all_that_it_has(world: World) -> None:
    """Nothing on the target is touched, and what was remembered comes along."""
    world.declare("old")
    world.files("old", {"/a": "one", "/b": "one"})
    first = world.push()
    world.start()
    world.settled("old", first)
    before = {path.name: path.stat().st_ino for path in world.target.glob("?")}

    world.write("undrift/old.yaml", None)
    world.declare("new", "movedFrom: [old]")
    (world.checkout / "old").rename(world.checkout / "new")
    moved = world.push()
    world.settled("new", moved)

    assert {path.name: path.stat().st_ino for path in world.target.glob("?")} == before
    assert world.client.application("new")["stops"] == []
    assert codes(world) == []
    world.until(lambda: gone(world, "old"))
    world.files("new", {"/a": "two"})
    world.settled("new", world.push())
    assert world.tree() == {"/a": "two"}
    world.stop()
    world.start()
    world.until(lambda: world.state_of("new") == "in sync")
    assert gone(world, "old")
    assert world.tree() == {"/a": "two"}


def test_what_is_handed_over_never_goes_away(world: World) -> None:
    """The taker names the giver; whoever comes first, the file stays the same one."""
    for name, more in (("giver", ""), ("taker", "takesFrom: [giver]")):
        world.declare(name, more)
        world.files(name, {f"/{name}": "x"})
    world.files("giver", {"/giver": "x", "/shared": "one"})
    first = world.push()
    world.start()
    world.settled("giver", first)
    world.settled("taker", first)
    inode = (world.target / "shared").stat().st_ino

    world.files("giver", {"/giver": "x"})
    world.files("taker", {"/taker": "x", "/shared": "one"})
    second = world.push()
    world.settled("taker", second)
    world.settled("giver", second)

    assert (world.target / "shared").stat().st_ino == inode
    owned = {one["id"] for one in world.client.application("taker")["resources"]}
    assert owned == {"File//taker", "File//shared"}


def test_what_a_broken_application_may_take_stays(world: World) -> None:
    """The giver goes on with all the rest; once the taker is mended it takes the very same file."""
    for name, more in (("giver", ""), ("taker", "takesFrom: [giver]")):
        world.declare(name, more)
        world.files(name, {f"/{name}": "x"})
    world.files("giver", {"/giver": "x", "/shared": "one"})
    first = world.push()
    world.start()
    world.settled("giver", first)
    world.settled("taker", first)
    inode = (world.target / "shared").stat().st_ino

    world.files("giver", {"/giver": "y"})
    world.write("taker/host.yaml", "kind: [\n")
    world.push("Hand over, with a slip of the pen")
    world.until(lambda: world.state_of("taker") == "failing" and world.state_of("giver") == "waiting")
    assert [warning["code"] for warning in world.glance("giver")["warnings"]] == ["UD615"]
    assert "taker" in world.cli("status", "giver").stdout
    assert world.tree() == {"/giver": "y", "/shared": "one", "/taker": "x"}

    world.files("taker", {"/taker": "x", "/shared": "one"})
    third = world.push("Mend it")
    world.settled("taker", third)
    world.settled("giver", third)
    assert (world.target / "shared").stat().st_ino == inode
    assert world.client.application("giver")["owned"] == 1


@pytest.mark.parametrize("policy, left", [("delete", {}), ("orphan", {"/a": "one"})])
def test_an_application_leaves_git(world: World, policy: str, left: dict[str, str]) -> None:
    """What it owns goes or stays as it said; then nothing is known of it, not even on the target."""
    world.declare("site", f"deletionPolicy: {policy}")
    world.files("site", {"/a": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)

    world.write("undrift/site.yaml", None)
    world.push()
    world.until(lambda: gone(world, "site"))

    assert world.tree() == left
    assert list((world.target / ".undrift/@main").glob("*.json")) == []


def test_an_application_that_leaves_waits_for_a_person_by_default(world: World) -> None:
    """Its plan is shown and approved like any other; put back into Git, it is as it was."""
    world.declare("site")
    world.files("site", {"/a": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)

    world.write("undrift/site.yaml", None)
    world.push("Remove the site")
    world.until(lambda: "UD606" in world.codes("site"))
    assert world.tree() == {"/a": "one"}
    world.declare("site")
    world.settled("site", world.push("Put it back"))
    world.write("undrift/site.yaml", None)
    world.push("Remove it for good")
    world.until(lambda: world.glance("site").get("decommissioned"))
    digest = str(world.until(lambda: world.glance("site").get("digest", "")))
    approved = world.cli("approve", "site", digest)

    assert approved.returncode == 0, approved.stderr
    world.until(lambda: gone(world, "site"))
    assert world.tree() == {}


def test_a_target_that_is_removed_while_it_is_in_use_stays(world: World) -> None:
    """It is said which applications use it, and drift there goes on being repaired; it goes with the last one."""
    world.declare("site", "deletionPolicy: delete")
    world.files("site", {"/a": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)

    world.write("undrift/agent.yaml", AGENT.format(root=world.target).split("---")[0])
    world.push("Remove the target")
    world.until(lambda: "UD106" in codes(world))
    shown = world.cli("status")
    assert shown.returncode == 3
    assert "UD106" in shown.stdout
    assert "site" in shown.stdout
    (world.target / "a").unlink()
    world.until(lambda: world.tree() == {"/a": "one"})

    world.write("undrift/site.yaml", None)
    world.push("Remove the site as well")
    world.until(lambda: gone(world, "site"))
    world.until(lambda: codes(world) == [])
    assert world.tree() == {}
    assert world.client.agent()["targets"] == []


def test_all_of_it_leaves_while_nobody_looks(world: World) -> None:
    """Application, source and target leave in one commit, and the agent comes back afterwards."""
    elsewhere = world.root / "elsewhere.git"
    world.git("init", "-q", "--bare", "-b", "main", str(elsewhere), where=world.root)
    world.write("undrift/source.yaml", SOURCE % elsewhere)
    world.write(
        "undrift/site.yaml",
        "apiVersion: undrift.dev/v1\nkind: Application\nmetadata: {name: site}\n"
        "spec: {source: {name: elsewhere, path: site}, target: host, deletionPolicy: delete}\n",
    )
    world.files("site", {"/a": "one"})
    world.push()
    world.git("push", "-q", str(elsewhere), "main")
    world.start()
    world.until(lambda: world.tree() == {"/a": "one"} and world.state_of("site") == "in sync")
    world.stop()

    for name in ("source", "site"):
        world.write(f"undrift/{name}.yaml", None)
    world.write("undrift/agent.yaml", AGENT.format(root=world.target).split("---")[0])
    world.push()
    shutil.rmtree(elsewhere)
    world.start()

    world.until(lambda: world.tree() == {})
    world.until(lambda: gone(world, "site") and codes(world) == [])


@pytest.mark.parametrize("where", ["config", "elsewhere"])
def test_a_folder_becomes_an_application(world: World, where: str) -> None:
    """Folders of this repository or of another: each that comes is applied, each that goes is taken away."""
    remote = "origin"
    if where == "elsewhere":
        remote = str(world.root / "elsewhere.git")
        world.git("init", "-q", "--bare", "-b", "main", remote, where=world.root)
        world.write("undrift/source.yaml", SOURCE % remote)
    world.write("undrift/sites.yaml", GENERATOR % (where, where))
    world.files("sites/basel", {"/basel": "one"})
    world.push()
    world.git("push", "-q", remote, "HEAD:main")
    world.start()
    world.until(lambda: world.tree() == {"/basel": "one"} and world.state_of("site-basel") == "in sync")
    assert codes(world) == []

    world.files("sites/bern", {"/bern": "one"})
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "Open in Bern")
    world.git("push", "-q", remote, "HEAD:main")
    world.until(lambda: world.tree() == {"/basel": "one", "/bern": "one"})

    shutil.rmtree(world.checkout / "sites/basel")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "Close in Basel")
    world.git("push", "-q", remote, "HEAD:main")
    world.until(lambda: world.tree() == {"/bern": "one"})
    world.until(lambda: gone(world, "site-basel"))


def test_a_source_that_nothing_reads_any_more_is_left_alone(world: World) -> None:
    """Nobody goes on asking a repository for whose credentials there is no use any more."""
    elsewhere = world.root / "elsewhere.git"
    world.git("init", "-q", "--bare", "-b", "main", str(elsewhere), where=world.root)
    world.write("undrift/source.yaml", SOURCE % elsewhere)
    world.write("undrift/sites.yaml", GENERATOR % ("elsewhere", "elsewhere"))
    world.files("sites/basel", {"/basel": "one"})
    world.push()
    world.git("push", "-q", str(elsewhere), "main")
    world.start()
    world.until(lambda: world.tree() == {"/basel": "one"})

    for name in ("sites", "source"):
        world.write(f"undrift/{name}.yaml", None)
    world.push()

    world.until(lambda: [one["name"] for one in world.client.agent()["sources"]] == ["config"])
    world.until(lambda: world.tree() == {})
