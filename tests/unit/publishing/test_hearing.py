"""What is told of stages: the words of statuses and pull requests, and which reports are about which folder."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from undrift.engine import promoting
from undrift.model import delivery, forge, health, publication, report
from undrift.publishing import hearing

RECIPE = delivery.Recipe("manifests", "k8s")
GATE = delivery.Gate(requires=(delivery.Requirement("staging", soak=60.0),))
PRODUCTION = delivery.Stage("production", RECIPE, folder="production/web", gate=GATE)
REVISION = publication.AppRevision("1" * 40)
PROVENANCE = publication.Provenance("web", "staging", REVISION, "")
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    "change, state, said",
    [
        ({}, "success", "web-staging: applied, Healthy"),
        ({"health": health.Status.SUSPENDED}, "success", "web-staging: applied, Suspended"),
        (
            {"health": health.Status.PROGRESSING, "reason": "1 of 2"},
            "pending",
            "web-staging: Progressing: 1 of 2",
        ),
        ({"health": health.Status.DEGRADED, "reason": "crash"}, "failure", "web-staging: Degraded: crash"),
        ({"tree": "0"}, "pending", "web-staging: not applied yet"),
        (
            {"tree": "0", "ending": "waiting", "reason": "approve"},
            "pending",
            "web-staging: not applied: approve",
        ),
        ({"observed": 0.0}, "error", "web-staging: nobody knows; agent main has not been heard of"),
    ],
)
def test_outcomes(change: dict[str, Any], state: str, said: str) -> None:
    good = report.Report(
        application="web-staging",
        agent="main",
        tree="t",
        health=health.Status.HEALTHY,
        observed=NOW,
        within=60.0,
    )
    stand = promoting.Stand(PROVENANCE, (promoting.Heard(dataclasses.replace(good, **change), "t"),))

    assert hearing.outcome(stand, NOW) == (state, said)


def test_a_pull_request_shows_the_stages_before() -> None:
    good = report.Report(
        application="web",
        agent="main",
        tree="t",
        health=health.Status.HEALTHY,
        since=NOW - 20,
        observed=NOW,
        within=60.0,
    )
    stand = promoting.Stand(PROVENANCE, (promoting.Heard(good, "t"),))
    [prior] = hearing.priors(PRODUCTION, promoting.Facts(REVISION, {"staging": stand}, frozen="x"), NOW)

    assert (prior.stage, prior.reached, prior.health, prior.soaked) == ("staging", True, "Healthy", 20.0)
    assert (prior.state, prior.reason) == (forge.StatusState.PENDING, "staging is Healthy for 20s of 1m")
    [unheard] = hearing.priors(PRODUCTION, promoting.Facts(REVISION, {}), NOW)
    assert (unheard.health, unheard.reached, unheard.revision) == ("Unknown", False, None)


def test_nobody_has_reported() -> None:
    assert hearing.outcome(promoting.Stand(PROVENANCE), NOW)[0] is forge.StatusState.PENDING
    away = promoting.Stand(PROVENANCE, trouble="Git is away")
    assert hearing.outcome(away, NOW) == (forge.StatusState.PENDING, "Git is away")


def test_the_worst_of_several_is_told() -> None:
    good = report.Report(
        application="a", agent="main", tree="t", health=health.Status.HEALTHY, observed=NOW, within=60.0
    )
    bad = dataclasses.replace(good, application="b", health=health.Status.DEGRADED)
    stand = promoting.Stand(PROVENANCE, (promoting.Heard(good, "t"), promoting.Heard(bad, "t")))

    assert hearing.outcome(stand, NOW) == (forge.StatusState.FAILURE, "b: Degraded")


@pytest.mark.parametrize(
    "paths, found",
    [
        (["staging/web"], ["staging/web"]),
        (["staging/web/db", "staging/web", "staging"], ["staging/web/db", "staging/web"]),
        (["staging/web2", "staging/we", "production"], []),
        ([".", "staging"], ["staging"]),
        (["."], ["."]),
        (["staging", "staging"], ["staging", "staging"]),
    ],
)
def test_which_reports_are_about_a_folder(paths: list[str], found: list[str]) -> None:
    told = [report.Report(application="a", agent="main", path=path) for path in paths]

    assert [one.path for one in hearing.of_folder(told, "staging/web")] == found
