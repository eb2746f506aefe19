"""What `undrift init` writes. A case is a folder: the files of a repository, and `expected.yaml`; where a Jenkinsfile
is among them, it is converted.

`GOLDEN=write` writes `expected.yaml` anew; look at the difference before it is committed.
"""

import os
import pathlib
import re
from collections.abc import Iterator

import jsonschema
import pytest

from undrift.config import delivering, schema, staging
from undrift.lib import yaml
from undrift.publishing import drafting, guessing, jenkinsfile, outline, surveying

CASES = pathlib.Path(__file__).parent / "init"
NAMES = sorted(path.name for path in CASES.iterdir())
URL = "https://forge.example/ops/gitops.git"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def drafted(case: str) -> str:
    """What is written for a case."""
    tree = surveying.look(CASES / case)
    tree.files.pop("expected.yaml", None)
    return drafting.draft(_outline(CASES / case, tree))


def _outline(folder: pathlib.Path, tree: surveying.Tree) -> outline.Outline:
    file = folder / "Jenkinsfile"
    if file.is_file():
        return jenkinsfile.convert(file.read_text(encoding="utf-8"), "Jenkinsfile", tree)
    return guessing.guess(tree, "petclinic")


def read(text: str) -> delivering.Read:
    """The text as the real reader takes it, with every variable of CI set."""
    given = staging.Given(variables=dict.fromkeys(_VARIABLE.findall(text), "value"))
    (found,) = delivering.read(text.replace(outline.PLACEHOLDER, URL).encode(), "undrift.yaml", given)
    return found


def wanted(text: str) -> Iterator[str]:
    """The file with one more field at a time: lines that begin with # and no space are turned on."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r" +#[\w-]", line):
            end = number + 1
            while end < len(lines) and re.match(r" +#  ", lines[end]):
                end += 1
            on = [one.replace("#", "", 1) for one in lines[number:end]]
            yield "\n".join([*lines[:number], *on, *lines[end:]])


@pytest.mark.parametrize("case", NAMES)
def test_what_is_written(case: str) -> None:
    text = drafted(case)

    expected = CASES / case / "expected.yaml"
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", NAMES)
def test_it_is_read_as_it_is_once_the_url_is_there(case: str) -> None:
    text = drafted(case)
    found = read(text).delivery

    assert found.application in {"petclinic", "shop"}
    assert found.destination.url
    if not (CASES / case / "Jenkinsfile").is_file():
        assert not _VARIABLE.search(text.partition("\n  images:")[2]), (
            "no variable has to be set before it is read"
        )


@pytest.mark.parametrize("case", NAMES)
def test_editors_find_nothing_wrong_with_it(case: str) -> None:
    text = drafted(case)
    (document,) = yaml.documents(text.replace(outline.PLACEHOLDER, URL))

    jsonschema.Draft202012Validator(dict(schema.export("Delivery"))).validate(document.data)
    assert text.startswith("# yaml-language-server: $schema=")


@pytest.mark.parametrize("case", NAMES)
def test_each_field_that_is_offered_is_right_when_it_is_turned_on(case: str) -> None:
    texts = list(wanted(drafted(case)))

    assert len(texts) > 5
    for text in texts:
        read(text)


@pytest.mark.parametrize("case", [name for name in NAMES if not (CASES / name / "Jenkinsfile").is_file()])
def test_what_it_names_is_there(case: str) -> None:
    """Paths of stages, charts and value files lead to what lies in the repository."""
    found = read(drafted(case)).delivery
    for stage in found.stages:
        settings = stage.recipe.settings
        named = [*settings.get("valueFiles", ())]
        if case != "nothing":
            named += [stage.recipe.path, *([settings["chart"]] if stage.recipe.renderer == "helm" else [])]
        assert [path for path in named if not (CASES / case / path).exists()] == []


def test_there_are_cases() -> None:
    assert len(NAMES) > 15
