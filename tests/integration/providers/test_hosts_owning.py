"""Whose things are: marks on the host through renames, decommission, protection and two writers."""

import asyncio
import dataclasses
import json

from tests.integration.providers import world
from undrift.model import application, inventory, plan, record, resource
from undrift.providers.hosts import book, marks, shelf

WAYS = ("local", "ssh")


def files(*paths: str, more: str = "") -> dict[str, str]:
    rows = "".join(f"    - {{path: {path}, content: x{more}}}\n" for path in paths)
    return {"host.yaml": world.manifest(f"  files:\n{rows}")}


def marked(here: world.World) -> dict[str, list[str]]:
    """The names in each file of marks."""
    found = (here.root / ".undrift/@agent").glob("*.json")
    return {path.stem: [row["id"][2] for row in json.loads(path.read_text())["resources"]] for path in found}


async def test_an_application_that_is_renamed_keeps_what_it_owns(here: world.World) -> None:
    here.commit(files("/a", "/b"), "old")
    await here.reconcile("old")
    here.commit(files("/a"), "new")

    told = await here.reconcile("new", moved_from=("old",), policy={"deletion_limit": world.UNLIMITED})

    if told.verdict is not None and told.verdict.stops:
        assert [stop.code for stop in told.verdict.stops] == ["UD612"]
        await here.database.resume("new")
        told = await here.reconcile("new", moved_from=("old",), policy={"deletion_limit": world.UNLIMITED})
    assert told.ending is record.Ending.APPLIED, told.failure
    assert told.plan is not None
    assert [change.action for change in told.plan.changes] == [plan.Action.MARK, plan.Action.DELETE]
    assert (await here.reconcile("new", moved_from=("old",))).ending is record.Ending.IN_SYNC
    await here.close()
    assert marked(here) == {"new": ["/a"]}


async def test_an_orphaned_application_leaves_everything_and_no_mark(here: world.World) -> None:
    here.commit(files("/a", "/b"))
    await here.reconcile()

    told = await here.reconcile(decommissioned=True, deletion_policy=application.DeletionPolicy.ORPHAN)

    assert told.ending is record.Ending.APPLIED, told.failure
    await here.close()
    assert marked(here) == {}
    assert (here.root / "a").exists()


async def test_what_is_protected_stays_when_it_leaves_git(here: world.World) -> None:
    here.commit(files("/a", more=", protected: true"))
    await here.reconcile()
    here.commit(files("/b"))

    told = await here.reconcile(policy={"deletion_limit": world.UNLIMITED})

    assert told.ending is record.Ending.APPLIED, told.failure
    assert (here.root / "a").exists()
    assert [warning.code for warning in told.warnings] == ["UD604"]


async def test_a_tree_may_go_to_the_root_itself(here: world.World) -> None:
    (here.root / "etc").mkdir()
    here.commit(
        {
            "host.yaml": world.manifest("  directories: [{path: /, source: files/all}]\n"),
            "files/all/etc/motd": "x",
            "files/all/new/deep": "x",
        }
    )

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert (
        [str(change.id) for change in told.plan.changes] == ["File//etc/motd", "File//new/deep"]
        if told.plan
        else 0
    )


async def test_two_books_do_not_lose_each_others_marks(here: world.World) -> None:
    """Two agents write at once, each its own resources of one application and of another's."""
    await here.connect()
    state = str(here.root / ".undrift")

    def write(number: int) -> None:
        for count in range(20):
            found = book.Book(shelf.Shelf(state))
            found.refresh(inventory.Owner("agent", "shared"))
            rid = resource.ResourceId.of("File", f"/{number}/{count}")
            found.stage(marks.Record(id=rid, agent="agent", application="shared", made=marks.Intent()))
            found.flush()

    await asyncio.gather(*(asyncio.to_thread(write, number) for number in range(4)))

    found = book.Book(shelf.Shelf(state))
    found.refresh(inventory.Owner("agent", "shared"))
    assert len(found.owned(inventory.Owner("agent", "shared"))) == 80


async def test_what_was_taken_away_by_hand_and_left_git_is_not_ours_when_it_comes_again(
    here: world.World,
) -> None:
    """Somebody makes a file where ours once was: nothing says that it is ours any more."""
    here.commit(
        {
            "host.yaml": world.manifest(
                "  files:\n    - {path: /a, content: a}\n    - {path: /b, content: b}\n"
            )
        }
    )
    await here.reconcile()
    (here.root / "b").unlink()
    here.commit({"host.yaml": world.manifest("  files:\n    - {path: /a, content: a}\n")})
    await here.reconcile()
    await here.reconcile()
    (here.root / "b").write_text("somebody's")

    told = await here.reconcile()

    assert told.ending is record.Ending.IN_SYNC
    assert (here.root / "b").read_text() == "somebody's"


async def test_what_was_taken_over_does_not_come_back_to_its_former_owner(
    here: world.World, on_disk: None
) -> None:
    """The former owner was at work on it at that moment, and writes down afterwards how it left it."""
    await here.connect()
    place = shelf.Shelf(str(here.root / ".undrift"))
    giver, taker = book.Book(place), book.Book(place)
    rid = resource.ResourceId.of("File", "/shared")
    before = marks.Record(id=rid, agent="agent", application="giver", made=marks.Intent(), since=1)
    giver.stage(before)
    giver.flush()

    giver.stage(dataclasses.replace(before, intent=marks.Intent(deletes=True)))
    taker.take(marks.Record(id=rid, agent="agent", application="taker", made=marks.Intent(), since=2))
    taker.flush()
    giver.flush()

    assert [record.application for record in taker.records(rid)] == ["taker"]
    assert marked(here) == {"taker": ["/shared"]}
