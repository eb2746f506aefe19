"""Gates: each thing that may be missing, what is said of it, and when waiting alone brings it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from undrift.engine import advancing, promoting
from undrift.model import application, delivery, forge, health, publication, report

NOW = 1_800_000_000.0  # a Friday, 08:00 UTC
OLD = publication.AppRevision("1" * 40)
NEW = publication.AppRevision("2" * 40)
TREE = "a" * 40
RECIPE = delivery.Recipe("manifests", "k8s")
REQUIRES = (delivery.Requirement("staging", soak=3600.0),)


def told(**parts: Any) -> report.Report:
    """A report that opens gates."""
    good = report.Report(
        application="web-staging",
        agent="main",
        path="staging/web",
        tree=TREE,
        health=health.Status.HEALTHY,
        since=NOW - 7200,
        observed=NOW - 60,
        within=1800.0,
        ending="in sync",
    )
    return dataclasses.replace(good, **parts)


def stand(revision: publication.AppRevision = NEW, *heard: report.Report, **parts: Any) -> promoting.Stand:
    """A stage with a revision published, and what is heard of it."""
    provenance = publication.Provenance("web", "staging", revision, TREE)
    found = tuple(promoting.Heard(one, TREE) for one in heard or (told(),))
    return dataclasses.replace(promoting.Stand(provenance, found), **parts)


def facts(staging: promoting.Stand | None = None, **parts: Any) -> promoting.Facts:
    """Facts about the newest revision."""
    known = {"staging": staging if staging is not None else stand()}
    return dataclasses.replace(promoting.Facts(NEW, known), **parts)


def judged(found: promoting.Facts, **gate: Any) -> promoting.Verdict:
    """The verdict of a gate that requires an hour of healthy staging, unless a test says otherwise."""
    return promoting.judge(delivery.Gate(**{"requires": REQUIRES, **gate}), found, NOW)


# --- stages --------------------------------------------------------------------------------------------


def test_open() -> None:
    assert judged(facts()) == promoting.Verdict(promoting.State.OPEN)


def test_no_gate_is_open() -> None:
    assert promoting.judge(delivery.Gate(), facts(), NOW).open


def test_soak_says_how_far_and_when() -> None:
    verdict = judged(facts(stand(NEW, told(since=NOW - 2400))))

    assert verdict == promoting.Verdict(
        promoting.State.CLOSED, ("staging is Healthy for 40m of 1h",), NOW + 1200
    )


@pytest.mark.parametrize(
    "status, wanted, state",
    [
        ("Degraded", "Healthy", "failed"),
        ("Missing", "Healthy", "failed"),
        ("Unknown", "Healthy", "closed"),
        ("Progressing", "Healthy", "closed"),
        ("Suspended", "Healthy", "closed"),
        ("Progressing", "Progressing", "open"),
        ("Suspended", "Progressing", "open"),
        ("Healthy", "Progressing", "open"),
        ("Healthy", "Suspended", "open"),
        ("Progressing", "Suspended", "closed"),
        ("Unknown", "Progressing", "closed"),
    ],
)
def test_health(status: str, wanted: str, state: str) -> None:
    gate = {"requires": (delivery.Requirement("staging", wanted),)}
    verdict = judged(facts(stand(NEW, told(health=health.Status(status)))), **gate)

    assert verdict.state == state
    assert verdict.next_at is None


def test_bad_health_gives_the_agent_s_reason() -> None:
    verdict = judged(
        facts(stand(NEW, told(health=health.Status.DEGRADED, reason="Pod web crashes;\nsee logs")))
    )

    assert verdict.reasons == ("staging is Degraded: Pod web crashes; see logs",)


def test_no_report_is_never_healthy() -> None:
    silent = judged(facts(stand(heard=())))
    away = judged(facts(stand(heard=(), trouble="the reports cannot be read: Git is away")))

    assert (silent.state, away.state) == (promoting.State.FAILED, promoting.State.FAILED)
    assert silent.reasons[0].startswith("no agent has reported on staging yet")
    assert away.reasons == ("nobody knows how staging is: the reports cannot be read: Git is away",)


def test_a_report_about_another_tree_is_none() -> None:
    verdict = judged(facts(stand(NEW, told(tree="b" * 40))))

    assert verdict.state is promoting.State.CLOSED
    assert verdict.reasons == ("agent main has not applied what is in staging yet",)


def test_nothing_at_a_report_s_path_matches_nothing() -> None:
    heard = (promoting.Heard(told(tree=""), ""),)

    assert not judged(facts(stand(heard=heard))).open


def test_an_agent_that_refuses_is_quoted() -> None:
    verdict = judged(facts(stand(NEW, told(tree="b" * 40, ending="failed", reason="UD303: no such field"))))

    assert verdict.state is promoting.State.FAILED
    assert verdict.reasons == ("agent main has not applied what is in staging: UD303: no such field",)


def test_a_silent_agent_does_not_know() -> None:
    verdict = judged(facts(stand(NEW, told(observed=NOW - 7200))))

    assert verdict.state is promoting.State.FAILED
    assert "agent main has said nothing for 2h" in verdict.reasons[0]
    assert "refs/undrift/reports/main" in verdict.reasons[0]


def test_every_report_counts() -> None:
    """Two agents on one folder: the worse one decides."""
    verdict = judged(facts(stand(NEW, told(), told(agent="other", since=NOW - 60))))

    assert verdict.reasons == ("staging is Healthy for 1m of 1h",)


def test_another_revision_there() -> None:
    assert judged(facts(stand(OLD))).reasons == ("staging has 11111111, not 22222222",)
    assert judged(facts(promoting.Stand())).reasons == ("nothing is published in staging yet",)
    assert judged(promoting.Facts(NEW, {})).reasons == ("nothing is published in staging yet",)


def test_a_hotfix_skips_stages_and_nothing_else() -> None:
    found = facts(promoting.Stand(), hotfix="the shop is down", authors=frozenset())
    assert judged(found).open
    assert judged(found).skipped == ("nothing is published in staging yet",)
    assert not judged(found, approvals=1).open
    assert not judged(dataclasses.replace(found, frozen="year's end")).open


# --- people --------------------------------------------------------------------------------------------


def review(login: str, **parts: Any) -> forge.Review:
    """An approval of the present head."""
    return dataclasses.replace(forge.Review(login, approved=True, sha="head"), **parts)


def approved(*reviews: forge.Review, **gate: Any) -> promoting.Verdict:
    """The verdict of a gate that asks for one approval."""
    found = facts(reviews=reviews, authors=frozenset({"Ada", "bot"}), head="head")
    return judged(found, **{"approvals": 1, **gate})


def test_an_approval_by_another_person() -> None:
    assert approved(review("bob")).open


@pytest.mark.parametrize(
    "reviews, said",
    [
        ((), "there are 0 of 1 approvals"),
        ((review("ada"),), "ada made it, and does not count"),
        ((review("BOT"),), "BOT made it"),
        ((review("bob", sha="older"),), "bob approved something older"),
        ((review("bob", sha=""),), "bob approved something older"),
        ((review("bob", stale=True),), "bob approved something older"),
        ((review("bob", approved=False),), "there are 0 of 1 approvals"),
        ((review(""),), "there are 0 of 1 approvals"),
    ],
)
def test_what_is_no_approval(reviews: tuple[forge.Review, ...], said: str) -> None:
    verdict = approved(*reviews)

    assert verdict.state is promoting.State.CLOSED
    assert said in verdict.reasons[0]


def test_one_person_counts_once() -> None:
    assert not approved(review("bob"), review("Bob"), approvals=2).open
    assert approved(review("bob"), review("carol"), approvals=2).open


def test_only_those_who_may() -> None:
    assert approved(review("Carol"), approvers=("carol",)).open
    verdict = approved(review("bob"), approvers=("carol", "dan"))
    assert verdict.reasons == ("there are 0 of 1 approvals by carol or dan; bob is none of those who may",)


def test_nobody_knows_the_author() -> None:
    found = facts(reviews=(review("bob"),), authors=None, head="head")

    assert judged(found, approvals=1).state is promoting.State.FAILED
    assert judged(found).open


def test_no_head_no_approval() -> None:
    assert not judged(facts(reviews=(review("bob", sha=""),), authors=frozenset()), approvals=1).open


# --- windows, programs, freezes ------------------------------------------------------------------------


def window(start: int, end: int, kind: str = "allow") -> application.Window:
    """Each day from one hour to another, in UTC."""
    return application.Window(application.WindowKind(kind), frozenset(range(1, 8)), start * 60, end * 60)


def test_windows() -> None:
    assert judged(facts(), windows=(window(8, 10),)).open
    verdict = judged(facts(), windows=(window(10, 12),))
    assert verdict.reasons == ("no window is open; it opens in 2h",)
    assert verdict.next_at == NOW + 7200


def test_after_the_soak_a_window_has_to_be_open() -> None:
    """Both have to come true at once: the soak ends at 08:20, the window is open 08:00 to 08:10 and 22:00 to 23:00."""
    spans = (
        application.Window(application.WindowKind.ALLOW, frozenset(range(1, 8)), 480, 490),
        window(22, 23),
    )
    verdict = judged(facts(stand(NEW, told(since=NOW - 2400))), windows=spans)

    assert verdict.reasons == ("staging is Healthy for 40m of 1h",)
    assert verdict.next_at == NOW + 14 * 3600


def test_a_window_that_never_opens_needs_somebody() -> None:
    verdict = judged(facts(), windows=(window(0, 24, "deny"),))

    assert (verdict.state, verdict.next_at) == (promoting.State.FAILED, None)


def test_a_program() -> None:
    command = {"command": ("./may-go", "web")}
    assert judged(facts(), **command).reasons == ("./may-go was not run",)
    assert judged(facts(ended=promoting.Ended(0)), **command).open
    verdict = judged(facts(ended=promoting.Ended(3, "not on a\nFriday")), **command)
    assert verdict == promoting.Verdict(
        promoting.State.FAILED, ("./may-go says no (exit code 3): not on a Friday",)
    )


def test_a_freeze() -> None:
    verdict = judged(facts(frozen="year's end"))

    assert verdict.reasons == ("promotion is frozen: year's end",)


def test_all_that_is_missing_is_said_at_once() -> None:
    found = facts(stand(NEW, told(since=NOW)), authors=frozenset(), frozen="x")

    assert len(judged(found, approvals=1, windows=(window(10, 12),), command=("x",)).reasons) == 5
    assert judged(found, approvals=1).next_at is None


# --- moves ---------------------------------------------------------------------------------------------


def stage(name: str, *requires: str, **parts: Any) -> delivery.Stage:
    """A stage that wants others healthy."""
    gate = delivery.Gate(requires=tuple(delivery.Requirement(one) for one in requires))
    return delivery.Stage(name, RECIPE, gate=dataclasses.replace(gate, **parts))


def newer(one: publication.AppRevision, other: publication.AppRevision) -> bool | None:
    """By their ids."""
    return one.sha > other.sha


STAGES = (
    stage("staging"),
    stage("prod-eu", "staging"),
    stage("prod-us", "staging"),
    stage("dr", "prod-eu", "prod-us"),
)


def chosen(**stands: promoting.Stand) -> dict[str, advancing.Choice]:
    """What becomes of each stage."""
    known = {name.replace("_", "-"): one for name, one in stands.items()}
    return {one.stage: one for one in advancing.choose(STAGES, known, {}, newer, NOW)}


def test_side_by_side() -> None:
    found = chosen(staging=stand(NEW), prod_eu=stand(OLD), prod_us=stand(OLD), dr=stand(OLD))

    assert [name for name, one in found.items() if one.moves] == ["prod-eu", "prod-us"]
    assert found["prod-eu"].source == stand(NEW).provenance
    assert found["dr"].revision is None


def test_several_required_stages_have_to_agree() -> None:
    found = chosen(staging=stand(NEW), prod_eu=stand(NEW), prod_us=stand(OLD), dr=stand(OLD))

    assert found["dr"].revision is None
    assert "prod-eu has 22222222 and prod-us has 11111111" in found["dr"].verdict.reasons[0]
    assert chosen(staging=stand(NEW), prod_eu=stand(NEW), prod_us=stand(NEW), dr=stand(OLD))["dr"].moves


def test_never_backwards() -> None:
    found = chosen(staging=stand(OLD), prod_eu=stand(NEW), prod_us=promoting.Stand())

    assert not found["prod-eu"].moves
    assert found["prod-eu"].verdict.state is promoting.State.CLOSED
    assert found["prod-us"].moves


def test_what_was_rolled_back_is_held() -> None:
    back = publication.Provenance(
        "web", "prod-eu", OLD, TREE, rollback=publication.Rollback(NEW.sha, "ada", "500s")
    )
    found = chosen(staging=stand(NEW), prod_eu=promoting.Stand(back))["prod-eu"]

    assert not found.moves
    assert found.verdict.reasons == (
        "prod-eu was rolled back by ada (500s); it stays at 11111111 until somebody resumes it",
    )


def test_an_unknown_order_moves_nothing() -> None:
    [found] = advancing.choose(
        STAGES[1:2], {"staging": stand(NEW), "prod-eu": stand(OLD)}, {}, lambda *_: None, NOW
    )

    assert found.verdict.state is promoting.State.FAILED


def test_facts_about_another_revision_are_not_used() -> None:
    one = (stage("staging"), stage("prod", "staging", command=("may",)))
    known = {"staging": stand(NEW), "prod": stand(OLD)}
    good = promoting.Facts(NEW, {}, ended=promoting.Ended(0))

    assert advancing.choose(one, known, {"prod": good}, newer, NOW)[0].moves
    other = dataclasses.replace(good, revision=OLD)
    assert not advancing.choose(one, known, {"prod": other}, newer, NOW)[0].moves
    assert advancing.candidates(one, known, newer) == {"prod": NEW}


def test_approvals_of_a_pull_request_are_asked_for_there() -> None:
    one = dataclasses.replace(stage("prod", "staging", approvals=1), way=delivery.Way.PULL_REQUEST)
    direct = dataclasses.replace(one, way=delivery.Way.DIRECT)

    assert advancing.choose((one,), {"staging": stand(NEW)}, {}, newer, NOW)[0].moves
    assert not advancing.choose((direct,), {"staging": stand(NEW)}, {}, newer, NOW)[0].moves


def test_a_hotfix_jumps() -> None:
    source = publication.Provenance("web", "staging", NEW, TREE)
    dr = STAGES[3]
    found = advancing.jump(dr, source, promoting.Facts(NEW, {"dr": stand(OLD)}, hotfix="down"), newer, NOW)

    assert found.moves
    assert len(found.verdict.skipped) == 2
    with pytest.raises(ValueError, match="reason"):
        advancing.jump(dr, source, promoting.Facts(NEW, {}, hotfix=" "), newer, NOW)
    back = advancing.jump(
        dr,
        dataclasses.replace(source, revision=OLD),
        promoting.Facts(OLD, {"dr": stand(NEW)}, hotfix="down"),
        newer,
        NOW,
    )
    assert not back.moves
    same = advancing.jump(dr, source, promoting.Facts(NEW, {"dr": stand(NEW)}, hotfix="down"), newer, NOW)
    assert (same.moves, same.revision) == (False, None)


def test_a_train_goes_when_all_may() -> None:
    go = promoting.Verdict(promoting.State.OPEN)
    wait = promoting.Verdict(promoting.State.CLOSED, ("soak",), NOW + 5)
    later = promoting.Verdict(promoting.State.CLOSED, ("window",), NOW + 9)
    bad = promoting.Verdict(promoting.State.FAILED, ("Degraded",))

    assert advancing.judge_train({"a": go, "b": go}).open
    assert advancing.judge_train({"a": go, "b": wait, "c": later}) == promoting.Verdict(
        promoting.State.CLOSED, ("b: soak", "c: window"), NOW + 9
    )
    assert advancing.judge_train({"a": wait, "b": bad}) == promoting.Verdict(
        promoting.State.FAILED, ("a: soak", "b: Degraded")
    )
    assert not advancing.judge_train({}).open
