"""Laws on what belongs to whom: adopting, foreign things, two applications, leaving."""

from __future__ import annotations

from undrift import errors
from undrift.model import application, plan, record, target
from undrift.testing.conformance import trial

_TWO = {"alpha": "one", "beta": "two"}


async def what_was_there_is_adopted_only_when_asked(here: trial.Trial) -> None:
    """Until Git says so it is not touched, and then the plan says what becomes of it."""
    await here.put("alpha", "theirs")
    here.declare(_TWO)

    told = await here.reconcile()
    stops = {type(stop) for stop in told.verdict.stops} if told.verdict is not None else set()
    trial.expect(
        errors.AdoptionRequired in stops, f"it should stop and ask for adoption: {trial.spell(told)}"
    )
    trial.expect(await here.read() == {"alpha": "theirs"}, f"nothing is touched, it is {await here.read()}")

    policy = {"adopt": (str(here.id("alpha")),)}
    told = await here.applied(policy=policy)
    change = trial.changes(told).get(here.id("alpha"))
    trial.expect(change is not None and change.action is plan.Action.ADOPT, f"adopted: {trial.spell(told)}")
    trial.expect(
        change is not None and [field.path for field in change.fields] == [here.stand.field],
        "with what changes",
    )
    trial.expect(await here.read() == _TWO, f"it is as declared, and is {await here.read()}")
    await here.in_sync()


async def what_another_agent_made_is_refused(here: trial.Trial) -> None:
    """Its mark says whose it is; without one it is a stranger's."""
    here.declare(_TWO)
    await here.applied()
    async with here.another("another-agent") as other:
        here.declare({"alpha": "one-b", "delta": "four"})

        told = await other.reconcile()

        trial.expect(told.verdict is not None and not told.verdict.go, f"it should stop: {trial.spell(told)}")
        found = await here.read()
        trial.expect(found == _TWO, f"nothing is touched, it is {found}")


async def two_applications_leave_one_anothers_alone(here: trial.Trial) -> None:
    """One prunes and heals, the other's things stay; neither sees the other's as its own."""
    here.declare({"alpha": "one", "beta": "two"}, trial.FIRST)
    here.declare({"alpha-s": "one", "beta-s": "two"}, trial.SECOND)
    await here.applied(trial.FIRST)
    await here.applied(trial.SECOND)
    await here.in_sync(trial.FIRST)

    here.declare({"alpha": "one"}, trial.FIRST)
    told = await here.applied(trial.FIRST)

    trial.expect(
        set(trial.changes(told)) == {here.id("beta", trial.FIRST)},
        f"one thing is pruned: {trial.planned(told)}",
    )
    left = await here.read(trial.SECOND)
    trial.expect(
        left.items() >= {"alpha-s": "one", "beta-s": "two"}.items(), f"the other's things stay: {left}"
    )
    await here.in_sync(trial.SECOND)


async def leaving_deletes_only_what_is_ours(here: trial.Trial) -> None:
    """An application that is decommissioned takes away what it made, once a person or Git said so."""
    here.declare(_TWO)
    await here.applied()
    await here.put("stranger", "theirs")

    asked = await here.reconcile(decommissioned=True)
    trial.expect(asked.ending is record.Ending.WAITING, f"it waits for approval: {trial.spell(asked)}")
    trial.expect(await here.read() == _TWO | {"stranger": "theirs"}, "nothing is gone before that")

    told = await here.applied(decommissioned=True, deletion_policy=application.DeletionPolicy.DELETE)
    trial.expect(
        set(trial.changes(told)) == {here.id("alpha"), here.id("beta")}, f"both go: {trial.planned(told)}"
    )
    trial.expect(await here.read() == {"stranger": "theirs"}, f"the stranger's stays: {await here.read()}")


async def leaving_as_an_orphan_keeps_everything(here: trial.Trial) -> None:
    """Only our marks go: whoever declares it next has to adopt it."""
    here.declare(_TWO)
    await here.applied()

    await here.applied(decommissioned=True, deletion_policy=application.DeletionPolicy.ORPHAN)

    trial.expect(await here.read() == _TWO, f"everything stays: {await here.read()}")
    await here.restart(lose_database=True)
    told = await here.reconcile()
    stops = {type(stop) for stop in told.verdict.stops} if told.verdict is not None else set()
    trial.expect(errors.AdoptionRequired in stops, f"it is nobody's now: {trial.spell(told)}")


async def marks_outlive_the_database(here: trial.Trial) -> None:
    """With nothing remembered, what is ours is known from the target; a plan that changes something waits."""
    here.declare(_TWO)
    await here.applied()
    await here.restart(lose_database=True)
    await here.in_sync()

    await here.restart(lose_database=True)
    here.declare({"alpha": "one"})
    asked = await here.reconcile()
    stops = {type(stop) for stop in asked.verdict.stops} if asked.verdict is not None else set()
    trial.expect(errors.MemoryLost in stops, f"it waits for a person: {trial.spell(asked)}")
    trial.expect(await here.read() == _TWO, "nothing is changed before somebody saw why")

    await here.database.resume(trial.FIRST)
    told = await here.applied()
    trial.expect(
        set(trial.changes(told)) == {here.id("beta")}, f"beta is known to be ours: {trial.planned(told)}"
    )
    trial.expect(await here.read() == {"alpha": "one"}, f"it is {await here.read()}")


def _unmarked(able: target.Capabilities) -> str:
    return "it declares that its targets bear no marks" if able.marks is target.Marks.NONE else ""


LAWS = (
    *(
        trial.law(check)
        for check in (
            what_was_there_is_adopted_only_when_asked,
            what_another_agent_made_is_refused,
            two_applications_leave_one_anothers_alone,
            leaving_deletes_only_what_is_ours,
            leaving_as_an_orphan_keeps_everything,
        )
    ),
    trial.law(marks_outlive_the_database, _unmarked),
)
