"""Laws on bad days: looks that fail, changes that are refused, answers that are lost, an agent that is killed."""

from __future__ import annotations

import contextlib

from undrift import errors
from undrift.model import plan, record, target
from undrift.testing.conformance import trial

_THREE = {"alpha": "one", "beta": "two", "gamma": "three"}
_PATIENCE = 10


async def a_failed_look_is_no_absence(here: trial.Trial) -> None:
    """Nobody plans on it, nothing is forgotten, and afterwards nothing is to be done."""
    here.declare(_THREE)
    await here.applied()
    before = await _owned(here)

    async with here.stand.away():
        told = await here.reconcile()
        trial.expect(not trial.planned(told), f"nothing is planned: {trial.planned(told)}")
        # Who is told of every change need not ask again; who was just started has to.
        await here.restart()
        with contextlib.suppress(errors.TargetError):
            told = await here.reconcile()
            error = told.failure.error if told.failure is not None else None
            trial.expect(isinstance(error, errors.TargetError), f"it should fail: {trial.spell(told)}")
            trial.expect(not trial.planned(told), f"nothing is planned: {trial.planned(told)}")

    trial.expect(await _owned(here) == before, "nothing is forgotten")
    await _recovered(here)
    told = await here.look()
    trial.expect(not trial.planned(told), f"everything is still there: {trial.planned(told)}")
    trial.expect(await here.read() == _THREE, f"it is {await here.read()}")


async def a_failed_look_withholds_nothing_for_ever(here: trial.Trial) -> None:
    """What was declared meanwhile is applied once the target is back."""
    here.declare({"alpha": "one"})
    await here.applied()
    here.declare(_THREE)
    async with here.stand.away():
        told = await here.reconcile()
        trial.expect(told.failure is not None, f"it should fail: {trial.spell(told)}")

    await _recovered(here)
    await here.reconcile()
    trial.expect(await here.read() == _THREE, f"it is caught up, and is {await here.read()}")


async def _owned(here: trial.Trial) -> set[tuple[str, str]]:
    """What is remembered as ours, and how surely."""
    found = (await here.database.recall(trial.FIRST)).inventory.entries
    return {(str(rid), entry.state.value) for rid, entry in found.items()}


async def _recovered(here: trial.Trial) -> None:
    """The target is back; who has to connect anew for it may do so."""
    for _ in range(_PATIENCE):
        told = await here.look()
        if told.failure is None:
            return
        await here.close()
    raise AssertionError(f"the target is back, but: {trial.spell(told)}")


async def what_was_refused_is_not_ours(here: trial.Trial) -> None:
    """A create in the middle is refused; a stranger's thing of that name is never pruned, nor overwritten."""
    here.declare({"alpha": "one"})
    await here.applied()
    here.declare(_THREE)
    async with here.stand.refusing("beta", trial.FIRST):
        told = await here.reconcile()
        trial.expect(told.ending is record.Ending.FAILED, f"it should fail: {trial.spell(told)}")
        said = " ".join(_said(told))
        one_of = trial.changes(told) if here.capabilities.atomic else [here.id("beta")]
        trial.expect(any(rid.name in said for rid in one_of), f"it is named: {said}")
        trial.expect("beta" not in await here.read(), "it is not there")

    await here.put("beta", "theirs")
    here.declare({"alpha": "one", "gamma": "three"})
    await here.reconcile()
    await here.in_sync()
    found = await here.read()
    trial.expect(
        found == {"alpha": "one", "beta": "theirs", "gamma": "three"}, f"the stranger's stays: {found}"
    )

    here.declare(_THREE | {"alpha": "one-b"})
    told = await here.reconcile()
    trial.expect((await here.read())["beta"] == "theirs", f"it is not overwritten: {trial.spell(told)}")


async def what_was_refused_is_done_later(here: trial.Trial) -> None:
    """Once the target lets us, a person's order to try again is enough."""
    here.declare(_THREE)
    async with here.stand.refusing("beta", trial.FIRST):
        told = await here.reconcile()
        trial.expect(told.ending is record.Ending.FAILED, f"it should fail: {trial.spell(told)}")

    told = await here.applied(retry=True)
    trial.expect(await here.read() == _THREE, f"it is {await here.read()}; {trial.spell(told)}")
    await here.in_sync()


def _said(told: record.Reconciliation) -> list[str]:
    error = told.failure.error if told.failure is not None else None
    parts = error.parts if error is not None else ()
    return [f"{part} {part.why} {getattr(part, 'about', '')}" for part in parts]


async def a_lost_answer_is_looked_for(here: trial.Trial) -> None:
    """A change was made and nobody heard of it: the look after it tells, and it is ours."""
    here.declare(_THREE)

    async def lose(change: plan.Change, carry_out: trial.CarryOut) -> None:
        await carry_out()
        if change.id == here.id("beta"):
            raise errors.OutcomeUnknown("no answer")

    here.mischief = lose
    await here.reconcile()
    here.mischief = trial.obey
    await here.reconcile()
    await here.in_sync()
    trial.expect(await here.read() == _THREE, f"it is {await here.read()}")

    here.declare({"alpha": "one", "gamma": "three"})
    await here.applied()
    trial.expect("beta" not in await here.read(), "what we made is ours to prune")


async def what_was_never_made_is_not_ours(here: trial.Trial) -> None:
    """Nobody knows whether a change was made; it was not, and a stranger makes a thing of that name."""
    here.declare({"alpha": "one"})
    await here.applied()
    here.declare({"alpha": "one", "beta": "two"})

    async def drop(change: plan.Change, carry_out: trial.CarryOut) -> None:
        if change.id == here.id("beta"):
            raise errors.OutcomeUnknown("no answer")
        await carry_out()

    here.mischief = drop
    await here.reconcile()
    here.mischief = trial.obey
    await here.put("beta", "theirs")
    here.declare({"alpha": "one"})
    await here.reconcile()
    await here.restart()
    await here.in_sync()

    found = await here.read()
    trial.expect(found == {"alpha": "one", "beta": "theirs"}, f"the stranger's stays: {found}")


async def who_is_killed_goes_on(here: trial.Trial) -> None:
    """Before a change and after one, with nothing written down about how it ended."""
    for number, late in enumerate((False, True), 1):
        wanted = {name: f"{value}-{number}" for name, value in _THREE.items()}
        here.declare(wanted)

        async def die(change: plan.Change, carry_out: trial.CarryOut, *, late: bool = late) -> None:
            if change.id != here.id("beta"):
                await carry_out()
                return
            if late:
                await carry_out()
            raise trial.Died

        here.mischief = die
        with contextlib.suppress(trial.Died, BaseExceptionGroup):
            await here.reconcile()
            raise AssertionError("the agent should have been killed")
        here.mischief = trial.obey
        await here.restart()
        await here.reconcile()
        await here.in_sync()
        trial.expect(await here.read() == wanted, f"it is {await here.read()}")

    here.declare({"alpha": "one-2"})
    await here.applied()
    trial.expect(await here.read() == {"alpha": "one-2"}, "all of it is ours")


async def what_moved_since_the_look_is_not_overwritten(here: trial.Trial) -> None:
    """Somebody changes a thing after it was planned with and before it is changed."""
    here.declare(_THREE)
    await here.applied()
    here.declare(_THREE | {"beta": "two-b"})

    async def race(change: plan.Change, carry_out: trial.CarryOut) -> None:
        if change.id == here.id("beta"):
            await here.put("beta", "by-hand")
        await carry_out()

    here.mischief = race
    told = await here.reconcile()
    here.mischief = trial.obey

    outcomes = {result.change.id: result.outcome for result in told.results}
    trial.expect(
        outcomes.get(here.id("beta")) is plan.Outcome.FAILED, f"it should be refused: {trial.spell(told)}"
    )
    trial.expect((await here.read())["beta"] == "by-hand", f"it is not overwritten: {await here.read()}")
    await here.applied()
    trial.expect(await here.read() == _THREE | {"beta": "two-b"}, f"planned anew: {await here.read()}")


def _overwrites(able: target.Capabilities) -> str:
    return "" if able.compare_and_set else "it declares that it cannot compare and set"


LAWS = (
    *(
        trial.law(check)
        for check in (
            a_failed_look_is_no_absence,
            a_failed_look_withholds_nothing_for_ever,
            what_was_refused_is_not_ours,
            what_was_refused_is_done_later,
            a_lost_answer_is_looked_for,
            what_was_never_made_is_not_ours,
            who_is_killed_goes_on,
        )
    ),
    trial.law(what_moved_since_the_look_is_not_overwritten, _overwrites),
)
