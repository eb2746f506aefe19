"""What a Delivery cannot say, because it could never be."""

import pytest

from undrift import errors
from undrift.config import delivering
from undrift.model import delivery

HEAD = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {name: pet}
spec:
  gitopsRepository: {url: https://forge.example/ops/gitops.git, forge: gitea}
  source: {manifests: k8s}
"""


def read(text: str) -> delivery.Delivery:
    (found,) = delivering.read(f"{HEAD}{text}".encode(), "undrift.yaml")
    return found.delivery


@pytest.mark.parametrize(
    "stage, told, hint",
    [
        ("{name: s, approvals: 1}", "asks for approvals but is published directly", "publish: pull-request"),
        ("{name: s, policy: {prune: false}}", "has a policy but no target", "name of a Target"),
    ],
)
def test_what_a_stage_cannot_be_is_told_with_its_line(stage: str, told: str, hint: str) -> None:
    with pytest.raises(errors.ConfigInvalid, match=told) as caught:
        read(f"  stages:\n  - {stage}\n")

    assert caught.value.origin is not None
    assert caught.value.origin.line == 8
    assert hint in caught.value.hint


def test_approvals_are_for_stages_with_pull_requests() -> None:
    assert read("  stages: [{name: s, publish: pull-request, approvals: 1}]\n").stages[0].gate.approvals == 1


@pytest.mark.parametrize("stage", ["allowEmpty: true", "target: t, policy: {allowEmpty: true}"])
def test_a_stage_may_be_empty_where_it_says_so(stage: str) -> None:
    assert read(f"  stages: [{{name: s, {stage}}}]\n").stages[0].allow_empty
    assert not read("  stages: [{name: s}]\n").stages[0].allow_empty


@pytest.mark.parametrize(
    "text, gone, there, holds",
    [
        ("", 10, 10, True),
        ("", 11, 12, False),
        ("", 11, 37, True),
        ("", 11, 36, False),
        ("  deletionLimit: {count: 0, percent: 0}\n", 1, 100, False),
        ("  deletionLimit: {percent: 100}\n", 90, 90, True),
    ],
)
def test_how_many_files_may_go(text: str, gone: int, there: int, *, holds: bool) -> None:
    assert read(f"  stages: [{{name: s}}]\n{text}").deletion_limit.holds(gone, there) is holds
