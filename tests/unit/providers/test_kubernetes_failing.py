"""What an API server says → what it means: which error, whether waiting helps, and what next."""

from __future__ import annotations

from typing import Any

import pytest

from undrift import errors
from undrift.providers.kubernetes import failing


def status(message: str, reason: str = "", **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "message": message, "reason": reason, "details": details}


CASES: list[tuple[int, Any, type[errors.TargetError], str, str]] = [
    (401, status("Unauthorized"), errors.TargetDenied, "credentials", "renew"),
    (403, status('secrets is forbidden: User "x" cannot patch'), errors.TargetDenied, "cannot patch", "right"),
    (403, status('pods "a" is forbidden: exceeded quota: few'), errors.TargetFull, "exceeded quota", "ResourceQuota"),
    (
        403, status('admission webhook "policy.example.com" denied the request: no'), errors.ChangeRefused,
        "no", "policy.example.com",
    ),
    (
        403, status('pods "a" is forbidden: violates PodSecurity "restricted"'), errors.ChangeRefused,
        "PodSecurity", "correct the manifest",
    ),
    (
        403, status("unable to create new content in namespace x because it is being terminated"), errors.TargetBusy,
        "being terminated", "tried again",
    ),
    (404, status('namespaces "x" not found', kind="namespaces"), errors.ChangeRefused, "not found", "declare the Namespace"),
    (409, status("the object has been modified"), errors.ChangeConflict, "modified", "anew"),
    (410, status("too old", "Expired"), failing.Gone, "too old", ""),
    (429, status("slow down"), errors.TargetUnavailable, "slow down", "too much to do"),
    (
        500, status('Internal error occurred: failed calling webhook "x": context deadline exceeded'),
        errors.TargetUnavailable, "failed calling webhook", "service behind it",
    ),
    (500, status("etcdserver: request timed out"), errors.TargetUnavailable, "etcdserver", "etcd"),
    (
        500, status("failed to create typed patch object (a; v1, Kind=X): .spec.y: field not declared in schema"),
        errors.ChangeRefused, ".spec.y: field not declared in schema", "correct",
    ),
    (
        422, status("X is invalid", "Invalid", causes=[{"field": "spec.n", "message": "must be positive"}]),
        errors.ChangeRefused, "spec.n: must be positive", "",
    ),
    (
        422, status("ValidatingAdmissionPolicy 'no-latest' with binding 'b' denied request: pin it"),
        errors.ChangeRefused, "pin it", "the policy no-latest",
    ),
    (502, "<html>bad gateway</html>", errors.TargetUnavailable, "answered 502", "API server"),
]  # fmt: skip


@pytest.mark.parametrize("code, answer, kind, why, hint", CASES)
def test_an_answer_in_words(
    code: int, answer: Any, kind: type[errors.TargetError], why: str, hint: str
) -> None:
    found = failing.explain(code, answer, "applying ConfigMap/a/b")

    assert type(found) is kind
    assert found.what.startswith("applying ConfigMap/a/b")
    assert why in found.why
    assert hint in found.hint


@pytest.mark.parametrize(
    "message, immutable",
    [
        ("spec.selector: Invalid value: {}: field is immutable", True),
        ("updates to statefulset spec for fields other than 'replicas' are forbidden", True),
        ("spec.clusterIPs[0]: Invalid value: may not change once set", True),
        ("spec.replicas: Invalid value: -1: must be greater than or equal to 0", False),
    ],
)
def test_what_cannot_be_changed_in_place(message: str, immutable: bool) -> None:
    found = failing.explain(422, status(message, "Invalid"), "checking it")

    assert failing.is_immutable(found) is immutable
