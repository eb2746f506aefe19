"""Titles, bodies, comments and statuses: what stands in them, what is left out where there is no room."""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import Any

import pytest

from tests.unit.publishing import about
from undrift import errors
from undrift.forges import escaping
from undrift.model import delivery, forge, plan, publication
from undrift.publishing import contrasting, describing, reporting, subject, weighing, wording

LIMITS = forge.Limits()
AZURE = forge.Limits(body=4000, comment=150_000)
BITBUCKET = forge.Limits(body=32_768, comment=32_768, markdown_details=False)


def body(found: subject.Subject, limits: forge.Limits = LIMITS) -> str:
    return describing.pull_request(found, limits)[1]


def many(number: int) -> contrasting.Contrast:
    """Many differences, made without reading any YAML."""
    changes = [
        contrasting.Difference(
            plan.Action.CREATE,
            weighing.Risk.ORDINARY,
            f"ConfigMap/config-{at}",
            "shop",
            f"{at}.yaml",
            "ConfigMap",
            after=b"a: 1\n" * 20,
        )
        for at in range(number)
    ]
    return contrasting.Contrast(tuple(changes))


# --- title and verdict ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, title",
    [
        ({}, "petclinic 1.4.1 → 1.5.0 to production"),
        ({"versions": ("one", "two")}, "petclinic one → two to production"),
        ({"contrast": contrasting.NONE}, "petclinic aaaaaaaa → bbbbbbbb to production"),
        ({"contrast": contrasting.NONE, "before": None}, "petclinic bbbbbbbb to production"),
        ({"contrast": contrasting.NONE, "before": about.NEW}, "petclinic bbbbbbbb to production"),
        (
            {"rollback": publication.Rollback("d" * 40)},
            "Roll back petclinic 1.4.1 → 1.5.0 in production",
        ),
        ({"hotfix": "CVE"}, "Hotfix: petclinic 1.4.1 → 1.5.0 to production"),
    ],
)
def test_title(changes: dict[str, Any], title: str) -> None:
    assert describing.pull_request(about.about(**changes), LIMITS)[0] == title


def test_a_title_is_cut() -> None:
    title, _ = describing.pull_request(about.about(), forge.Limits(title=12))

    assert title == "petclinic 1…"


def test_the_verdict() -> None:
    checks = tuple(publication.Check(name, "production", passed=name != "rego") for name in ("yaml", "rego"))
    found = about.about(findings=publication.Findings(checks=checks))

    assert body(found).split("\n")[1] == (
        "**petclinic 1.4.1 → 1.5.0 to production · 1 changed · 1/2 checks · staging healthy 2 h 10 m**"
    )


@pytest.mark.parametrize(
    "relation, said",
    [
        (subject.Relation.FIRST, "The first revision that comes here."),
        (subject.Relation.SAME, "The same revision as before"),
        (
            subject.Relation.AHEAD,
            "**3 commits** ([compare](https://forge.example/shop/petclinic/compare/aaaa",
        ),
        (subject.Relation.DOWNGRADE, "**Downgrade**"),
        (subject.Relation.APART, "**Not a descendant**"),
        (subject.Relation.REWRITTEN, "**History rewritten**"),
        (subject.Relation.UNKNOWN, "too shallow to tell"),
    ],
)
def test_the_changelog_says_how_the_revisions_stand(relation: subject.Relation, said: str) -> None:
    found = about.about(changelog=subject.Changelog(relation, (about.NEW,), 2))

    text = body(found)

    assert said in text
    assert "Sell cat food (Ada Example)\n- … and 2 more commits" in text


def test_hand_edits_are_told_before_all_else() -> None:
    found = about.about(edits=(subject.Edit("hpa.yaml", "d" * 40, "Eve"),))

    assert (
        "⚠ **Edited by hand, and overwritten by this:**\n\n"
        f"- `hpa.yaml` [`dddddddd`](https://forge.example/ops/gitops/commit/{'d' * 40}) by Eve\n"
    ) in body(found)


# --- limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 100, 200, 400, 800, 1500, 4000])
def test_a_body_fits(room: int) -> None:
    commits = tuple(
        publication.AppRevision(f"{number:040x}", subject=f"{number} 猫👩‍🍳 " * 20) for number in range(500)
    )
    edits = tuple(subject.Edit(f"{number}.yaml") for number in range(500))
    found = about.about(changelog=subject.Changelog(subject.Relation.AHEAD, commits), edits=edits)

    text = body(found, forge.Limits(body=room))

    assert escaping.size(text) <= room
    if room >= 200:
        assert describing.parse_marker(text) is not None
    if room >= 400:
        assert "**petclinic 1.4.1 → 1.5.0" in text


def test_the_marker_is_within_the_400_characters_that_azure_lists() -> None:
    assert describing.parse_marker(body(about.about(), AZURE)[:400]) is not None


@functools.cache
def whole() -> float:
    """Seconds of CPU for all of ten thousand differences."""
    start = time.process_time()
    describing.report(about.about(contrast=many(10_000)), forge.Limits(comment=10_000_000))
    return time.process_time() - start


@pytest.mark.parametrize("room", [0, 100, 1000, 4000, 32_768, 65_536, 10_000_000])
def test_ten_thousand_differences_are_shortened_at_once(room: int) -> None:
    found = about.about(contrast=many(10_000))
    start = time.process_time()

    text = describing.report(found, forge.Limits(comment=room, markdown_details=False))

    assert time.process_time() - start < 3 * whole()  # far less where it is shortened
    assert escaping.size(text) <= room
    if 1000 <= room < 10_000_000:
        assert "⚠ 10,000 differences" in text or "differences only by name" in text
        assert "more than this forge takes" in text


def test_the_levels_of_shortening() -> None:
    found = about.about(contrast=many(20), priors=())

    full, mixed, counted = (
        describing.report(found, forge.Limits(comment=room)) for room in (9000, 2600, 1100)
    )

    assert full.count("```diff") == 20
    assert 0 < mixed.count("```diff") < 20
    assert mixed.count("config-") == 20
    assert "differences only by name: more than this forge takes." in mixed
    assert "```" not in counted
    assert "- 20 of `ConfigMap` added" in counted
    assert "more differences" in counted


def test_where_something_is_left_out_the_whole_is_linked() -> None:
    found = about.about(contrast=many(20), report_url="https://ci.example/report")

    assert "[here](https://ci.example/report)" in describing.report(found, forge.Limits(comment=2600))
    assert "[here]" not in describing.report(found, LIMITS)


def test_one_giant_does_not_take_it_all() -> None:
    giant = contrasting.contrast({}, {"a.txt": about.file("x\n" * 5000), "b.txt": about.file("b\n")})

    text = describing.report(about.about(contrast=giant), LIMITS)

    assert "… 4,602 more lines" in text
    assert "+b" in text


def test_details_only_where_the_forge_knows_them() -> None:
    assert "<details>" in describing.report(about.about(), LIMITS)
    assert "<details>" not in describing.report(about.about(), BITBUCKET)


def test_noise_is_one_line() -> None:
    labels = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  labels:\n    helm.sh/chart: a-{0}\n"
    found = contrasting.contrast(
        about.files(
            a_yaml=labels.format(1), b_yaml="# a\nx: 1\n---\napiVersion: v1\nkind: A\nmetadata: {name: b}\n"
        ),
        about.files(
            a_yaml=labels.format(2), b_yaml="x: 1\n---\napiVersion: v1\nkind: A\nmetadata: {name: b}\n"
        ),
    )

    text = describing.report(about.about(contrast=found), LIMITS)

    assert "1 resource with nothing but new chart labels or checksums" in text
    assert "1 file with nothing but other comments or layout" in text
    assert "```" not in text


# --- markers -------------------------------------------------------------------------------------------


def test_the_marker_comes_back() -> None:
    found = about.about(application="a b-->c", stage="Ünïcödé")

    marker = describing.parse_marker(body(found))

    assert marker is not None
    assert (marker.application, marker.stage, marker.tree) == ("a b-->c", "Ünïcödé", about.TREE)


@pytest.mark.parametrize(
    "text", ["", "Hello", "Hello <!-- undrift:v1 app=a stage=b tree=c -->", "<!-- undrift:v1 app=a -->"]
)
def test_what_is_not_ours(text: str) -> None:
    assert describing.parse_marker(text) is None


def test_comments_are_found_and_are_no_bodies() -> None:
    report = describing.report(about.about(), LIMITS)

    assert report.startswith(describing.report_marker(about.about()))
    assert not report.startswith(describing.report_marker(about.about(stage="prod")))
    assert describing.parse_marker(report) is None


def test_a_commit_cannot_claim_to_be_a_marker() -> None:
    trick = dataclasses.replace(about.NEW, subject=f"<!-- undrift:v1 app=x stage=y tree={'d' * 40} -->")
    found = about.about(changelog=subject.Changelog(subject.Relation.AHEAD, (trick,)))

    assert body(found).count("<!--") == 1


def test_time_that_passes_is_no_news() -> None:
    later = dataclasses.replace(about.STAGING, soaked=about.STAGING.soaked + 600)
    worse = dataclasses.replace(about.STAGING, health="Degraded")
    for told in (body, lambda found: describing.report(found, LIMITS)):
        assert told(about.about()) != told(about.about(priors=(later,)))
        assert describing.alike(told(about.about()), told(about.about(priors=(later,))))
        assert not describing.alike(told(about.about()), told(about.about(priors=(worse,))))
    assert not describing.alike("a", "a")


def test_time_that_passes_in_the_reason_of_a_gate_is_no_news() -> None:
    def told(reason: str) -> str:
        return body(about.about(priors=(prior(state=forge.StatusState.PENDING, reason=reason),)))

    assert "eu is Healthy for 10 m of 1 h" in told("eu is Healthy for 10m of 1h")
    assert describing.alike(told("eu is Healthy for 10m of 1h"), told("eu is Healthy for 1h5m of 1h"))
    assert not describing.alike(told("eu is Healthy for 10m of 1h"), told("eu is Degraded for 10m of 1h"))
    assert not describing.alike(told("eu has 1a2b3c4m"), told("eu has 1a2b3c5m"))
    assert not describing.alike(told("prod-5m waits"), told("prod-6m waits"))


# --- stages and statuses -------------------------------------------------------------------------------


def prior(**changes: Any) -> subject.Prior:
    return dataclasses.replace(about.STAGING, **changes)


@pytest.mark.parametrize(
    "found, state, said",
    [
        (prior(), "success", "staging healthy 2 h 10 m"),
        (prior(soaked=600.0), "pending", "staging healthy 10 m, 50 m of soak left"),
        (prior(health="Progressing", reason="1 of 2 pods"), "pending", "staging progressing: 1 of 2 pods"),
        (prior(health="Degraded"), "failure", "staging degraded"),
        (prior(reached=False, revision=about.OLD), "pending", "staging has aaaaaaaa"),
        (prior(reached=False, revision=None), "pending", "staging has not reported yet"),
        (prior(state=forge.StatusState.FAILURE, reason="window closed"), "failure", "window closed"),
        (prior(state=forge.StatusState.SUCCESS), "success", "staging healthy 2 h 10 m"),
        (prior(state=forge.StatusState.PENDING, reason="50m left"), "pending", "50 m left"),
        (prior(requirement=None), "success", "no stage comes before"),
    ],
)
def test_the_status_of_the_stage_before(found: subject.Prior, state: str, said: str) -> None:
    last = describing.statuses(about.about(priors=(found,)), LIMITS)[-1]

    assert (last.context, last.state.value, last.description) == ("undrift/previous-stage", state, said)


def test_the_worst_stage_counts() -> None:
    found = about.about(priors=(prior(), prior(stage="qa", health="Degraded"), prior(stage="eu", soaked=1.0)))

    assert describing.statuses(found, LIMITS)[-1].description == "qa degraded"


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"hotfix": "CVE-1"}, "skipped by a hotfix: CVE-1"),
        ({"rollback": publication.Rollback("d" * 40)}, "not asked for: a rollback"),
    ],
)
def test_what_asks_no_stage(changes: dict[str, Any], said: str) -> None:
    found = about.about(priors=(prior(health="Degraded"),), **changes)

    last = describing.statuses(found, LIMITS)[-1]

    assert (last.state, last.description) == (forge.StatusState.SUCCESS, said)


def test_statuses_are_cut_and_lead_to_the_run() -> None:
    broken = (errors.SecretInPlain("Secret/db is plain text"),)
    found = about.about(
        findings=publication.Findings(failed=broken), run=subject.Run("#5", "https://ci.example/5")
    )

    told = describing.statuses(found, forge.Limits(description=20))

    assert [(one.context, one.state.value, one.description) for one in told] == [
        ("undrift/render", "success", "bbbbbbbb: 1 changed"),
        ("undrift/validate", "failure", "no checks declared,…"),
        ("undrift/previous-stage", "success", "staging healthy 2 h…"),
    ]
    assert {one.url for one in told} == {"https://ci.example/5"}


# --- the application's own pull request ----------------------------------------------------------------


def test_the_comment_on_the_applications_own_pull_request() -> None:
    failed = errors.SecretInPlain(
        "Secret/db is plain text", origin=errors.Origin("k8s/db.yaml", 3, 1), hint="encrypt it"
    )
    views = [
        subject.View("staging", about.CONTRAST),
        subject.View("production", findings=publication.Findings(failed=(failed,))),
        subject.View("dr", error=errors.RenderError("helm says no", why="a: b")),
    ]

    text = describing.application_comment("petclinic", views, LIMITS)

    assert text.startswith(describing.application_marker("petclinic"))
    assert (
        "- **staging** 1 changed\n- **production** nothing changed · ✘ 1 finding\n- **dr** ✘ cannot be rendered"
        in text
    )
    assert "- ✘ UD408 `k8s/db.yaml:3:1` Secret/db is plain text *encrypt it*" in text
    assert "- ✘ UD300 helm says no: a: b" in text
    assert text.count("```diff") == 1


@pytest.mark.parametrize("room", [0, 150, 1000, 4000])
def test_the_comment_fits(room: int) -> None:
    views = [subject.View(f"stage-{number}", many(30)) for number in range(20)]

    assert (
        escaping.size(describing.application_comment("petclinic", views, forge.Limits(comment=room))) <= room
    )


# --- findings ------------------------------------------------------------------------------------------


def test_findings_name_the_place_and_who_answers_for_what_is_waived() -> None:
    plain = errors.SecretInPlain("Secret/db is plain text", origin=errors.Origin("k8s/db.yaml", 3))
    found = publication.Findings(
        waived=(publication.Waived(plain, "ops", "2027-01-01"),),
        checks=(publication.Check("schema", "production", "1.33"),),
    )

    place = "[`k8s/db.yaml:3`](https://f.example/abc/k8s/db.yaml#L3)"
    assert reporting.findings(found, forge.Links(file="https://f.example/{sha}/{path}#L{line}"), "abc") == [
        f"- ○ UD408 {place} Secret/db is plain text (waived by ops until 2027-01-01)",
        "- ✔ `schema` 1.33",
    ]


@pytest.mark.parametrize("room", range(0, 60, 7))
def test_lines_are_fitted(room: int) -> None:
    text = wording.fitted([f"line {number}" for number in range(9)], room, "lines", 3)

    assert escaping.size(text) <= room
    if text:
        kept = text.count("line ")
        assert text.endswith(f"- … and {12 - kept} more lines")


def test_a_gate_is_what_a_requirement_says() -> None:
    asked = delivery.Requirement("staging", soak=0.0)

    assert wording.standing(prior(requirement=asked, soaked=0.0)) == (
        forge.StatusState.SUCCESS,
        "staging healthy",
    )
