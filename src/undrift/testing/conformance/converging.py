"""Laws on becoming true and staying so: converging, drift, pruning, digests."""

from __future__ import annotations

from undrift.model import plan
from undrift.testing.conformance import trial

_THREE = {"alpha": "one", "beta": "two", "gamma": "three"}


async def it_converges(here: trial.Trial) -> None:
    """From nothing to what is declared, and on to what is declared next."""
    here.declare(_THREE)
    told = await here.applied()
    trial.expect(
        {result.outcome for result in told.results} == {plan.Outcome.APPLIED}, "each change has its result"
    )
    trial.expect(await here.read() == _THREE, f"it should be as declared, and is {await here.read()}")

    here.declare(_THREE | {"beta": "two-b"})
    told = await here.applied()
    found = trial.changes(told)
    trial.expect(set(found) == {here.id("beta")}, f"one thing changes, planned was {trial.planned(told)}")
    trial.expect(
        found[here.id("beta")].reason is plan.Reason.DECLARED, "it changes because it was declared so"
    )
    trial.expect(await here.read() == _THREE | {"beta": "two-b"}, f"it is {await here.read()}")


async def the_second_plan_is_empty(here: trial.Trial) -> None:
    """Also for a process that knows nothing yet."""
    here.declare(_THREE)
    await here.applied()
    await here.in_sync()
    await here.restart()
    await here.in_sync()
    told = await here.look()
    trial.expect(told.plan is not None and told.plan.empty, f"a look finds nothing: {trial.spell(told)}")


async def drift_is_seen_by_its_field_and_repaired(here: trial.Trial) -> None:
    """One value changed by hand: its field is named, with what it is and what it will be; a look changes nothing."""
    here.declare(_THREE)
    await here.applied()
    await here.put("beta", "by-hand")

    told = await here.look()
    found = trial.changes(told)
    trial.expect(set(found) == {here.id("beta")}, f"only beta drifted, planned was {trial.planned(told)}")
    change = found[here.id("beta")]
    trial.expect(
        (change.action, change.reason) == (plan.Action.UPDATE, plan.Reason.DRIFT), f"it is {change!r}"
    )
    paths = [field.path for field in change.fields]
    trial.expect(
        paths == [here.stand.field], f"the field should be named: {here.stand.field}, and not {paths}"
    )
    shown = f"{change.text} {change.fields}"
    trial.expect("by-hand" in shown and "two" in shown, f"both values should be shown: {shown}")
    trial.expect((await here.read())["beta"] == "by-hand", "a plan that is only shown changes nothing")

    await here.applied()
    trial.expect(await here.read() == _THREE, f"it is repaired, and is {await here.read()}")
    await here.in_sync()


async def what_was_removed_by_hand_comes_back(here: trial.Trial) -> None:
    """It is drift, not news."""
    here.declare(_THREE)
    await here.applied()
    await here.remove("gamma")

    told = await here.applied()

    change = trial.changes(told).get(here.id("gamma"))
    trial.expect(change is not None and change.reason is plan.Reason.DRIFT, f"{trial.spell(told)}")
    trial.expect(await here.read() == _THREE, f"it is {await here.read()}")


async def drift_is_only_reported_where_self_heal_is_off(here: trial.Trial) -> None:
    """The policy is the engine's to keep, whoever made the plan."""
    here.declare(_THREE)
    await here.applied()
    await here.put("beta", "by-hand")

    told = await here.reconcile(policy={"self_heal": False})

    trial.expect(told.plan is not None and told.plan.withheld, f"it is reported: {trial.spell(told)}")
    trial.expect((await here.read())["beta"] == "by-hand", "it is not repaired")


async def what_is_no_longer_declared_is_pruned(here: trial.Trial) -> None:
    """And nothing else; not at all where pruning is off."""
    here.declare(_THREE)
    await here.applied()
    await here.put("stranger", "theirs")
    here.declare({"alpha": "one"})

    kept = await here.reconcile(policy={"prune": False})
    trial.expect(not trial.planned(kept), f"nothing is deleted where pruning is off: {trial.spell(kept)}")
    withheld = {change.id for change in kept.plan.withheld} if kept.plan is not None else set()
    trial.expect(withheld == {here.id("beta"), here.id("gamma")}, f"but it is reported: {withheld}")

    told = await here.applied()
    found = trial.changes(told)
    trial.expect(
        set(found) == {here.id("beta"), here.id("gamma")},
        f"two are pruned, planned was {trial.planned(told)}",
    )
    trial.expect(
        {change.reason for change in found.values()} == {plan.Reason.PRUNE}, "as what is not declared"
    )
    left = await here.read()
    trial.expect(left == {"alpha": "one", "stranger": "theirs"}, f"what is left: {left}")
    await here.in_sync()


async def a_digest_names_what_will_be_done(here: trial.Trial) -> None:
    """The same while nothing that it touches moves; another one for another value before."""
    here.declare(_THREE)
    await here.applied()
    here.declare(_THREE | {"beta": "two-b"})

    first = await _digest(here)
    trial.expect(await _digest(here) == first, "looking twice gives one digest")
    await here.restart()
    trial.expect(await _digest(here) == first, "a new process comes to the same digest")
    await here.put("stranger", "theirs")
    trial.expect(await _digest(here) == first, "what is not touched does not matter")
    await here.put("beta", "by-hand")
    trial.expect(await _digest(here) != first, "another value before is another plan")


async def _digest(here: trial.Trial) -> str:
    told = await here.look()
    trial.expect(told.plan is not None and told.plan.waves, f"a plan is there: {trial.spell(told)}")
    return told.plan.digest if told.plan is not None else ""


LAWS = tuple(
    trial.law(check)
    for check in (
        it_converges,
        the_second_plan_is_empty,
        drift_is_seen_by_its_field_and_repaired,
        what_was_removed_by_hand_comes_back,
        drift_is_only_reported_where_self_heal_is_off,
        what_is_no_longer_declared_is_pruned,
        a_digest_names_what_will_be_done,
    )
)
