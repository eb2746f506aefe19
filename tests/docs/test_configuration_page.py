"""The page of the configuration and the models say the same, and its examples are read by the real reader."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.docs import pages
from undrift import errors
from undrift.config import configuration, connection, documents, reading, schema
from undrift.model import source

PAGE = "reference/configuration.md"
_READ = {name for kind in documents.KINDS for name in (kind, *schema.export(kind).get("$defs", ()))}
DEFINITIONS: Mapping[str, Any] = {
    name: one for name, one in schema.export()["$defs"].items() if name in _READ
}
"""Of what an agent reads; `test_delivery_page` has the rest."""
PARTS = {
    "Metadata": ("Every document", "metadata."),
    "AgentSpec": ("Agent", ""),
    "AgentDefaults": ("Agent", "defaults."),
    "ReportingPart": ("Agent", "reports[]."),
    "ReviewingPart": ("Agent", "reviews[]."),
    "TargetSpec": ("Target", ""),
    "TargetGroupSpec": ("TargetGroup", ""),
    "SourceSpec": ("Source", ""),
    "AuthenticationPart": ("Authentication", ""),
    "GitHubAppPart": ("Authentication", "githubApp."),
    "CredentialPart": ("Credentials", ""),
    "VerificationPart": ("Verification", ""),
    "ApplicationSpec": ("Application", ""),
    "OutputPart": ("Application", "outputs.*."),
    "SourcePart": ("Application", "source."),
    "RendererPart": ("Application", "renderer."),
    "PolicyPart": ("Policy", ""),
    "DeletionLimitPart": ("Policy", "deletionLimit."),
    "RetryPart": ("Policy", "retry."),
    "WindowPart": ("Policy", "windows[]."),
    "IgnorePart": ("Policy", "ignore[]."),
    "ApplicationGeneratorSpec": ("ApplicationGenerator", ""),
    "GeneratorPart": ("ApplicationGenerator", "generators[]."),
    "SimpleGeneratorPart": ("ApplicationGenerator", "generators[]."),
    "DirectoriesPart": ("ApplicationGenerator", "generators[].directories."),
    "FilesPart": ("ApplicationGenerator", "generators[].files."),
    "TargetsPart": ("ApplicationGenerator", "generators[].targets."),
    "RolloutPart": ("ApplicationGenerator", "rollout."),
    "TemplatePart": ("ApplicationGenerator", "template."),
    "TemplateMetadata": ("ApplicationGenerator", "template.metadata."),
    "ProjectSpec": ("Project", ""),
    "NotifierSpec": ("Notifier", ""),
}
"""Part of the schema → the section whose table has its fields, and what stands before their names."""
_ROW = re.compile(r"^\| `([a-zA-Z][^`]*)` \| ([^|]*(?:\\\|[^|]*)*) \| ([^|]*) \| (.*) \|$", re.MULTILINE)


def sections() -> dict[str, str]:
    """Every section; what stands in a deeper one belongs to that."""
    deeper = pages.sections(PAGE, 3)
    found = {title: body.split("\n### ")[0] for title, body in pages.sections(PAGE, 2).items()}
    return found | deeper


def rows(section: str) -> dict[str, tuple[str, str]]:
    """Field → its default and its description."""
    found = _ROW.findall(sections()[section])
    return {name: (default, said) for name, _, default, said in found}


def fields(part: str) -> dict[str, tuple[Mapping[str, Any], bool]]:
    """Name on the page → schema of the field, and whether it is required."""
    _, prefix = PARTS[part]
    definition = DEFINITIONS[part]
    needed = definition.get("required", [])
    return {prefix + name: (found, name in needed) for name, found in definition["properties"].items()}


def read(text: str, more: Mapping[str, str] | None = None) -> configuration.Configuration:
    """What the agent would make of a file, and of others beside it."""
    files = {"example.yaml": text, **(more or {})}
    revision = source.Revision("config", "main", "sha1:" + "0" * 40)
    content = {name: source.File(body.encode()) for name, body in files.items()}
    artifact = source.Artifact(revision, ".", "sha1:" + "1" * 40, content)
    return asyncio.run(reading.Reader().read(artifact))


def test_every_part_of_the_schema_has_a_place_on_the_page() -> None:
    assert set(DEFINITIONS) - set(documents.KINDS) == set(PARTS)


def test_every_kind_has_a_section() -> None:
    assert set(documents.KINDS) <= set(pages.sections(PAGE, 2))


@pytest.mark.parametrize("part", sorted(PARTS))
def test_every_field_is_in_the_table_with_its_default_and_what_it_means(part: str) -> None:
    table = rows(PARTS[part][0])
    for name, (field, needed) in fields(part).items():
        assert name in table, f"{name} is not in the table of {PARTS[part][0]}"
        default, said = table[name]
        assert (default == "**required**") == needed, name
        assert said.replace("\\|", "|") == _description(field), name
        if not needed and field.get("default") not in (None, "", []):
            assert _plain(default) == _plain(_spelled(field["default"])), name


@pytest.mark.parametrize("section", sorted({section for section, _ in PARTS.values()}))
def test_no_field_of_a_table_is_unknown(section: str) -> None:
    known = {name for part, (place, _) in PARTS.items() if place == section for name in fields(part)}

    assert set(rows(section)) <= known


def test_events_of_a_notifier_are_all_named() -> None:
    assert {each for each in connection.EVENTS if f"`{each}`" not in sections()["Notifier"]} == set()


_OTHERS = {
    "Target web": "kind: Target\nmetadata: {name: web}\nspec: {provider: hosts, agent: main}\n",
    "Agent main": "kind: Agent\nmetadata: {name: main}\n",
    "Source shop": "kind: Source\nmetadata: {name: shop}\nspec: {url: 'https://git.example.org/shop', branch: main}\n",
    "Project web": "kind: Project\nmetadata: {name: web}\n",
    "Application database": "kind: Application\nmetadata: {name: database}\nspec: {target: web}\n",
}


def _surrounded(example: str) -> configuration.Configuration:
    """An example among the documents that it refers to and does not have itself."""
    around = {}
    for number, (what, text) in enumerate(_OTHERS.items()):
        kind, name = what.split()
        if not re.search(rf"kind: {kind}\nmetadata:\s*\{{?\s*name: {name}\b", example):
            around[f"other{number}.yaml"] = f"apiVersion: undrift.dev/v1\n{text}"
    around |= {
        "sites/blog/host.yaml": "{}",
        "sites/old/host.yaml": "{}",
        "stages/staging.yaml": "stage: staging\n",
    }
    return read(example, around)


def _examples() -> list[str]:
    return pages.blocks(pages.text(PAGE), "yaml")


@pytest.mark.parametrize("number", range(len(_examples())))
def test_each_example_is_read_without_a_complaint(number: int) -> None:
    found = _surrounded(_examples()[number])

    assert [str(error) for error in found.errors] == []
    assert found.complete


def test_every_kind_has_an_example() -> None:
    declared = set(re.findall(r"^kind: (\w+)$", "\n".join(_examples()), re.MULTILINE))

    assert declared == set(documents.KINDS)


def test_the_example_of_a_generator_makes_what_it_says() -> None:
    (example,) = [each for each in _examples() if "kind: ApplicationGenerator" in each]
    made = _surrounded(example).applications

    assert {name for name in made if name.startswith("site-")} == {
        "site-blog",
        "site-shop",
        "site-wiki",
        "site-staging-red",
        "site-staging-blue",
    }


def test_a_credential_in_clear_is_refused_as_the_page_says() -> None:
    spec = "{url: 'https://git.example.org/shop', branch: main, authentication: {token: {value: hunter2}}}"
    found = read(f"apiVersion: undrift.dev/v1\nkind: Source\nmetadata: {{name: x}}\nspec: {spec}\n")

    (error,) = found.errors
    assert isinstance(error, errors.ConfigInvalid)
    assert "hunter2" not in str(error)


def _description(field: Mapping[str, Any]) -> str:
    """Its own, or that of the part it is, where they are the same."""
    said: str = field.get("description") or DEFINITIONS[field["$ref"].rpartition("/")[2]]["description"]
    return said


def _spelled(default: Any) -> str:
    if isinstance(default, float) and default == int(default):
        return str(int(default))
    return default if isinstance(default, str) else json.dumps(default)


def _plain(text: str) -> str:
    return re.sub(r'[`" ]', "", text)
