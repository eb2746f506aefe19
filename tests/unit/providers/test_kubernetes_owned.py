"""What the API server says we own: digests of it, and whether it is just what is declared."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from undrift.providers.kubernetes import adopting, marks, owned

TRIE: dict[str, Any] = {
    "f:metadata": {
        "f:annotations": {f"f:{marks.ANNOTATION}": {}},
        "f:labels": {"f:a": {}, f"f:{marks.LABEL}": {}},
    },
    "f:spec": {
        "f:replicas": {},
        "f:containers": {'k:{"name":"main"}': {".": {}, "f:name": {}, "f:image": {}}},
        "f:finalizers": {'v:"x"': {}},
        "f:selector": {},
    },
}
LIVE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Thing",
    "metadata": {
        "labels": {"a": "1", "b": "2", marks.LABEL: "app"},
        "annotations": {marks.ANNOTATION: "{}"},
        "managedFields": [
            {"manager": "other", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:x": {}}},
            {"manager": "undrift", "operation": "Apply", "apiVersion": "v1", "fieldsV1": TRIE},
        ],
    },
    "spec": {
        "replicas": 1,
        "containers": [{"name": "side"}, {"name": "main", "image": "i", "defaulted": True}],
        "finalizers": ["y", "x"],
        "selector": {"app": "a"},
        "other": 1,
    },
    "status": {"any": 1},
}
DESIRED: dict[str, Any] = {
    "apiVersion": "v1",
    "metadata": {"labels": {"a": "1"}},
    "spec": {
        "replicas": 1,
        "containers": [{"name": "main", "image": "i"}],
        "finalizers": ["x"],
        "selector": {"app": "a"},
        "empty": {},
    },
}
KEY = b"key"


def changed(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a path; `...` removes it."""
    made = copy.deepcopy(data)
    *steps, last = path.split(".")
    place: Any = made
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return made


@pytest.mark.parametrize(
    "path, value, same",
    [
        ("spec.replicas", 2, False),
        ("spec.containers.1.image", "j", False),
        ("spec.containers.1.defaulted", False, True),
        ("spec.containers.0.image", "any", True),
        ("spec.finalizers", ["x"], True),
        ("spec.finalizers", ["y"], False),
        ("spec.selector", {"app": "b"}, False),
        ("spec.other", 2, True),
        ("spec.replicas", ..., False),
        ("metadata.labels.b", "3", True),
        ("metadata.labels.a", "3", False),
        ("status.any", 2, True),
    ],
)
def test_the_digest_is_of_what_we_own(path: str, value: Any, same: bool) -> None:
    assert (owned.digest(changed(LIVE, path, value), KEY) == owned.digest(LIVE, KEY)) is same


def test_the_digest_cannot_be_guessed() -> None:
    assert owned.digest(LIVE, KEY) != owned.digest(LIVE, b"another")


def test_without_an_entry_of_ours_everything_but_the_status_counts() -> None:
    strange = changed(LIVE, "metadata.managedFields", [])

    assert owned.digest(strange, KEY) == owned.digest(changed(strange, "status.any", 2), KEY)
    assert owned.digest(strange, KEY) != owned.digest(changed(strange, "spec.other", 2), KEY)


@pytest.mark.parametrize(
    "path, value, agrees",
    [
        ("spec.replicas", 1, True),
        ("spec.replicas", 2, False),
        ("spec.replicas", ..., False),
        ("spec.new", 1, False),
        ("spec.containers", [{"name": "main", "image": "i"}, {"name": "new", "image": "i"}], False),
        ("spec.containers", [{"name": "other", "image": "i"}], False),
        ("spec.finalizers", [], False),
        ("spec.selector", {"app": "b"}, False),
        ("metadata.labels", {"a": "1", "c": "1"}, False),
    ],
)
def test_whether_it_is_just_what_is_declared(path: str, value: Any, agrees: bool) -> None:
    assert owned.agrees(LIVE, changed(DESIRED, path, value)) is agrees


def test_a_key_that_is_left_out_has_its_default() -> None:
    ports: dict[str, Any] = {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}
    trie = {"f:spec": {"f:ports": ports}}
    entry = {"manager": "undrift", "operation": "Apply", "apiVersion": "v1", "fieldsV1": trie}
    live = {
        "apiVersion": "v1",
        "metadata": {"managedFields": [entry]},
        "spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]},
    }

    assert owned.agrees(live, {"apiVersion": "v1", "spec": {"ports": [{"port": 80}]}})
    assert not owned.agrees(live, {"apiVersion": "v1", "spec": {"ports": [{"port": 80, "protocol": "UDP"}]}})


def test_fields_of_another_version_prove_nothing() -> None:
    assert not owned.agrees({**LIVE, "apiVersion": "v2"}, DESIRED)


def test_others_who_wrote_there() -> None:
    assert owned.others(LIVE["metadata"]) == ("other",)


def test_taking_over_joins_the_fields_of_tools_and_leaves_controllers() -> None:
    found = [
        {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1",
         "fieldsV1": {"f:data": {"f:old": {}}, "f:metadata": {"f:annotations": {".": {}}}}},
        {"manager": "undrift", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:x": {}}}},
        {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "fieldsV1": {}},
    ]  # fmt: skip

    made = adopting.entries(found, "v1")

    assert made is not None
    assert [entry["manager"] for entry in made] == ["undrift", "kube-controller-manager"]
    assert made[0]["fieldsV1"]["f:data"] == {"f:old": {}, "f:x": {}}
    assert adopting.entries(found[1:], "v1") is None
