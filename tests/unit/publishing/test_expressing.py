"""Rules of the user's own, in CEL."""

from __future__ import annotations

from typing import Any

import pytest

from tests import stages
from undrift import errors
from undrift.model import publication

TEXT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {team: shop}}
spec: {replicas: 1}
---
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: correct-horse}
"""


def judged(*rules: dict[str, Any]) -> publication.Findings:
    return stages.found(("cel", {"rules": list(rules)}), TEXT)


def test_a_rule_that_is_not_true_is_an_error_with_its_message() -> None:
    found = judged(
        {"name": "replicas", "rule": "spec.replicas >= 2", "message": "needs two", "on": ["Deployment/*"]}
    )

    (error,) = found.failed
    assert isinstance(error, errors.PolicyViolated)
    assert (error.what, error.why) == ("Deployment/web breaks the rule replicas", "needs two")
    assert str(error.origin) == "k8s/all.yaml:4:1"
    assert found.checks[0].version.startswith("common-expression-language ")


def test_a_rule_that_is_true_is_silent() -> None:
    assert judged({"rule": "has(metadata.name) && object.kind != 'Pod'"}).failed == ()


def test_a_rule_sees_where_it_is() -> None:
    rule = "stage == 'staging' && application == 'petclinic'"

    assert judged({"rule": rule}).failed == ()


def test_a_rule_may_be_a_warning_or_off_and_be_waived_by_its_name() -> None:
    soft = judged({"name": "never", "rule": "false", "severity": "warning", "on": "Deployment/*"})
    off = judged({"name": "never", "rule": "false", "severity": "off"})

    assert ([one.what for one in soft.warnings], soft.failed) == (
        ["Deployment/web breaks the rule never"],
        (),
    )
    assert (off.failed, off.warnings) == ((), ())


def test_a_rule_that_cannot_be_answered_says_no() -> None:
    (error,) = judged({"rule": "spec.paused == false", "on": ["Deployment/*"]}).failed

    assert error.why.startswith("the rule cannot be answered for it: ")
    assert error.why.endswith("; ask has(…) first")


def test_what_a_secret_holds_is_not_shown_to_rules() -> None:
    rule = "object.stringData.password == '***'"

    assert judged({"rule": rule, "on": ["Secret/*"]}).failed == ()


@pytest.mark.parametrize(
    "rule, line",
    [
        ({"rule": "spec.("}, "the validator cel rule: a rule is no CEL expression"),
        ({"name": "x", "rule": "oject.kind"}, "the validator cel rule: x uses oject, which there is not"),
        ({"name": "x"}, "the validator cel rule: has no rule"),
        ({"rule": "true", "om": "*"}, "the validator cel rule: om is not a known setting"),
    ],
)
def test_a_rule_that_is_none_is_told_at_its_validator(rule: dict[str, Any], line: str) -> None:
    (error,) = judged(rule).failed

    assert error.what.startswith(line)
    assert str(error.origin) == "undrift.yaml:9"


def test_rules_have_to_be_a_list() -> None:
    (error,) = stages.found(("cel", {"rules": "true"}), TEXT).failed

    assert error.what == "the validator cel: rules cannot be used"
