"""Images that go along with a revision that a stage has already."""

from __future__ import annotations

import pytest

from undrift.engine import advancing, promoting
from undrift.model import delivery, publication

CACHE = "registry.example/cache"
RECIPE = delivery.Recipe("manifests", ".")


def known(
    images: dict[str, str], sha: str = "a", rollback: publication.Rollback | None = None
) -> publication.Provenance:
    return publication.Provenance(
        "shop", "staging", publication.AppRevision(sha), "tree", images=images, rollback=rollback
    )


def chosen(source: publication.Provenance, there: publication.Provenance, *watched: str) -> advancing.Choice:
    """What becomes of production, whose gate asks for nothing but that staging has the revision."""
    stage = delivery.Stage(
        "production",
        RECIPE,
        gate=delivery.Gate(requires=(delivery.Requirement("staging"),)),
        watched=watched,
    )
    stands = {"staging": promoting.Stand(source), "production": promoting.Stand(there)}
    facts = {"production": promoting.Facts(source.revision, stands, hotfix="")}
    [choice] = advancing.choose(
        (delivery.Stage("staging", RECIPE), stage), stands, facts, lambda new, old: new.sha > old.sha, 0.0
    )
    return choice


def test_a_new_image_of_the_same_revision_waits_before_the_gate() -> None:
    choice = chosen(known({"cache": f"{CACHE}:2"}), known({"cache": f"{CACHE}:1"}))
    assert choice.revision is not None
    assert not choice.verdict.open, "no agent has reported on staging"
    assert choice.source is not None
    assert choice.source.images == {"cache": f"{CACHE}:2"}


@pytest.mark.parametrize(
    "source, there, watched",
    [
        (known({"cache": f"{CACHE}:2"}), known({"cache": f"{CACHE}:2"}), ()),
        (known({}), known({"cache": f"{CACHE}:2"}), ()),
        (known({"cache": f"{CACHE}:2"}), known({"cache": f"{CACHE}:1"}), (CACHE,)),
        (known({"cache": f"{CACHE}@sha256:2"}), known({}), (CACHE,)),
        (
            known({"cache": f"{CACHE}:1"}, rollback=publication.Rollback("b")),
            known({"cache": f"{CACHE}:2"}),
            (),
        ),
    ],
    ids=["the same", "staging has none", "watched itself", "watched, pinned", "taken back"],
)
def test_what_does_not_go_along(
    source: publication.Provenance, there: publication.Provenance, watched: tuple[str, ...]
) -> None:
    assert chosen(source, there, *watched).revision is None


def test_another_image_than_the_watched_one_goes_along() -> None:
    source = known({"cache": f"{CACHE}-proxy:2"})
    assert chosen(source, known({}), CACHE).revision is not None


def test_a_stage_that_was_taken_back_gets_no_image() -> None:
    there = known({"cache": f"{CACHE}:1"}, rollback=publication.Rollback("b"))
    choice = chosen(known({"cache": f"{CACHE}:2"}), there)
    assert choice.verdict.state is promoting.State.FAILED
    assert "rolled back" in choice.verdict.reasons[0]
