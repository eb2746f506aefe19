"""The page of the command line and the commands say the same: options, exit codes, fields of JSON."""

from __future__ import annotations

import ast
import inspect
import re

import click
import pytest

from tests.docs import pages
from undrift.agent import shapes
from undrift.cli import agent_command, main, planning, telling
from undrift.config import settings
from undrift.model import event
from undrift.service import service

PAGE = "reference/cli.md"
GROUP = click.Context(main.cli, info_name="undrift")
_OPTION = re.compile(r"`(--?[a-zA-Z][a-z-]*)`")


def command(name: str) -> click.Command:
    found = main.cli.get_command(GROUP, name)
    assert found is not None
    return found


def section(name: str) -> str:
    return pages.sections(PAGE, 2)[f"undrift {name}"]


def options_of(name: str) -> list[click.Option]:
    return [each for each in command(name).params if isinstance(each, click.Option)]


def rows_of(name: str) -> dict[str, str]:
    """What the table of options says: every spelling → its line."""
    lines = [line for line in section(name).splitlines() if re.match(r"\| `-", line)]
    return {option: line for line in lines for option in _OPTION.findall(line.split(" | ")[0])}


def exit_codes(name: str) -> str:
    (line,) = [line for line in section(name).splitlines() if line.startswith("Exit codes: ")]
    return line


def keys_of(function: object) -> set[str]:
    """The fields that a function puts into the data it makes."""
    tree = ast.parse(inspect.getsource(function))  # type: ignore[arg-type]  # a function is passed
    dicts = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    return {str(key.value) for each in dicts for key in each.keys if isinstance(key, ast.Constant)}


def test_every_command_has_a_section_and_no_section_is_without_a_command() -> None:
    found = {title.removeprefix("undrift ") for title in pages.sections(PAGE, 2)} - {"Exit codes"}

    assert found == set(main.COMMANDS)


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_a_section_begins_with_the_summary_and_the_usage(name: str) -> None:
    arguments = [each for each in command(name).params if isinstance(each, click.Argument)]
    summary, usage = section(name).strip().split("\n\n")[:2]

    assert summary == main.COMMANDS[name]
    words = usage.splitlines()[1]
    assert words.startswith(f"undrift {name} ")
    for each in arguments:
        named = each.metavar or f"{each.name}".upper()
        assert (named if each.required or each.metavar else f"[{named}]") in words
    assert words.count("[") == sum(1 for each in arguments if not each.required) + 1, "and [OPTIONS]"


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_options_on_the_page_are_the_options_of_the_command(name: str) -> None:
    known = {spelling for each in options_of(name) for spelling in (*each.opts, *each.secondary_opts)}

    assert set(rows_of(name)) == known


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_each_option_says_what_its_help_says(name: str) -> None:
    rows = rows_of(name)
    for each in options_of(name):
        row = rows[each.opts[0]].replace("\\|", "|")
        assert (each.help or "no help") in row
        assert not each.envvar or f"`{each.envvar}`" in row
        if each.show_default and not each.is_flag:
            assert f"Default: {each.default}." in row


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_options_named_in_the_text_exist(name: str) -> None:
    anywhere = {spelling for each in main.COMMANDS for spelling in rows_of(each)} | {
        "--help",
        "-h",
        "--version",
    }

    assert set(_OPTION.findall(section(name))) <= anywhere


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    found = re.findall(r"^\| (\d+) \|", pages.sections(PAGE, 2)["Exit codes"], re.MULTILINE)

    assert [int(number) for number in found] == [each.value for each in telling.Exit]


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_exit_codes_of_a_command_are_those_that_it_may_return(name: str) -> None:
    """0 always; 3 where its module returns it (plan and diff: where they share it)."""
    module = inspect.getmodule(command(name).callback)
    source = inspect.getsource(module) if module else ""
    if name in {"plan", "diff"}:
        source += inspect.getsource(planning)
    told = {int(number) for number in re.findall(r"\b(\d+):", exit_codes(name))}

    assert 0 in told
    assert (telling.Exit.DIFFERENT in told) == ("Exit.DIFFERENT" in source)
    assert told <= {each.value for each in telling.Exit}


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_help_of_a_command_that_tells_exit_codes_tells_those_of_the_page(name: str) -> None:
    told = re.findall(r"(?:Exit code |; )(\d):", " ".join((command(name).help or "").split()))

    assert {int(number) for number in told} <= {int(n) for n in re.findall(r"\b(\d+):", exit_codes(name))}


@pytest.mark.parametrize(
    "name, fields",
    [
        ("status", set(service._NOTHING) | keys_of(shapes.revision)),
        ("plan", keys_of(shapes.planned) | keys_of(shapes.change) | {"failure"}),
        ("history", keys_of(shapes.reconciliation) | keys_of(shapes.result) | {"number"}),
    ],
)
def test_every_field_of_the_json_is_named(name: str, fields: set[str]) -> None:
    known = fields - {"$secret"}
    body = " ".join(section(name).split())

    assert {field for field in known if f"`{field}`" not in body} == set()


def test_events_named_exist() -> None:
    kinds = {each.__name__ for each in event.Event.__subclasses__()}

    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]?[a-z]+)`", section("logs")))
    assert named
    assert named <= kinds


def test_every_variable_of_the_agent_is_named_and_no_other() -> None:
    options = {each.envvar for each in options_of("agent") if each.envvar}
    secret = {settings.PREFIX + name for name in settings.CREDENTIALS}
    plain = {settings.PREFIX + name for name in settings._PLAIN}
    named = set(re.findall(r"`(UNDRIFT_[A-Z_]+)", section("agent")))

    assert named == options | secret | plain | {"UNDRIFT_ALLOW_FORCE_PUSH"}


def test_options_of_the_agent_are_its_settings() -> None:
    """Guards the page's promise that everything else is in Git: no option is without a setting."""
    names = {each.name for each in agent_command.command.params} - {"verbose", "output"}
    known = set(settings.Settings.__dataclass_fields__)

    assert names <= known
