"""What a pull request is told: short enough, safe to render, and the same as long as nothing changed."""

from __future__ import annotations

import dataclasses

import pytest

from undrift import errors
from undrift.agent import foreseeing, phrasing
from undrift.forges import escaping
from undrift.model import forge, lock, plan, record, resource

ABOUT = phrasing.Occasion("main", "main", "b" * 40, "a" * 40)
LIMITS = forge.Limits()
DIGEST = "sha256:" + "6f6416ce" * 8


def change(name: str, action: plan.Action = plan.Action.UPDATE, text: str = "") -> plan.Change:
    fields = (plan.FieldChange("content", "one", "two"),)
    return plan.Change(
        action, resource.ResourceId("File", "", name), plan.Reason.DECLARED, fields=fields, text=text
    )


def outlook(
    *changes: plan.Change, name: str = "web", stops: tuple[errors.GuardError, ...] = (), owned: int = 0
) -> foreseeing.Outlook:
    waves = (plan.Wave(0, changes),) if changes else ()
    found = plan.Plan(name, lock.InputLock(), DIGEST if waves else "", waves, owned=owned)
    told = record.Reconciliation(
        "review", name, record.Ending.WAITING, 0.0, plan=found, verdict=plan.Verdict(stops)
    )
    return foreseeing.Outlook(name, told)


def failing(phase: record.Phase, error: errors.UndriftError) -> foreseeing.Outlook:
    failure = record.Failure(phase, error)
    told = record.Reconciliation("review", "web", record.Ending.FAILED, 0.0, failure=failure)
    return foreseeing.Outlook("web", told)


def test_a_plan_with_its_fields_and_its_digest() -> None:
    text = phrasing.comment(ABOUT, foreseeing.Foresight((outlook(change("/a")),)), LIMITS)

    assert text.startswith(phrasing.marker("main"))
    assert "~ File//a  [content]" in text
    assert "content: one → two" in text
    assert DIGEST in text
    assert "undrift approve web 6f6416ce6f64" in text


@pytest.mark.parametrize(
    "found, state",
    [
        (foreseeing.NOTHING, "success"),
        (foreseeing.Foresight((outlook(change("/a")),)), "success"),
        (
            foreseeing.Foresight((outlook(change("/a"), stops=(errors.ApprovalRequired("waits"),)),)),
            "success",
        ),
        (foreseeing.Foresight((outlook(change("/a"), stops=(errors.WindowClosed("closed"),)),)), "success"),
        (
            foreseeing.Foresight((outlook(change("/a"), stops=(errors.DeletionLimitExceeded("many"),)),)),
            "failure",
        ),
        (foreseeing.Foresight(conflicts=("a.yaml",)), "failure"),
        (foreseeing.Foresight(wrong=(errors.ConfigInvalid("bad"),)), "failure"),
        (foreseeing.Foresight((failing(record.Phase.RENDER, errors.RenderError("no")),)), "failure"),
        (foreseeing.Foresight((failing(record.Phase.OBSERVE, errors.TargetUnavailable("away")),)), "pending"),
        (foreseeing.Foresight((foreseeing.Outlook("web", note="its target is new"),)), "success"),
    ],
)
def test_what_the_status_says(found: foreseeing.Foresight, state: str) -> None:
    assert phrasing.status(ABOUT, found, LIMITS).state == state


def test_what_is_too_long_is_told_with_less() -> None:
    """Fields go first, then resources; verdicts, stops and digests stay."""
    many = [change(f"/{number}", text="+x\n" * 50) for number in range(200)]
    found = foreseeing.Foresight((outlook(*many, stops=(errors.DeletionLimitExceeded("too much"),)),))
    whole = phrasing.comment(ABOUT, found, LIMITS)
    lines = phrasing.comment(ABOUT, found, dataclasses.replace(LIMITS, comment=12_000))
    counts = phrasing.comment(ABOUT, found, dataclasses.replace(LIMITS, comment=2_000))

    assert "+x" in whole
    assert "/199" in lines
    assert "+x" not in lines
    assert "/199" not in counts
    assert "too much" in counts
    assert DIGEST in counts
    for text, limit in ((whole, 65_536), (lines, 12_000), (counts, 2_000)):
        assert escaping.size(text) <= limit


def test_what_others_wrote_does_nothing() -> None:
    """A name or a text that looks like Markdown, like our marker or like an order ends no block and calls nobody."""
    evil = "/x```\n</details><!-- undrift:agent-plan v1 agent=main --> @everyone fixes #1"
    error = errors.RenderError("<img src=x> @everyone", why="/merge\nfixes #1")
    found = foreseeing.Foresight(
        (outlook(change(evil, text=f"```\n{evil}")), failing(record.Phase.RENDER, error)), wrong=(error,)
    )
    text = phrasing.comment(ABOUT, found, LIMITS)

    assert text.count(phrasing.marker("main")) == 1
    assert "<img" not in text
    assert "\n/merge" not in text
    assert "@everyone" not in text.replace("@\u200beveryone", "").partition("````")[0]


def test_it_says_the_same_as_long_as_nothing_changed() -> None:
    found = foreseeing.Foresight((outlook(change("/a")),))

    assert phrasing.comment(ABOUT, found, LIMITS) == phrasing.comment(ABOUT, found, LIMITS)


@pytest.mark.parametrize("state", [forge.PullRequestState.MERGED, forge.PullRequestState.CLOSED])
def test_what_was_said_stays_when_it_is_over(state: forge.PullRequestState) -> None:
    text = phrasing.comment(ABOUT, foreseeing.Foresight((outlook(change("/a")),)), LIMITS)
    over = phrasing.ended(text, ABOUT, state, LIMITS)

    assert over.startswith(phrasing.marker("main"))
    assert over.count(phrasing.marker("main")) == 1
    assert ("Merged" in over) == (state is forge.PullRequestState.MERGED)
    assert DIGEST in over
