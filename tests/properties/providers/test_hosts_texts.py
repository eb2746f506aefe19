"""What is written for other programs reads back as it was meant, whatever was declared."""

import pathlib
import shlex
import string
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from supervisor import options

from undrift import errors
from undrift.providers.hosts import blocks, kinds, programs, systemd

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=20)
tricky = st.text(st.sampled_from(" ;#%'\"\\$(){}here s=,a\t"), max_size=12).filter(
    lambda text: "\t" not in text
)
commands = st.lists(words | tricky, min_size=1, max_size=4).filter(lambda all_words: bool(all_words[0]))
values = words | tricky


def fields(command: list[str], environment: list[str]) -> dict[str, Any]:
    return {
        "command": command, "environment": environment, "directory": "/", "user": None, "state": "running",
        "enabled": True, "health": None, "trigger": "t", "reload": "", "manager": "supervisor",
    }  # fmt: skip


def written(declared: dict[str, Any]) -> str:
    return programs.text("it", declared, lambda path: path, pathlib.Path("/log"))


def as_supervisor_reads(text: str, folder: pathlib.Path) -> tuple[list[str], dict[str, str]]:
    """Through supervisor's own parser, as its daemon reads a file."""
    parser = options.UnhosedConfigParser()
    parser.expansions = {"here": "/here", "program_name": "it"}
    path = folder / "it.ini"
    path.write_bytes(text.encode())
    parser.read(str(path))
    command = parser.saneget("program:it", "command")
    environment = parser.saneget("program:it", "environment", "")
    return shlex.split(command), options.dict_of_key_value_pairs(environment)


@given(commands)
def test_a_command_reaches_supervisor_word_by_word(
    tmp_path_factory: pytest.TempPathFactory, command: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp()

    assert as_supervisor_reads(written(fields(command, [])), folder)[0] == command


@given(values)
def test_a_variable_reaches_supervisor_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    try:
        text = written(fields(["x"], [f"KEY={value}"]))
    except errors.ResourceInvalid:
        assume(False)

    assert as_supervisor_reads(text, tmp_path_factory.getbasetemp())[1] == {"KEY": value}


@given(commands, st.lists(st.builds("K={}".format, values.filter(lambda text: '"' not in text)), max_size=2))
def test_the_declared_fields_are_read_back_from_both_kinds_of_files(
    command: list[str], pairs: list[str]
) -> None:
    declared = fields(command, pairs)
    try:
        text = written(declared)
    except errors.ResourceInvalid:
        assume(False)
    unit = systemd.declared(systemd.text("it", declared))

    assert programs.declared(text) == declared
    assert unit == {**declared, "trigger": "", "reload": ""}


lines = st.lists(st.text(string.printable, max_size=10), max_size=6).map("\n".join)


@given(lines, lines, lines)
def test_a_block_goes_in_and_out_of_a_text_and_leaves_it_as_it_was(
    foreign: str, first: str, second: str
) -> None:
    assume("undrift" not in foreign + first + second)
    before = foreign if not foreign or foreign.endswith("\n") else foreign + "\n"

    once = blocks.put(foreign, "name", first.rstrip("\n") + "\n", "#")
    found = blocks.find(once, "name")
    twice = blocks.put(once, "name", second.rstrip("\n") + "\n", "//")

    assert found is not None
    assert (found.lines, found.comment) == (first.rstrip("\n") + "\n", "#")
    assert blocks.take(once, "name") == before
    assert blocks.take(twice, "name") == before


@given(
    st.dictionaries(words, st.none() | st.booleans() | words | st.lists(words), max_size=4), st.sets(words)
)
def test_kept_fields_come_back_and_secrets_stay_secret(plain: dict[str, Any], hidden: set[str]) -> None:
    declared = {name: kinds.hide(value) if name in hidden else value for name, value in plain.items()}

    assert kinds.kept(kinds.keep(declared)) == declared
