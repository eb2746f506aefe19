"""What is to be done with a stage: every case of order, drift, rollback, gates and pull requests."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from undrift import errors
from undrift.model import delivery, publication
from undrift.publishing import deciding
from undrift.sources.git import checkout

OLD, NEW, OTHER = "a" * 40, "b" * 40, "c" * 40
TREE, NEXT = "1" * 40, "2" * 40
RECIPE = delivery.Recipe("manifests", "k8s")
DIRECT = delivery.Stage("staging", RECIPE, folder="staging/pet")
REVIEWED = delivery.Stage("production", RECIPE, way=delivery.Way.PULL_REQUEST, folder="production/pet")
BACK = publication.Rollback(NEW, "ada", "it bites")


def note(sha: str = OLD, tree: str = TREE, sequence: int = 0, **more: Any) -> publication.Provenance:
    return publication.Provenance(
        "pet", "staging", publication.AppRevision(sha, sequence=sequence), tree, **more
    )


def seen(provenance: publication.Provenance | None = None, tree: str | None = None) -> deciding.Seen:
    own = provenance.tree if provenance is not None else ""
    return deciding.Seen(own if tree is None else tree, provenance)


def proposal(known: publication.Provenance, base: deciding.Seen, **more: Any) -> deciding.Proposal:
    return deciding.Proposal("d" * 40, seen(known), base, **more)


def decide(
    wanted: publication.Provenance,
    main: deciding.Seen,
    relation: checkout.Relation = checkout.Relation.AHEAD,
    options: deciding.Options = deciding.Options(),  # noqa: B008 - frozen
    **more: Any,
) -> deciding.Decision:
    places = [main, more["proposal"].seen] if more.get("proposal") else [main]
    spans = {
        one.provenance.revision.sha: checkout.Span(
            checkout.Relation.SAME if one.provenance.revision.sha == wanted.revision.sha else relation
        )
        for one in places
        if one.provenance is not None
    }
    found = {"stage": DIRECT, "proposal": None, **more}
    return deciding.decide(deciding.Situation(wanted=wanted, main=main, spans=spans, **found), options)


# --- order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "relation, before, after, order",
    [
        (checkout.Relation.SAME, 0, 0, "same"),
        (checkout.Relation.SAME, 7, 0, "same"),
        (checkout.Relation.SAME, 7, 7, "same"),
        (checkout.Relation.SAME, 7, 8, "same"),
        (checkout.Relation.SAME, 8, 7, "older"),
        (checkout.Relation.AHEAD, 0, 0, "newer"),
        (checkout.Relation.AHEAD, 8, 7, "newer"),
        (checkout.Relation.BEHIND, 0, 0, "older"),
        (checkout.Relation.BEHIND, 7, 8, "older"),
        (checkout.Relation.APART, 7, 8, "newer"),
        (checkout.Relation.APART, 8, 7, "older"),
        (checkout.Relation.UNKNOWN, 7, 8, "newer"),
        (checkout.Relation.UNKNOWN, 8, 7, "older"),
    ],
)
def test_ancestry_counts_before_the_number_of_the_build(
    relation: checkout.Relation, before: int, after: int, order: str
) -> None:
    found = deciding.order(
        note(sequence=before), note(NEW, sequence=after), {OLD: checkout.Span(relation)}, deciding.Options()
    )

    assert found == order


@pytest.mark.parametrize("relation", [checkout.Relation.APART, checkout.Relation.UNKNOWN])
@pytest.mark.parametrize("numbers", [(0, 0), (7, 0), (0, 7), (7, 7)])
def test_what_nobody_can_tell_is_said(relation: checkout.Relation, numbers: tuple[int, int]) -> None:
    before, after = numbers
    with pytest.raises(errors.OrderUnknown) as caught:
        deciding.order(
            note(sequence=before),
            note(NEW, sequence=after),
            {OLD: checkout.Span(relation)},
            deciding.Options(),
        )

    assert "bbbbbbbb" in caught.value.what
    assert "aaaaaaaa" in caught.value.what
    assert "--sequence" in caught.value.hint


def test_rewritten_history_may_be_accepted_where_it_is_known() -> None:
    options = deciding.Options(rewritten=True)

    assert (
        deciding.order(note(), note(NEW), {OLD: checkout.Span(checkout.Relation.APART)}, options)
        is deciding.Order.NEWER
    )
    with pytest.raises(errors.OrderUnknown):
        deciding.order(note(), note(NEW), {OLD: checkout.Span(checkout.Relation.UNKNOWN)}, options)


def test_an_older_one_is_superseded() -> None:
    found = decide(note(NEW, NEXT), seen(note()), checkout.Relation.BEHIND)

    assert (found.step, found.outcome) == (deciding.Step.LEAVE, publication.Outcome.SUPERSEDED)
    assert "aaaaaaaa" in found.reason


# --- direct stages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("main", [seen(), seen(note())])
def test_a_newer_one_is_committed(main: deciding.Seen) -> None:
    assert decide(note(NEW, NEXT), main) == deciding.Decision(
        deciding.Step.COMMIT, publication.Outcome.PUBLISHED
    )


def test_the_same_is_left_alone() -> None:
    assert decide(note(sequence=9), seen(note(sequence=8))) == deciding.Decision(
        deciding.Step.LEAVE, publication.Outcome.UNCHANGED
    )


@pytest.mark.parametrize(
    "wanted",
    [
        note(NEW),
        note(tree=NEXT),
        note(variables={"TAG": "2"}),
        note(images={"app": "pet:2"}),
        note(values={"a": "b"}),
        note(hotfix="now"),
        note(rollback=BACK),
    ],
)
def test_what_differs_in_anything_is_committed(wanted: publication.Provenance) -> None:
    assert decide(wanted, seen(note())).step is deciding.Step.COMMIT


def test_a_closed_gate_lets_wait() -> None:
    found = decide(note(NEW, NEXT), seen(note()), gate="staging is Degraded")

    assert found == deciding.Decision(deciding.Step.LEAVE, publication.Outcome.WAITING, "staging is Degraded")
    assert decide(note(), seen(note()), gate="closed").outcome is publication.Outcome.UNCHANGED


def test_a_hotfix_goes_past_a_gate() -> None:
    assert (
        decide(note(NEW, NEXT), seen(note()), options=deciding.Options(hotfix="now"), gate="x").step
        is deciding.Step.COMMIT
    )


# --- drift ------------------------------------------------------------------------------------------------


def test_a_hand_edit_stands_in_the_way() -> None:
    with pytest.raises(errors.HandEdited, match="was edited by hand"):
        decide(note(NEW, NEXT), seen(note(), "3" * 40))


def test_an_edit_stands_in_the_way_of_the_same_revision_too() -> None:
    with pytest.raises(errors.HandEdited):
        decide(note(), seen(note(), "3" * 40))


def test_files_that_nobody_published_stand_in_the_way() -> None:
    with pytest.raises(errors.HandEdited, match="nobody published") as caught:
        decide(note(NEW, NEXT), deciding.Seen("3" * 40, None, "it is not JSON"))

    assert caught.value.why == "it is not JSON"


def test_an_edit_to_what_is_wanted_is_taken_over() -> None:
    assert decide(note(NEW, NEXT), seen(note(), NEXT)).step is deciding.Step.COMMIT


def test_an_edit_may_be_overwritten() -> None:
    assert (
        decide(note(NEW, NEXT), seen(note(), "3" * 40), options=deciding.Options(overwrite=True)).step
        is deciding.Step.COMMIT
    )


def test_an_edit_is_shown_in_a_pull_request() -> None:
    assert decide(note(NEW, NEXT), seen(note(), "3" * 40), stage=REVIEWED).step is deciding.Step.PROPOSE


# --- rollbacks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [DIRECT, REVIEWED])
def test_a_stage_that_was_taken_back_is_left_alone(stage: delivery.Stage) -> None:
    found = decide(note(NEW, NEXT), seen(note(rollback=BACK)), stage=stage)

    assert found.outcome is publication.Outcome.HELD
    assert found.reason == "it was rolled back from bbbbbbbb by ada: it bites; let it go on with --resume"


def test_a_rollback_that_waits_for_review_counts_too() -> None:
    main = seen(note(NEW, NEXT))
    waiting = proposal(note(rollback=BACK), main)

    assert (
        decide(note(OTHER, "3" * 40), main, stage=REVIEWED, proposal=waiting).outcome
        is publication.Outcome.HELD
    )


@pytest.mark.parametrize("stage, step", [(DIRECT, deciding.Step.COMMIT), (REVIEWED, deciding.Step.PROPOSE)])
def test_a_person_lets_it_go_on(stage: delivery.Stage, step: deciding.Step) -> None:
    main = seen(note(rollback=BACK))

    assert decide(note(NEW, NEXT), main, options=deciding.Options(resume=True), stage=stage).step is step


@pytest.mark.parametrize("stage, step", [(DIRECT, deciding.Step.COMMIT), (REVIEWED, deciding.Step.PROPOSE)])
def test_it_goes_on_though_what_comes_is_what_is_there(stage: delivery.Stage, step: deciding.Step) -> None:
    """Else the note would stand for ever, and automation would stay away though a person said otherwise."""
    main = seen(note(rollback=BACK))

    assert decide(note(NEW), main, options=deciding.Options(resume=True), stage=stage).step is step


@pytest.mark.parametrize("stage, step", [(DIRECT, deciding.Step.COMMIT), (REVIEWED, deciding.Step.PROPOSE)])
def test_a_rollback_goes_back_though_it_is_older(stage: delivery.Stage, step: deciding.Step) -> None:
    assert (
        decide(note(rollback=BACK), seen(note(NEW, NEXT)), checkout.Relation.BEHIND, stage=stage).step is step
    )


def test_a_rollback_to_what_is_there_is_one() -> None:
    assert (
        decide(note(rollback=BACK), seen(note(NEW)), checkout.Relation.BEHIND, stage=REVIEWED).step
        is deciding.Step.PROPOSE
    )


# --- pull requests ----------------------------------------------------------------------------------------


def test_what_is_newer_is_proposed() -> None:
    assert decide(note(NEW, NEXT), seen(note()), stage=REVIEWED) == deciding.Decision(
        deciding.Step.PROPOSE, publication.Outcome.PUBLISHED
    )


def test_what_is_proposed_already_is_left_alone() -> None:
    main = seen(note())
    found = decide(note(NEW, NEXT), main, stage=REVIEWED, proposal=proposal(note(NEW, NEXT), main))

    assert found == deciding.Decision(deciding.Step.LEAVE, publication.Outcome.PUBLISHED)


def test_it_is_made_again_where_the_folder_below_it_changed() -> None:
    main = seen(note())
    below = seen(note(OTHER, "3" * 40))

    assert (
        decide(note(NEW, NEXT), main, stage=REVIEWED, proposal=proposal(note(NEW, NEXT), below)).step
        is deciding.Step.PROPOSE
    )


def test_older_than_what_is_proposed_is_superseded() -> None:
    main = seen()
    waiting = proposal(note(OTHER, "3" * 40), main)

    assert (
        decide(note(NEW, NEXT), main, checkout.Relation.BEHIND, stage=REVIEWED, proposal=waiting).outcome
        is publication.Outcome.SUPERSEDED
    )


def test_commits_of_people_are_not_fought() -> None:
    main = seen(note())
    theirs = proposal(note(NEW, NEXT), main, ours=False, other="dddddddd Help out (grace)")

    with pytest.raises(errors.BranchTaken, match="commits of somebody else") as caught:
        decide(note(NEW, NEXT), main, stage=REVIEWED, proposal=theirs)

    assert caught.value.why == "dddddddd Help out (grace)"


def test_what_a_person_closed_is_not_proposed_again() -> None:
    found = decide(note(NEW, NEXT), seen(note()), stage=REVIEWED, closed={NEXT: "https://forge.example/7"})

    assert (found.step, found.outcome) == (deciding.Step.LEAVE, publication.Outcome.HELD)
    assert "https://forge.example/7" in found.reason
    assert (
        decide(note(NEW, "4" * 40), seen(note()), stage=REVIEWED, closed={NEXT: "#7"}).step
        is deciding.Step.PROPOSE
    )


def test_nothing_is_proposed_where_the_content_is_there() -> None:
    main = seen(note())

    assert decide(note(NEW), main, stage=REVIEWED) == deciding.Decision(
        deciding.Step.LEAVE, publication.Outcome.UNCHANGED
    )
    assert (
        decide(note(NEW), main, stage=REVIEWED, proposal=proposal(note(NEW, NEXT), main)).step
        is deciding.Step.WITHDRAW
    )


def test_a_situation_is_a_value() -> None:
    """Deciding changes nothing, so that it may be asked again after a lost race."""
    wanted = note(NEW, NEXT)
    found = deciding.Situation(
        DIRECT, wanted, seen(note()), None, {OLD: checkout.Span(checkout.Relation.AHEAD)}
    )
    before = dataclasses.replace(found)

    assert deciding.decide(found, deciding.Options()) == deciding.decide(found, deciding.Options())
    assert found == before
