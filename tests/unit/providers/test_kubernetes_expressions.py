"""Rules of health in CEL: what they see, what wins, and what cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from undrift.model import health
from undrift.providers.kubernetes import expressions, judging

WIDGET = "Widget.example.com"
RULES = {
    WIDGET: {
        "healthy": "status.state == 'Done' && status.ready >= spec.size",
        "degraded": "status.conditions.exists(c, c.type == 'Broken' && c.status == 'True')",
        "suspended": "has(metadata.labels) && 'pause' in metadata.labels",
        "reason": "'state ' + object.status.state",
    }
}


def judged(data: dict[str, Any]) -> tuple[str, str]:
    rules, wrong = expressions.read(RULES)
    assert not wrong
    found = judging.judge(WIDGET, data, rules)
    return found.status.value, found.reason


@pytest.mark.parametrize(
    "data, told",
    [
        ({}, ("Progressing", "")),
        ({"spec": {"size": 2}, "status": {"state": "Doing", "ready": 1}}, ("Progressing", "state Doing")),
        ({"spec": {"size": 2}, "status": {"state": "Done", "ready": 1}}, ("Progressing", "state Done")),
        ({"spec": {"size": 2}, "status": {"state": "Done", "ready": 2}}, ("Healthy", "")),
        (
            {"spec": {"size": 0}, "status": {"state": "Done", "ready": 0, "conditions": [{"type": "Broken", "status": "True"}]}},
            ("Degraded", "state Done"),
        ),
        ({"metadata": {"labels": {"pause": ""}}, "status": {"state": "x"}}, ("Suspended", "state x")),
        ({"status": None}, ("Progressing", "")),
        ({"status": {"conditions": "text"}}, ("Progressing", "")),
        ({"metadata": {"deletionTimestamp": "now"}}, ("Progressing", "it is being deleted")),
    ],
)  # fmt: skip
def test_what_is_wrong_comes_before_what_is_right(data: dict[str, Any], told: tuple[str, str]) -> None:
    """A field that is not there makes no expression true."""
    assert judged(data) == told


def test_a_rule_wins_over_ours() -> None:
    rules, _ = expressions.read({"Deployment.apps": {"healthy": "true"}})
    assert judging.judge("Deployment.apps", {"status": {}}, rules) == health.HEALTHY


@pytest.mark.parametrize(
    "given, where, why, hint",
    [
        ([], "health", "should be a mapping", ""),
        ({WIDGET: "true"}, f"health.{WIDGET}", "mapping of texts", ""),
        ({WIDGET: {"healthy": True}}, f"health.{WIDGET}", "mapping of texts", ""),
        ({WIDGET: {"degraded": "true"}}, f"health.{WIDGET}", "has no expression healthy", ""),
        (
            {WIDGET: {"healthy": "true", "helthy": "true"}},
            f"health.{WIDGET}.helthy",
            "not a known",
            "healthy",
        ),
        ({WIDGET: {"healthy": "status."}}, f"health.{WIDGET}.healthy", "no CEL expression: 1:8", "cel.dev"),
        (
            {WIDGET: {"healthy": "statos.x"}},
            f"health.{WIDGET}.healthy",
            "uses statos",
            "did you mean status?",
        ),
        (
            {WIDGET: {"healthy": "sise(status) > 0"}},
            f"health.{WIDGET}.healthy",
            "calls sise",
            "did you mean size?",
        ),
        ({WIDGET: {"healthy": "true" + " " * 3000}}, f"health.{WIDGET}.healthy", "longer", ""),
        ({"Secret": {"healthy": "true"}}, "health.Secret", "not possible", "never looked at"),
    ],
)
def test_what_cannot_be_used_is_told(given: Any, where: str, why: str, hint: str) -> None:
    _, [(told_where, told_why, told_hint)] = expressions.read(given)

    assert (told_where, why in told_why, hint in told_hint) == (where, True, True), (told_why, told_hint)
