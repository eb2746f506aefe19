"""Files, directories and links of a real host, made true by the engine."""

import os
import pathlib

from tests.integration.providers import world
from undrift.model import plan, record, source
from undrift.testing import memory

WAYS = ("local", "ssh")

SITE = world.manifest("""
  directories:
    - path: /srv/www
      source: files/www
    - {path: /srv/private, mode: "0700"}
  files:
    - {path: /srv/motd, content: "welcome\\n", mode: "0600"}
  links:
    - {path: /srv/index, to: www/index.html}
""")
FILES: dict[str, str | bytes | source.File] = {
    "host.yaml": SITE,
    "files/www/index.html": "<h1>one</h1>\n",
    "files/www/css/site.css": "h1 { color: blue }\n",
    "files/www/run.sh": source.File(b"#!/bin/sh\n", source.FileKind.EXECUTABLE),
}


def mode(path: pathlib.Path) -> int:
    return path.stat().st_mode & 0o7777


def names(folder: pathlib.Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def ids(told: record.Reconciliation) -> list[str]:
    assert told.plan is not None
    return [f"{change.action} {change.id}" for change in told.plan.changes]


async def test_a_tree_is_made_and_is_then_in_sync(here: world.World) -> None:
    here.commit(FILES)

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert (here.root / "srv/www/index.html").read_text() == "<h1>one</h1>\n"
    assert (here.root / "srv/index").read_text() == "<h1>one</h1>\n"
    assert mode(here.root / "srv/motd") == 0o600
    assert mode(here.root / "srv/private") == 0o700
    assert mode(here.root / "srv/www/run.sh") == 0o755
    again = await here.reconcile()
    assert again.ending is record.Ending.IN_SYNC
    assert again.plan is not None
    assert again.plan.unchanged == again.plan.owned == 8


async def test_what_is_changed_by_hand_is_drift_with_a_diff(here: world.World) -> None:
    here.commit(FILES)
    await here.reconcile()
    index = here.root / "srv/www/index.html"
    index.write_text("<h1>hacked</h1>\n")
    (here.root / "srv/motd").chmod(0o666)
    (here.root / "srv/www/css/site.css").unlink()

    told = await here.reconcile()

    assert told.plan is not None
    assert {change.reason for change in told.plan.changes} == {plan.Reason.DRIFT}
    assert sorted(ids(told)) == [
        "create File//srv/www/css/site.css",
        "update File//srv/motd",
        "update File//srv/www/index.html",
    ]
    diff = next(change.text for change in told.plan.changes if change.id.name.endswith("index.html"))
    assert "-<h1>hacked</h1>" in diff
    assert "+<h1>one</h1>" in diff
    assert index.read_text() == "<h1>one</h1>\n"
    assert mode(here.root / "srv/motd") == 0o600


async def test_what_leaves_git_is_pruned_and_foreign_things_stay(here: world.World) -> None:
    here.commit(FILES)
    await here.reconcile()
    (here.root / "srv/foreign").write_text("not ours")
    here.commit({"host.yaml": world.manifest("  files: [{path: /srv/motd, content: bye}]\n")})

    told = await here.reconcile(policy={"deletion_limit": world.UNLIMITED})

    assert told.ending is record.Ending.APPLIED, told.failure
    assert names(here.root / "srv") == ["foreign", "motd"]


async def test_folders_that_were_made_on_the_way_go_again(here: world.World) -> None:
    here.commit(
        {"host.yaml": world.manifest("  files: [{path: /a/b/c, content: x}, {path: /d, content: x}]\n")}
    )
    await here.reconcile()
    here.commit({"host.yaml": world.manifest("  files: [{path: /d, content: x}]\n")})

    told = await here.reconcile(policy={"deletion_limit": world.UNLIMITED})

    assert told.ending is record.Ending.APPLIED, told.failure
    assert names(here.root) == [".undrift", "d"]


async def test_a_directory_with_foreign_things_in_it_stays_and_says_why(here: world.World) -> None:
    here.commit(FILES)
    await here.reconcile()
    (here.root / "srv/private/diary").write_text("mine")
    here.commit({**FILES, "host.yaml": SITE.replace('    - {path: /srv/private, mode: "0700"}\n', "")})

    told = await here.reconcile()

    assert told.failure is not None
    assert "diary" in told.failure.error.why
    assert (here.root / "srv/private/diary").exists()


async def test_what_was_there_before_is_taken_over_only_when_asked(here: world.World) -> None:
    (here.root / "motd").write_text("theirs")
    files = {"host.yaml": world.manifest("  files: [{path: /motd, content: ours}]\n")}
    here.commit(files)

    told = await here.reconcile()

    assert told.verdict is not None
    assert [stop.code for stop in told.verdict.stops] == ["UD609"]
    assert (here.root / "motd").read_text() == "theirs"
    told = await here.reconcile(policy={"adopt": ("File//motd",)})
    assert told.ending is record.Ending.APPLIED
    assert (here.root / "motd").read_text() == "ours"
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC


async def test_two_applications_know_each_others_marks(here: world.World) -> None:
    files = {"host.yaml": world.manifest("  files: [{path: /motd, content: ours}]\n")}
    here.commit(files, "first")
    here.commit(files, "second")
    await here.reconcile("first")

    told = await here.reconcile("second")

    assert told.verdict is not None
    assert "it belongs to the application first" in told.verdict.stops[0].why
    taken = await here.reconcile("second", takes_from=("first",))
    assert taken.ending is record.Ending.APPLIED
    here.commit({"host.yaml": world.manifest("  files: []\n")}, "first")
    emptied = await here.reconcile("first", policy={"allow_empty": True})
    assert emptied.plan is not None
    assert not emptied.plan.changes
    assert (here.root / "motd").exists()


async def test_a_file_that_moves_keeps_its_mark(here: world.World) -> None:
    here.commit({"host.yaml": world.manifest("  files: [{path: /old, content: x}]\n")})
    await here.reconcile()
    here.commit({"host.yaml": world.manifest("  files: [{path: /new, content: x, movedFrom: /old}]\n")})

    told = await here.reconcile()

    assert ids(told) == ["move File//new"]
    assert not (here.root / "old").exists()
    assert (here.root / "new").read_text() == "x"
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC


async def test_a_file_gives_way_to_a_directory_and_back(here: world.World) -> None:
    one = {"host.yaml": world.manifest("  files: [{path: /thing, content: x}]\n")}
    other = {
        "host.yaml": world.manifest(
            "  directories: [{path: /thing}]\n  files: [{path: /thing/in, content: x}]\n"
        )
    }
    for files in (one, other, one):
        here.commit(files)
        told = await here.reconcile(policy={"deletion_limit": world.UNLIMITED})
        assert told.ending is record.Ending.APPLIED, told.failure
    assert (here.root / "thing").read_text() == "x"


async def test_losing_the_database_loses_nothing(here: world.World) -> None:
    """Ownership is learnt from the marks; nothing is touched until a person has seen what would be."""
    here.commit(FILES)
    await here.reconcile()
    await here.close()
    here.database = memory.MemoryDatabase()
    here.commit({**FILES, "files/www/index.html": "<h1>two</h1>\n"})

    told = await here.reconcile()

    assert told.verdict is not None
    assert [stop.code for stop in told.verdict.stops] == ["UD612"]
    await here.database.resume("site")
    assert (await here.reconcile()).ending is record.Ending.APPLIED
    assert (here.root / "srv/www/index.html").read_text() == "<h1>two</h1>\n"


async def test_a_file_replaced_by_a_link_is_put_back(here: world.World) -> None:
    here.commit({"host.yaml": world.manifest("  files: [{path: /motd, content: ours}]\n")})
    await here.reconcile()
    (here.root / "motd").unlink()
    (here.root / "elsewhere").write_text("theirs")
    (here.root / "motd").symlink_to("elsewhere")

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert not (here.root / "motd").is_symlink()
    assert (here.root / "elsewhere").read_text() == "theirs"


async def test_owners_are_set_and_known(here: world.World) -> None:
    here.commit(
        {"host.yaml": world.manifest("  files: [{path: /motd, content: x, owner: nobody, group: nogroup}]\n")}
    )
    told = await here.reconcile()

    if os.geteuid() != 0:
        assert told.failure is not None
        assert told.failure.error.code == "UD502"
        return
    assert told.ending is record.Ending.APPLIED, told.failure
    assert (here.root / "motd").owner() == "nobody"
    os.chown(here.root / "motd", 0, 0)
    assert ids(await here.reconcile()) == ["update File//motd"]
    assert (here.root / "motd").group() == "nogroup"
    here.commit({"host.yaml": world.manifest("  files: [{path: /motd, content: why}]\n")})
    assert (await here.reconcile()).ending is record.Ending.APPLIED
    assert (here.root / "motd").owner() == "nobody", "what is not declared stays as it is"
