"""The JSON Schemas that editors use: every kind, every field described, and as strict as the reader."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from tests.unit.config import declaring
from undrift import errors
from undrift.config import documents, schema
from undrift.lib import yaml

GOOD = declaring.BASE + declaring.application(
    "web", 'policy: {windows: [{kind: allow, from: "22:00", to: "06:00"}]}, interval: 1h30m'
)


def properties(found: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(found, dict):
        for name, each in found.get("properties", {}).items():
            yield f"{path}.{name}", each
        for name, each in found.items():
            yield from properties(each, f"{path}/{name}")


@pytest.mark.parametrize("kind", ["", *documents.KINDS])
def test_a_schema_is_one_and_describes_every_field(kind: str) -> None:
    found = schema.export(kind)

    jsonschema.Draft202012Validator.check_schema(found)
    silent = [
        path
        for path, each in properties(found)
        if "description" not in each and "$ref" not in each and path != ".kind"
    ]
    assert not silent


def test_defaults_are_written_as_people_write_them() -> None:
    spec = schema.export("Application")["$defs"]["ApplicationSpec"]["properties"]

    assert spec["interval"]["default"] == "5m"
    assert "default" not in spec["policy"]


def test_what_is_read_is_valid() -> None:
    validator = jsonschema.Draft202012Validator(schema.export())

    for each in yaml.documents(GOOD):
        assert not list(validator.iter_errors(each.data))


@pytest.mark.parametrize(
    "right, wrong",
    [
        ("interval: 1h30m", "intervall: 1h30m"),
        ("interval: 1h30m", "interval: 90"),
        ("kind: allow", "kind: alow"),
        ('from: "22:00"', 'from: "25:00"'),
        ("kind: Application", "kind: Aplication"),
        ("name: web", "name: Web"),
        ("provider: hosts", "providr: hosts"),
    ],
)
def test_what_is_refused_is_invalid(right: str, wrong: str) -> None:
    assert right in GOOD
    validator = jsonschema.Draft202012Validator(schema.export())

    assert any(list(validator.iter_errors(each.data)) for each in yaml.documents(GOOD.replace(right, wrong)))


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(errors.UsageInvalid) as caught:
        schema.export("Aplication")
    assert "Application" in caught.value.hint


def test_parts_of_different_kinds_have_different_names() -> None:
    """Guards the schema of everything: in it a name is one part."""
    seen: dict[str, object] = {}
    for kind in schema.KINDS:
        for name, part in schema.export(kind).get("$defs", {}).items():
            assert seen.setdefault(name, part) == part, name


def test_a_delivery_has_a_schema_of_its_own_and_is_in_that_of_everything() -> None:
    document = {
        "apiVersion": "undrift.dev/v1",
        "kind": "Delivery",
        "metadata": {"name": "shop"},
        "spec": {
            "gitopsRepository": {"url": "https://forge.example/a/b.git"},
            "source": {"manifests": "k8s"},
            "stages": [{"name": "staging"}],
        },
    }
    for found in (schema.export("Delivery"), schema.export()):
        validator = jsonschema.Draft202012Validator(dict(found))
        validator.check_schema(dict(found))
        assert not list(validator.iter_errors(document))
        assert list(validator.iter_errors({**document, "spec": {}}))
