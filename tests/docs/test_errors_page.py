"""The page of errors and the tree of errors say the same: every code, its meaning, and what really may come."""

from __future__ import annotations

import ast
import inspect
import json
import re

import pytest
from click import testing

from tests.architecture import reading
from tests.docs import pages
from undrift import errors
from undrift.cli import error_command, telling

PAGE = "reference/errors.md"
KINDS = errors.kinds()
FAMILIES = ["UD100", "UD300", "UD400", "UD600", "UD700", "UD910"]
TOLD = sorted(set(KINDS) - set(FAMILIES))
WARNINGS = {"UD405", "UD406", "UD411", "UD416", "UD604", "UD615"}
_LABELS = {"where": "where", "commit": "commit", "why": "why", "next": "hint"}
_ENTRY = re.compile(r"^### (\S+) (\S+) \{ #(\S+) \}$", re.MULTILINE)


def entries() -> dict[str, str]:
    """Code → its section."""
    return {heading.split()[0]: body for heading, body in pages.sections(PAGE, 3).items()}


def made() -> set[str]:
    """Names of the classes that some line of the code makes an error of."""
    found: set[str] = set()
    for path in (reading.ROOT / "src" / "undrift").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found.add(node.func.attr)
    return found


def parsed(example: str) -> tuple[str, dict[str, str]]:
    """An example's label, and its error as the agent's data."""
    head, *rest = example.rstrip("\n").split("\n")
    match = re.fullmatch(r"(error|stopped|warning) (UD\d{3}): (.+)", head)
    assert match, head
    told = {"code": match[2], "what": match[3]}
    for line in rest:
        name, _, text = line.strip().partition(":")
        told[_LABELS[name]] = text.strip()
    commit = told.pop("commit", "")
    told["revision"], _, told["author"] = commit.partition(" by ")
    return match[1], told


def test_every_code_has_an_entry_and_no_entry_is_without_a_code() -> None:
    assert list(entries()) == sorted(KINDS)


def test_headings_name_the_class_and_are_the_anchor_that_the_command_names() -> None:
    found = _ENTRY.findall(pages.text(PAGE))

    assert found == [(code, KINDS[code].__name__, code.lower()) for code in sorted(KINDS)]


@pytest.mark.parametrize("code", sorted(KINDS))
def test_the_entry_begins_with_the_meaning_as_the_class_has_it(code: str) -> None:
    meaning = (inspect.getdoc(KINDS[code]) or "").split("\n\n")[0].replace("\n", " ")

    assert entries()[code].lstrip().startswith(meaning + "\n")


@pytest.mark.parametrize("code", sorted(KINDS))
def test_the_command_says_the_same(code: str) -> None:
    text = testing.CliRunner().invoke(error_command.command, [code]).output
    data = json.loads(testing.CliRunner().invoke(error_command.command, [code, "-o", "json"]).output)
    entry = entries()[code]

    assert data["meaning"] in entry
    assert f"docs/{PAGE}#{code.lower()}" in text
    sentence = text.splitlines()[1].strip()
    if pages.blocks(entry, "text"):
        assert sentence in entry.splitlines()


@pytest.mark.parametrize("code", TOLD)
def test_an_error_that_may_come_has_one_example_in_the_form_of_the_command_line(code: str) -> None:
    (example,) = pages.blocks(entries()[code], "text")
    label, told = parsed(example)

    assert told["code"] == code
    stops = "stopped" if code.startswith("UD6") else "error"
    assert label == ("warning" if code in WARNINGS else stops)
    again = [_plain(line) for line in telling.lines(told, label)]
    assert again == example.rstrip("\n").split("\n")


@pytest.mark.parametrize("code", TOLD)
def test_what_an_example_says_is_what_the_code_says(code: str) -> None:
    """The first line and the next step of each example are texts of the code, with something filled in."""
    (example,) = pages.blocks(entries()[code], "text")
    _, told = parsed(example)

    assert pages.said(told["what"], first=code != "UD000"), told["what"]
    assert "hint" not in told or pages.said(told["hint"]), told["hint"]


@pytest.mark.parametrize("code", FAMILIES)
def test_a_family_that_is_never_told_by_itself_has_no_example(code: str) -> None:
    entry = entries()[code]

    assert not pages.blocks(entry, "text")
    assert "is not told by itself" in entry


@pytest.mark.parametrize("code", TOLD)
def test_each_entry_says_what_to_do(code: str) -> None:
    """After the example and whether waiting helps there is a sentence at least."""
    rest = entries()[code].rpartition("```")[2].strip().split("\n\n", 1)

    assert rest[0] in {"It is tried again by itself.", "It needs a change, in Git or by a person."}
    assert len(rest[1].split()) >= 5


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_families_are_told_by_nobody() -> None:
    """Guards the test itself: a family that the code begins to tell needs an example."""
    assert not {KINDS[code].__name__ for code in FAMILIES} & made()
