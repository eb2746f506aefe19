"""Name servers on bad days: away, in the midst of an apply, with other keys, and without reasons."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests import nameservers
from tests.integration.dns.world import UNLIMITED, World, changes, codes
from undrift import errors
from undrift.model import inventory, plan, record

ZONE = "example.test."
FILE = "example.test.yaml"
WWW = "www: {type: A, ttl: 60, value: 192.0.2.1}\n"


@pytest.fixture
def alone(tmp_path: pathlib.Path) -> Iterator[nameservers.NameServer]:
    """BIND for one test, which may do with it what it likes."""
    with nameservers.bind(tmp_path, "example.test", "other.test") as found:
        yield found


def failure(told: record.Reconciliation) -> errors.UndriftError:
    """What went wrong first."""
    assert told.failure is not None
    return told.failure.error.parts[0]


@dataclasses.dataclass
class Cut:
    """A session whose server dies after so many messages."""

    session: Any
    server: nameservers.NameServer
    after: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        real = self.session._place.server.send
        sent = 0

        def send(batch: Any) -> None:
            nonlocal sent
            if sent == self.after:
                self.server.stop()
            sent += 1
            real(batch)

        self.session._place.server.send = send
        self.after, before = -1, self.after
        self.after = before
        try:
            await self.session.apply(change, owner, revision)
        finally:
            self.after -= sent
            self.session._place.server.send = real


async def test_a_server_that_goes_away_in_the_midst_is_caught_up_later(alone: nameservers.NameServer) -> None:
    """Three messages: one is made, the next is not. What was made is remembered as ours, database or not."""
    world = World(alone, {"timeout": 2, "options": {**alone.settings["options"], "update_batch_size": 10}})
    text = "".join(f"h{index}: {{type: A, ttl: 60, value: 192.0.2.{index}}}\n" for index in range(30))
    world.commit({FILE: text})

    told = await world.reconcile(session=Cut(await world.session(), alone, 1))

    assert failure(told).code == "UD501"
    alone.start()
    (mark,) = alone.ask(f"_undrift.{ZONE}", "TXT")
    assert " from=main@sha1:" in mark
    made = [index for index in range(30) if alone.ask(f"h{index}.{ZONE}", "A")]
    assert len(made) == 10
    world.forget()

    told = await world.reconcile()
    assert codes(told) == ["UD612"]
    await world.database.resume("web")
    told = await world.reconcile()
    assert told.ending is record.Ending.APPLIED, told.failure
    assert len(changes(told)) == 20
    (mark,) = alone.ask(f"_undrift.{ZONE}", "TXT")
    assert " from=" not in mark
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC


async def test_a_server_that_is_away_is_no_empty_zone(alone: nameservers.NameServer) -> None:
    world = World(alone, {"timeout": 1})
    world.commit({FILE: WWW})
    await world.reconcile()
    alone.stop()

    told = await world.reconcile()

    assert failure(told).code == "UD501"
    assert told.results == ()
    assert len((await world.database.recall("web")).inventory.entries) == 1
    alone.start()
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC


@pytest.mark.parametrize(
    "options, key, why",
    [
        ({}, "AAAA" * 8, "another secret or algorithm"),
        ({"key_name": "nobody"}, nameservers.KEY, "does not know a key of that name and algorithm"),
        ({"key_algorithm": "hmac-sha512"}, nameservers.KEY, "of that name and algorithm"),
    ],
)
async def test_a_wrong_key_is_told_as_what_it_is(
    bind: nameservers.NameServer, options: dict[str, str], key: str, why: str
) -> None:
    server = dataclasses.replace(bind, key=key, process=None)
    world = World(server, {"options": {**bind.settings["options"], **options}})
    world.commit({FILE: WWW})

    error = failure(await world.reconcile())

    assert (error.code, why in error.why or why in str(error)) == ("UD502", True), (error.what, error.why)
    assert error.hint
    assert key not in repr(error) + error.why + error.hint


async def test_no_key_and_no_zone_are_told_with_what_to_do(bind: nameservers.NameServer) -> None:
    keyless = {name: value for name, value in bind.settings["options"].items() if not name.startswith("key_")}
    world = World(bind, {"options": keyless, "secrets": {}})
    world.commit({FILE: WWW})
    error = failure(await world.reconcile())
    assert (error.code, "allow-transfer" in error.hint) == ("UD502", True), error

    world = World(bind)
    world.commit({"nowhere.test.yaml": WWW})
    error = failure(await world.reconcile())
    assert (error.code, "does not serve" in error.why) == ("UD502", True), error


async def test_a_refusal_without_a_reason_gets_the_likely_ones(bind: nameservers.NameServer) -> None:
    """What we can tell ourselves is told before; what is a stranger's is only known by the refusal."""
    bind.update("other.test.", ("add", "strange", "60", "A", "203.0.113.7"))
    world = World(bind)
    world.commit(
        {"other.test.yaml": "m: {type: MX, ttl: 60, value: {preference: 1, exchange: gone.other.test.}}\n"}
    )
    assert codes(await world.reconcile()) == ["UD401"]

    session = await world.session()
    from undrift.providers.dns import applying, entry, records, seeing, server  # noqa: PLC0415 - only here

    place = session._place  # type: ignore[attr-defined]  # this provider's own
    seen = await place.look("other.test.")
    one = entry.Entry("other.test.", "m", "MX", 60, ("1 gone.other.test.",), errors.Origin("f"))
    made = records.declared(one, seeing.octodns("other.test.", []), escaped=True)
    change = plan.Change(plan.Action.CREATE, records.rid_of(made, "other.test."), plan.Reason.DECLARED)
    with pytest.raises(errors.ChangeRefused) as refused:
        place.server.send(server.Batch(seen, (server.Step(change, None, made),), ((), ())))
    assert applying is not None
    assert "gone.other.test. has no address" in refused.value.why
    assert "update-policy" in refused.value.why
    bind.update("other.test.", ("delete", "strange", "A"))


async def test_the_api_of_powerdns_refuses_a_wrong_key(tmp_path: pathlib.Path) -> None:
    with nameservers.powerdns(tmp_path, "example.test") as server:
        world = World(dataclasses.replace(server, key="wrong", process=None))
        world.commit({FILE: WWW})

        error = failure(await world.reconcile())

        assert error.code == "UD502", error
        assert "wrong" not in str(error) + error.why


async def test_deletion_is_bounded_and_octodns_safety_stays_on(bind: nameservers.NameServer) -> None:
    world = World(bind)
    text = "".join(f"h{index}: {{type: A, ttl: 60, value: 192.0.2.{index}}}\n" for index in range(40))
    world.commit({FILE: text})
    await world.reconcile()
    world.commit({FILE: "\n".join(text.splitlines()[:20]) + "\n"})
    told = await world.reconcile()
    assert codes(told) == ["UD601", "UD617"]
    assert len(bind.ask(f"h39.{ZONE}", "A")) == 1

    world.commit({FILE: text.replace("192.0.2.", "198.51.100.")})
    told = await world.reconcile()
    assert codes(told) == ["UD617"]
    assert told.verdict is not None
    assert "Too many updates" in told.verdict.stops[0].why
    assert told.plan is not None
    await world.database.approve(record.Approval("web", told.plan.digest, "ada", 1.0))
    told = await world.reconcile()
    assert told.ending is record.Ending.APPLIED, (told.failure, codes(told))
    assert bind.ask(f"h1.{ZONE}", "A") == ["198.51.100.1"]

    world.commit({FILE: ""})
    policy = {"allow_empty": True, "deletion_limit": UNLIMITED}
    told = await world.reconcile(policy=policy)
    assert codes(told) == ["UD617"]
    assert told.plan is not None
    await world.database.approve(record.Approval("web", told.plan.digest, "ada", 1.0))
    assert (await world.reconcile(policy=policy)).ending is record.Ending.APPLIED


async def test_the_name_servers_of_a_zone_change_only_when_somebody_looked(
    alone: nameservers.NameServer,
) -> None:
    """And then none is missing on the way: a server never takes the last one away."""
    world = World(alone)
    apex = "'': {type: NS, ttl: 300, value: ns9.example.test.}\nns9: {type: A, ttl: 300, value: 127.0.0.1}\n"
    world.commit({FILE: apex})
    policy = {"adopt": ("NS/example.test./@",)}

    told = await world.reconcile(policy=policy)

    assert codes(told) == ["UD617"]
    assert told.plan is not None
    await world.database.approve(record.Approval("web", told.plan.digest, "ada", 1.0))
    told = await world.reconcile(policy=policy)
    assert told.ending is record.Ending.APPLIED, told.failure
    assert alone.ask(ZONE, "NS") == ["ns9.example.test."]
