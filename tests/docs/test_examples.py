"""What pages tell people to type, write and declare is understood by the real thing."""

from __future__ import annotations

import asyncio
import configparser
import re
import shlex
from typing import Any

import click
import pydantic
import pytest

from tests.architecture import reading
from tests.docs import pages
from undrift.cli import main
from undrift.config import reading as config_reading
from undrift.lib import yaml
from undrift.model import source
from undrift.providers.hosts import form as hosts

PAGES = sorted(str(path.relative_to(pages.DOCS)) for path in pages.DOCS.rglob("*.md"))
_COMMAND = re.compile(r"^\s*(?:\$ )?((?:[A-Z_]+=\S+ )*undrift [a-z].*)$")
_INLINE = re.compile(r"`(undrift [a-z][^`]*)`")
_SHELL = re.compile(r"[A-Z_]+=|>|\$")
"""Words that a shell takes for itself, or that only it can fill in."""
_PLACEHOLDERS = re.compile(r"\b(COMMAND|PATH|APPLICATION)\b")


def commands(page: str) -> list[str]:
    """Every command of ours on a page, in blocks to copy and within sentences."""
    text = pages.text(page)
    blocks = [*pages.blocks(text, ""), *pages.blocks(text, "sh")]
    lines = [line for block in blocks for line in block.splitlines()]
    found = [match[1] for line in lines if (match := _COMMAND.match(line))]
    return found + [" ".join(each.split()) for each in _INLINE.findall(text)]


def declared(page: str) -> list[str]:
    """Every document of a page that says what it is."""
    blocks = pages.blocks(pages.text(page), "yaml")
    return [one for block in blocks for one in block.split("\n---\n") if "apiVersion:" in one]


@pytest.mark.parametrize("page", [page for page in PAGES if page != "reference/cli.md" and commands(page)])
def test_commands_on_a_page_can_be_given(page: str) -> None:
    """Each names a command that exists, with options that it has and as many arguments as it takes."""
    for line in commands(page):
        words = [word for word in shlex.split(line, comments=True) if not _SHELL.match(word)][1:]
        group = click.Context(main.cli, info_name="undrift")
        command = main.cli.get_command(group, words[0])
        if _PLACEHOLDERS.search(line) and command is None:
            continue
        assert command is not None, line
        given = words[1:]
        needed = [each for each in command.params if isinstance(each, click.Argument) and each.required]
        bare = given == [] and len(needed) > 0  # a command that is named, not given
        if not bare and not _PLACEHOLDERS.search(line):
            _parse(command, given, group, needed, line)


def _parse(
    command: click.Command, given: list[str], group: click.Context, needed: list[click.Argument], line: str
) -> None:
    """Within a sentence arguments may be left out; options must fit."""
    arguments = list(given)
    if all(word.startswith("-") for word in given):
        arguments += ["name" for _ in needed]
    try:
        command.make_context(str(command.name), arguments, parent=group)
    except click.UsageError as error:
        pytest.fail(f"{line}: {error.format_message()}")


@pytest.mark.parametrize("page", [page for page in PAGES if declared(page)])
def test_documents_on_a_page_are_what_they_say(page: str) -> None:
    """Configuration is read by the reader (names that only the page's context has are let pass), manifests
    are checked by their models.
    """
    for text in declared(page):
        if "hosts/v1" in text:
            _check_manifest(text)
        elif "undrift.dev/v1" in text:
            assert _complaints(text) == [], text


def _complaints(text: str) -> list[str]:
    encrypted = "{value:" in text  # the page shows it as it is before it is encrypted
    shown = text.replace("{value: the-token}", "{env: THE_TOKEN}") if encrypted else text
    revision = source.Revision("config", "main", "sha1:" + "0" * 40)
    artifact = source.Artifact(revision, ".", "sha1:" + "1" * 40, {"a.yaml": source.File(shown.encode())})
    found = asyncio.run(config_reading.Reader().read(artifact))
    return [str(error) for error in found.errors if error.code != "UD103"]


def _check_manifest(text: str) -> None:
    (document,) = yaml.documents(text.encode(), "host.yaml")
    try:
        hosts.Host.model_validate(document.data)
    except pydantic.ValidationError as error:
        pytest.fail(f"{text}: {error}")


def test_the_unit_is_one_that_the_agent_understands() -> None:
    (text,) = pages.blocks(pages.text("how-to/run-under-systemd.md"), "ini")
    unit: Any = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read_string(text)
    service = unit["Service"]
    command = shlex.split(service["ExecStart"])

    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert command[0].startswith("/")
    agent = main.cli.get_command(click.Context(main.cli), command[1])
    assert agent is not None
    agent.make_context("agent", command[2:])
    named = {each.envvar for each in agent.params}
    assert set(re.findall(r"^Environment=(UNDRIFT_\w+)", text, re.MULTILINE)) - named == {
        "UNDRIFT_GIT_TOKEN_FILE"
    }


def test_the_tutorial_tells_the_steps_of_the_demo() -> None:
    """Its numbered steps are the titles of the story, in order."""
    told = re.findall(r"^\d+\. \*\*(.+?)\.?\*\*", pages.text("tutorial/index.md"), re.MULTILINE)
    story = (reading.ROOT / "src/undrift/cli/demo/story.py").read_text(encoding="utf-8")

    assert told == re.findall(r'tell\.step\("([^"]+)"\)', story)
    assert told
