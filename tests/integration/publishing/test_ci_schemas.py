"""What CI reads has the shape that its vendor's schema asks for (SchemaStore's, as check-jsonschema ships them)."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from tests.architecture import reading
from tests.integration.publishing import places
from undrift.lib import yaml
from undrift.publishing import snippets

INTEGRATIONS = reading.ROOT / "integrations"
CHECKER = places.BIN / "check-jsonschema"
FILES = {
    "gitea": ("github-workflows", snippets.text("gitea")),
    "github": ("github-workflows", snippets.text("github")),
    "gitlab": ("gitlab-ci", snippets.text("gitlab")),
    "azure": ("azure-pipelines", snippets.text("azure")),
    "action": ("github-actions", (INTEGRATIONS / "github" / "action.yml").read_text(encoding="utf-8")),
    "component": ("gitlab-ci", (INTEGRATIONS / "gitlab" / "template.yml").read_text(encoding="utf-8")),
}


def check(text: str, schema: str, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """What the checker says of the last document of a text."""
    file = folder / "file.yml"
    file.write_text(text.rpartition("\n---\n")[2], encoding="utf-8")
    # The schema of Azure has an expression that is none of ECMAScript's.
    command: list[str | pathlib.Path] = [
        CHECKER,
        "--builtin-schema",
        f"vendor.{schema}",
        "--regex-variant",
        "python",
        file,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", sorted(FILES))
def test_it_has_the_shape_that_its_reader_asks_for(name: str, tmp_path: pathlib.Path) -> None:
    schema, text = FILES[name]
    done = check(text, schema, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_check_sees_what_is_wrong(name: str, tmp_path: pathlib.Path) -> None:
    """Guards the test above: a script that is a mapping of nonsense is nobody's."""
    schema, text = FILES[name]
    broken = text.replace("script:", "script: {a: {b: c}}\n  unused:").replace(
        "steps:", "steps: 7\n    unused:"
    )
    assert broken != text

    assert check(broken, schema, tmp_path).returncode != 0


def test_the_component_says_its_inputs_and_uses_each() -> None:
    text = FILES["component"][1]
    head, body = text.split("\n---\n")
    (document,) = yaml.documents(head)
    inputs = document.data["spec"]["inputs"]

    assert all(one.get("description") for one in inputs.values())
    assert {name for name in inputs if f"$[[ inputs.{name} ]]" in body} == set(inputs)
    assert body.count("$[[ inputs.") == sum(body.count(f"$[[ inputs.{name} ]]") for name in inputs)


def test_the_action_uses_each_of_its_inputs() -> None:
    (document,) = yaml.documents(FILES["action"][1])
    used = str(document.data["runs"])

    assert {name for name in document.data["inputs"] if f"inputs.{name}" in used} == set(
        document.data["inputs"]
    )
    for step in document.data["runs"]["steps"]:
        assert "${{" not in step["run"], "what others say goes through variables, never into a script"
