"""One suite over SQLite and a real PostgreSQL: what every database of Undrift has to do."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest
import sqlalchemy as sa
from alembic import autogenerate, command, config
from alembic import migration as alembic_migration

from tests.conformance.db import postgresql
from undrift import errors, interfaces
from undrift.db import database, leases, migrating, running, tables
from undrift.model import inventory, lock, plan, record, resource, source

FILE = resource.ResourceId.of("File", "/a")
OTHER = resource.ResourceId.of("File", "/b")
WEB = "web"
MIGRATIONS = pathlib.Path(migrating.__file__).parent / "migrations"
NAMES = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL that all tests of a process share, a database each."""
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """The URL of a database that does not exist yet (SQLite) or is empty (PostgreSQL)."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/undrift.db"
    server = request.getfixturevalue("server")
    return postgresql.create(server, f"t{next(NAMES)}")


@pytest.fixture
async def db(url: str) -> AsyncIterator[database.SqlDatabase]:
    """An open database."""
    async with database.opened(url) as opened:
        yield opened


def create(rid: resource.ResourceId = FILE, fingerprint: str = "f1") -> plan.Change:
    """The creation of a resource."""
    wanted = resource.Resource(rid, {"digest": fingerprint})
    return plan.Change(plan.Action.CREATE, rid, plan.Reason.DECLARED, wanted, fingerprint=fingerprint)


def delete(rid: resource.ResourceId = FILE) -> plan.Change:
    """The deletion of a resource."""
    live = resource.LiveResource(rid, {})
    return plan.Change(plan.Action.DELETE, rid, plan.Reason.PRUNE, None, live)


async def lease_on(
    db: database.SqlDatabase, name: str = WEB, holder: str = "one", seconds: float = 30
) -> interfaces.Lease:
    """A lease that is there to be had."""
    return (await db.acquire([name], holder, seconds))[name]


async def apply(db: database.SqlDatabase, lease: interfaces.Lease, *results: plan.ChangeResult) -> None:
    """What applying writes down for one wave."""
    wave = plan.Wave(0, tuple(result.change for result in results))
    await db.ledger(WEB).begin(lease, wave, "sha256:p", "main@sha1:1")
    await db.ledger(WEB).finish(lease, results, "main@sha1:1")


async def test_an_unknown_application_is_not_resumed(db: database.SqlDatabase) -> None:
    """Of what it never saw the database says nothing, and that nobody has looked."""
    found = await db.recall(WEB)

    assert found == record.Memory(inventory.Inventory(WEB), resumed=False)
    assert await db.recall_all() == {}
    assert db.fresh


async def test_intents_are_pending_until_they_are_confirmed(db: database.SqlDatabase) -> None:
    """Before a change its entry is PENDING and its outcome unknown; afterwards CONFIRMED and known."""
    lease = await lease_on(db)
    await db.ledger(WEB).begin(lease, plan.Wave(0, (create(),)), "sha256:p", "main@sha1:1")

    assert (await db.recall(WEB)).inventory.entries[FILE].state is inventory.EntryState.PENDING
    assert await db.unfinished() == [(WEB, FILE, plan.Action.CREATE)]

    await db.ledger(WEB).finish(lease, [plan.ChangeResult(create(), plan.Outcome.APPLIED)], "main@sha1:1")

    entry = (await db.recall(WEB)).inventory.entries[FILE]
    assert entry == inventory.Entry(FILE, inventory.EntryState.CONFIRMED, "f1", "main@sha1:1")
    assert await db.unfinished() == []


@pytest.mark.parametrize("outcome", [plan.Outcome.FAILED, plan.Outcome.SKIPPED])
async def test_a_refused_create_leaves_nothing(db: database.SqlDatabase, outcome: plan.Outcome) -> None:
    """Otherwise a stranger's resource of that name could be pruned later."""
    await apply(db, await lease_on(db), plan.ChangeResult(create(), outcome))

    assert (await db.recall(WEB)).inventory.entries == {}


async def test_an_unknown_outcome_stays_pending(db: database.SqlDatabase) -> None:
    """Nobody knows, so the next look has to tell."""
    await apply(db, await lease_on(db), plan.ChangeResult(create(), plan.Outcome.UNKNOWN))

    assert (await db.recall(WEB)).inventory.entries[FILE].state is inventory.EntryState.PENDING


async def test_a_failed_change_keeps_what_was_confirmed(db: database.SqlDatabase) -> None:
    """A failed update or delete of what is ours leaves it ours."""
    lease = await lease_on(db)
    await apply(db, lease, plan.ChangeResult(create(), plan.Outcome.APPLIED))
    await apply(db, lease, plan.ChangeResult(delete(), plan.Outcome.FAILED))

    assert (await db.recall(WEB)).inventory.entries[FILE].state is inventory.EntryState.CONFIRMED


async def test_a_delete_and_a_move_take_the_old_entry_away(db: database.SqlDatabase) -> None:
    """What is gone is not owned any more."""
    lease = await lease_on(db)
    await apply(db, lease, plan.ChangeResult(create(), plan.Outcome.APPLIED))
    moved = resource.Resource(OTHER, {}, moved_from=FILE)
    move = plan.Change(plan.Action.MOVE, OTHER, plan.Reason.DECLARED, moved)
    await apply(db, lease, plan.ChangeResult(move, plan.Outcome.APPLIED))

    assert set((await db.recall(WEB)).inventory.entries) == {OTHER}

    await apply(db, lease, plan.ChangeResult(delete(OTHER), plan.Outcome.APPLIED))

    assert (await db.recall(WEB)).inventory.entries == {}


async def test_everything_learnt_is_recalled(db: database.SqlDatabase) -> None:
    """Last good, held back, approvals, holds and inventory come back as they were, one by one and in bulk."""
    lease = await lease_on(db)
    held = record.HeldBack(WEB, "main@sha1:2", "sha256:i", record.Phase.VALIDATE, "UD401", "bad: ü")
    approval = record.Approval(WEB, "sha256:p", "ada", 12.5)
    hold = record.Hold(WEB, 99.0, "ada", "lunch")
    entry = inventory.Entry(FILE, inventory.EntryState.CONFIRMED, "f", "r", "7", protected=True)
    await db.learn(lease, WEB, [entry])
    await db.approve(approval)
    await db.hold(hold, WEB)
    wanted = record.Memory(
        inventory.Inventory(WEB, {FILE: entry}),
        source.Revision("main", "sha1:1", "Ada <a@example.org>", 5.0, "first", "key"),
        lock.InputLock({"source": "sha256:s", "tool:undrift": "1"}, "main@sha1:1"),
        (held,),
        (approval,),
        hold,
        resumed=True,
    )
    await db.settle(lease, WEB, lambda _: wanted)

    assert await db.recall(WEB) == wanted
    assert await db.recall_all() == {WEB: wanted}

    await db.settle(lease, WEB, lambda known: dataclasses.replace(known, approvals=(), held_back=()))
    await db.resume(WEB)
    after = await db.recall(WEB)

    assert after.approvals == ()
    assert after.hold is None


async def test_learning_does_not_resume(db: database.SqlDatabase) -> None:
    """Marks that are found again make an inventory, not a permission; beginning a wave is one."""
    lease = await lease_on(db)
    await db.learn(lease, WEB, [inventory.Entry(FILE, inventory.EntryState.CONFIRMED)])

    assert not (await db.recall(WEB)).resumed

    await apply(db, lease, plan.ChangeResult(create(), plan.Outcome.APPLIED))

    assert (await db.recall(WEB)).resumed


async def test_only_one_holds_a_lease(db: database.SqlDatabase) -> None:
    """A second holder gets nothing while the first renews, and a higher epoch when it stopped."""
    first = await lease_on(db)

    assert await db.acquire([WEB], "two", 30) == {}
    assert await db.renew("one", 0.05) == {WEB}
    assert await db.live_holders() == {"one"}

    await asyncio.sleep(0.1)
    second = await lease_on(db, holder="two")

    assert second.epoch > first.epoch
    await second.check()


async def test_a_late_write_is_refused(db: database.SqlDatabase) -> None:
    """Whoever lost the lease cannot write, whatever it believes."""
    stale = await lease_on(db, seconds=0.05)
    await asyncio.sleep(0.1)
    await lease_on(db, holder="two")

    with pytest.raises(errors.LeaseLost):
        await stale.check()
    with pytest.raises(errors.LeaseLost):
        await db.ledger(WEB).begin(stale, plan.Wave(0, (create(),)), "sha256:p", "r")
    with pytest.raises(errors.LeaseLost):
        await db.settle(stale, WEB, lambda known: known)

    assert (await db.recall(WEB)).inventory.entries == {}


async def test_a_lease_that_ran_out_is_not_ours_even_if_nobody_took_it(db: database.SqlDatabase) -> None:
    """It might be taken in the next moment."""
    stale = await lease_on(db, seconds=0.05)
    await asyncio.sleep(0.1)

    with pytest.raises(errors.LeaseLost):
        await stale.check()


async def test_released_leases_are_free_at_once(db: database.SqlDatabase) -> None:
    """A graceful stop lets the other go on without waiting."""
    first = await lease_on(db)
    await db.release("one")

    assert set(await db.acquire([WEB], "two", 30)) == {WEB}
    with pytest.raises(errors.LeaseLost):
        await first.check()


async def test_a_thousand_leases_are_one_step(db: database.SqlDatabase) -> None:
    """And two agents that ask at the same time never get the same one."""
    names = [f"app-{number}" for number in range(1000)]

    one, two = await asyncio.gather(db.acquire(names, "one", 30), db.acquire(names, "two", 30))

    assert set(one) | set(two) == set(names)
    assert not set(one) & set(two)


async def test_two_processes_share_one_database(url: str, db: database.SqlDatabase) -> None:
    """What one connection wrote another one reads; it is not fresh any more."""
    await lease_on(db)
    async with database.opened(url) as second:
        assert not second.fresh
        assert await second.acquire([WEB], "two", 30) == {}


async def test_postgresql_throws_out_who_is_stopped_in_a_transaction(server: str) -> None:
    """Else nobody could take over what it was writing; its late commit is refused."""
    url = postgresql.create(server, f"t{next(NAMES)}")
    runner = running.runner(url)
    assert isinstance(runner, running.PostgresqlRunner)
    async with database.opened(url) as db, contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.close)
        stopped = await runner.engine.connect()
        await stopped.run_sync(leases.acquire, [WEB], "one", 30.0)
        found = await db.acquire([WEB], "two", 30)
        with pytest.raises(sa.exc.DBAPIError):
            await stopped.commit()

    assert set(found) == {WEB}


async def test_plans_are_kept_under_their_digest(db: database.SqlDatabase) -> None:
    """Twice the same is one."""
    await db.remember_plan("sha256:p", {"waves": []})
    await db.remember_plan("sha256:p", {"waves": []})

    assert await db.plan("sha256:p") == {"waves": []}
    assert await db.plan("sha256:q") is None


async def test_history_and_events_come_in_pages(db: database.SqlDatabase) -> None:
    """The newest reconciles first, events in order, each with its number to go on from."""
    told = [
        {"application": WEB, "started": float(number), "ending": "applied", "document": {"n": number}}
        for number in range(5)
    ]
    events = [
        {"application": WEB, "at": float(number), "kind": "DriftFound", "document": {"n": number}}
        for number in range(3)
    ]
    await db.remember(told, events)

    page = await db.reconciles(WEB, limit=2)
    rest = await db.reconciles(WEB, limit=10, before=page[-1]["number"])

    assert [one["n"] for one in [*page, *rest]] == [4, 3, 2, 1, 0]
    assert [one["n"] for one in await db.events(after=0)] == [0, 1, 2]
    assert [one["n"] for one in await db.events(WEB, limit=1)] == [2]


async def test_old_history_goes_but_the_last_ones_stay(db: database.SqlDatabase) -> None:
    """Retention keeps the newest of each application however old they are."""
    told = [
        {"application": WEB, "started": float(number), "ending": "applied", "document": {}}
        for number in range(30)
    ]
    await db.remember(told, [{"application": WEB, "at": 1.0, "kind": "Failed", "document": {}}])

    assert await db.retain(3600, least=10) == 21
    assert len(await db.reconciles(WEB, limit=100)) == 10
    assert await db.retain(3600, least=10) == 0


async def test_messages_are_sent_at_least_once_and_known_once(db: database.SqlDatabase) -> None:
    """A message is due until it is delivered; the same key is not queued twice; a failed one waits."""
    message = {"key": "k", "notifier": "chat", "document": {"text": "hi"}}
    await db.remember([], [], [message])
    await db.remember([], [], [message])

    assert await db.receivers() == {"chat"}
    assert (await db.take("chat", 0.05) or {})["key"] == "k"
    assert await db.take("chat", 60) is None
    await asyncio.sleep(0.1)
    assert (await db.take("chat", 60) or {})["key"] == "k"

    await db.postpone("k", "chat", 60)

    assert await db.receivers() == frozenset()

    await db.delivered("k", "chat")
    await db.remember([], [], [message])

    assert await db.take("chat", 60) is None


async def test_a_message_is_one_agent_s_at_a_time(url: str, db: database.SqlDatabase) -> None:
    """Two that send at the same time share the messages, and the oldest goes first."""
    keys = [f"k{number}" for number in range(6)]
    for key in keys:
        await db.remember([], [], [{"key": key, "notifier": "chat", "document": {}}])
    async with database.opened(url) as other:
        found = await asyncio.gather(*(one.take("chat", 60) for one in (db, other) * 4))

    taken = [one["key"] for one in found if one is not None]
    assert sorted(taken) == keys


async def test_claims_tell_what_others_declare(db: database.SqlDatabase) -> None:
    """An application's own claims are no claims on it; a new declaration replaces the old."""
    await db.claim(WEB, "host", [FILE, OTHER])
    await db.claim("shop", "host", [FILE])
    await db.claim("far", "elsewhere", [OTHER])

    assert await db.claims(WEB, "host") == {FILE: ("shop",)}

    await db.claim("shop", "host", [OTHER])

    assert await db.claims(WEB, "host") == {OTHER: ("shop",)}
    assert (await db.all_claims())["host"][WEB] == {FILE, OTHER}


async def test_a_renamed_application_keeps_its_memory(db: database.SqlDatabase) -> None:
    """movedFrom carries everything over, once, and never over a memory that is there already."""
    old = await lease_on(db)
    await apply(db, old, plan.ChangeResult(create(), plan.Outcome.APPLIED))
    await db.bury({WEB: {"application": {}}})
    lease = await lease_on(db, "site")

    assert await db.rename(lease, WEB, "site")
    assert not await db.rename(lease, WEB, "site")
    assert set((await db.recall("site")).inventory.entries) == {FILE}
    assert set(await db.tombstones()) == {"site"}


async def test_forgetting_leaves_nothing_but_history(db: database.SqlDatabase) -> None:
    """A decommissioned application is gone."""
    lease = await lease_on(db)
    await apply(db, lease, plan.ChangeResult(create(), plan.Outcome.APPLIED))
    await db.claim(WEB, "host", [FILE])
    await db.bury({WEB: {}})
    await db.remember([{"application": WEB, "started": 1.0, "ending": "applied", "document": {}}], [])
    await db.forget(lease, WEB)

    assert await db.recall_all() == {}
    assert await db.tombstones() == {}
    assert await db.claims("other", "host") == {}
    assert len(await db.reconciles(WEB)) == 1


async def test_sources_remember_where_they_were(db: database.SqlDatabase) -> None:
    """A force push is told even after a restart."""
    assert await db.seen("config") is None
    await db.see("config", "sha1:1")
    await db.see("config", "sha1:2")

    assert await db.seen("config") == "sha1:2"


async def test_migrations_make_the_declared_schema(db: database.SqlDatabase) -> None:
    """The tables that migrations made are those of `tables`, to the column."""

    def differences(connection: sa.Connection) -> list[object]:
        context = alembic_migration.MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = autogenerate.compare_metadata(context, tables.metadata)
        return found

    assert await db.run(differences) == []


async def test_what_an_older_undrift_wrote_is_kept(url: str) -> None:
    """From the first schema to the present one."""
    made = running.runner(url)
    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS))

    def first(connection: sa.Connection) -> None:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        connection.execute(
            sa.text("insert into applications (application, resumed, held_back) values (:name, true, '[]')"),
            {"name": WEB},
        )

    await made.run(first)
    await made.close()
    async with database.opened(url) as newer:
        found = await newer.recall(WEB)

    assert (found.resumed, found.last_lock, newer.fresh) == (True, None, False)


async def test_a_newer_schema_is_refused(url: str, db: database.SqlDatabase) -> None:
    """An older Undrift does not write into what it does not know."""

    def age(connection: sa.Connection) -> None:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))

    await db.run(age)

    with pytest.raises(errors.DatabaseBroken, match="newer"):
        await database.connect(url)


async def test_a_damaged_file_is_told(tmp_path: pathlib.Path) -> None:
    """What to do is said; the file is left for whoever wants to look."""
    path = tmp_path / "undrift.db"
    path.write_bytes(b"this is no database at all, not even nearly" * 100)

    with pytest.raises(errors.DatabaseBroken) as caught:
        await database.connect(f"sqlite:///{path}")

    assert "resume" in caught.value.hint
    assert path.exists()


async def test_a_full_disk_loses_nothing(tmp_path: pathlib.Path) -> None:
    """A write that does not fit is an error that waiting helps, and what was there is there."""
    async with database.opened(f"sqlite:///{tmp_path}/undrift.db") as small:
        lease = await lease_on(small)
        await apply(small, lease, plan.ChangeResult(create(), plan.Outcome.APPLIED))
        pages = await small.run(
            lambda connection: connection.execute(sa.text("pragma page_count")).scalar_one()
        )
        await small.run(
            lambda connection: connection.execute(sa.text(f"pragma max_page_count = {pages}")).scalar_one()
        )

        with pytest.raises(errors.DatabaseUnavailable) as caught:
            await small.remember_plan("sha256:big", {"text": "x" * 1_000_000})

        assert caught.value.waiting_helps
        assert set((await small.recall(WEB)).inventory.entries) == {FILE}


async def test_who_fails_among_many_fails_alone(db: database.SqlDatabase) -> None:
    """What is asked at the same time is written, but for the one that is refused; a cancelled one may be."""
    mine = await lease_on(db)
    stale = await lease_on(db, "other", seconds=0.05)
    await asyncio.sleep(0.1)
    await lease_on(db, "other", holder="two")
    waves = [plan.Wave(0, (create(resource.ResourceId.of("File", f"/{number}")),)) for number in range(9)]
    asked = [asyncio.create_task(db.ledger(WEB).begin(mine, wave, "sha256:p", "r")) for wave in waves]
    late = asyncio.create_task(db.ledger("other").begin(stale, waves[0], "sha256:p", "r"))
    asked.append(asyncio.create_task(db.ledger(WEB).begin(mine, plan.Wave(0, (create(),)), "sha256:p", "r")))
    await asyncio.sleep(0)
    asked.pop(3).cancel()
    await asyncio.gather(*asked)

    with pytest.raises(errors.LeaseLost):
        await late
    written = (await db.recall(WEB)).inventory.entries
    assert {rid.name for rid in written} >= {"/a", "/0", "/8"}
    assert "other" not in await db.recall_all()
