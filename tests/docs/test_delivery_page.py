"""The page of the Delivery and the models say the same, and its examples are read by the real reader."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.docs import pages
from undrift.config import delivering, schema, staging

PAGE = "reference/delivery.md"
DEFINITIONS: Mapping[str, Any] = schema.export("Delivery")["$defs"]
PARTS = {
    "DeliverySpec": ("Delivery", ""),
    "FileLimitPart": ("Delivery", "deletionLimit."),
    "DestinationPart": ("GitOps repository", "gitopsRepository."),
    "RecipePart": ("Source", "source."),
    "ManifestsPart": ("Manifests", "source.manifests."),
    "KustomizePart": ("Kustomize", "source.kustomize."),
    "HelmPart": ("Helm", "source.helm."),
    "JsonnetPart": ("Jsonnet", "source.jsonnet."),
    "NativeFilesPart": ("Files", "source.files."),
    "ImagePart": ("Images", "images[]."),
    "ValuePart": ("Values", "set[]."),
    "ConfigMapPart": ("ConfigMaps", "configMapGenerator[]."),
    "StagePart": ("Stages", "stages[]."),
    "RequirementPart": ("Stages", "stages[].requires[]."),
    "NamespacePart": ("Stages", "stages[].createNamespace."),
    "PullRequestPart": ("Stages", "stages[].pullRequest."),
    "ValidatorPart": ("Validators", "validators[]."),
    "WaiverPart": ("Validators", "waivers[]."),
    "CommitPart": ("Commits", "commit."),
    "LocalPart": ("Local", "local."),
    "PreviewPart": ("Preview", "preview."),
    "UpdatePart": ("Updates", "updates[]."),
}
"""Part of the schema → the section whose table has its fields, and what stands before their names."""
ELSEWHERE = {"Metadata", "WindowPart"}
"""Parts that the page of the configuration has: this one refers to it."""
_ROW = re.compile(r"^\| `([a-zA-Z][^`]*)` \| ((?:[^|]|\\\|)*) \| ((?:[^|]|\\\|)*) \| (.*) \|$", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{(\w+)")


def sections() -> dict[str, str]:
    """Every section; what stands in a deeper one belongs to that."""
    found = {title: body.split("\n### ")[0] for title, body in pages.sections(PAGE, 2).items()}
    return found | pages.sections(PAGE, 3)


def rows(section: str) -> dict[str, tuple[str, str]]:
    """Field → its default and its description."""
    return {name: (default, said) for name, _, default, said in _ROW.findall(sections()[section])}


def fields(part: str) -> dict[str, tuple[Mapping[str, Any], bool]]:
    """Name on the page → schema of the field, and whether it is required."""
    prefix, definition = PARTS[part][1], DEFINITIONS[part]
    needed = definition.get("required", [])
    return {prefix + name: (found, name in needed) for name, found in definition["properties"].items()}


def examples() -> list[str]:
    """The examples that are whole documents."""
    return [each for each in pages.blocks(pages.text(PAGE), "yaml") if "kind: Delivery" in each]


def test_every_part_of_the_schema_has_a_place_on_the_page() -> None:
    assert set(DEFINITIONS) == set(PARTS) | ELSEWHERE
    assert "configuration.md#every-document" in pages.text(PAGE)
    assert "configuration.md#policy" in sections()["Stages"]


@pytest.mark.parametrize("part", sorted(PARTS))
def test_every_field_is_in_the_table_with_its_default_and_what_it_means(part: str) -> None:
    table = rows(PARTS[part][0])
    for name, (field, needed) in fields(part).items():
        assert name in table, f"{name} is not in the table of {PARTS[part][0]}"
        default, said = table[name]
        assert (default == "**required**") == needed, name
        assert said.replace("\\|", "|") == _description(field), name
        if default == "below":
            (default,) = pages.blocks(sections()[PARTS[part][0]], "text")
            assert default.strip() == field["default"], name
        elif not needed:
            default = default.replace("\\|", "|")
            assert _plain(default) == _plain(_spelled(field.get("default"))), name


@pytest.mark.parametrize("section", sorted({section for section, _ in PARTS.values()}))
def test_no_field_of_a_table_is_unknown(section: str) -> None:
    known = {name for part, (place, _) in PARTS.items() if place == section for name in fields(part)}

    assert set(rows(section)) <= known


@pytest.mark.parametrize("number", range(len(examples())))
def test_each_example_is_read_without_a_complaint(number: int) -> None:
    text = examples()[number]
    given = staging.Given(dict.fromkeys(_VARIABLE.findall(text), "1.0"))
    (found,) = delivering.read(text.encode(), "undrift.yaml", given)

    assert found.delivery.stages


def test_the_examples_use_every_part_of_the_top() -> None:
    used = {name for each in examples() for name in re.findall(r"^  (\w+):", each, re.MULTILINE)}

    assert set(DEFINITIONS["DeliverySpec"]["properties"]) <= used


def test_what_is_filled_in_is_filled_in_as_the_page_says() -> None:
    text = (
        "apiVersion: undrift.dev/v1\nkind: Delivery\nmetadata: {name: a}\nspec:\n"
        "  gitopsRepository: {url: https://forge.example/a/b}\n  source: {manifests: '{application}/{stage}'}\n"
        "  images: [{name: x, newTag: '${TAG}-{namespace}-${NONE:-}${OTHER:-text}-$${'}]\n"
        "  stages: [{name: s, namespace: space}]\n"
    )
    (found,) = delivering.read(text.encode(), "undrift.yaml", staging.Given({"TAG": "1"}))
    (stage,) = found.delivery.stages

    assert stage.recipe.path == "a/s"
    assert stage.images[0].new_tag == "1-space-text-${"
    assert found.variables == {"TAG": "1"}


def _description(field: Mapping[str, Any]) -> str:
    """Its own, or that of the part it is, where they are the same."""
    said: str = field.get("description") or DEFINITIONS[field["$ref"].rpartition("/")[2]]["description"]
    return said


def _spelled(default: Any) -> str:
    if default in (None, "", []):
        return ""
    if isinstance(default, float) and default == int(default):
        return str(int(default))
    return default if isinstance(default, str) else json.dumps(default)


def _plain(text: str) -> str:
    return re.sub(r'[`" ]', "", text)
