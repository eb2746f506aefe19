"""The page of exit codes and the code have the same table."""

import pathlib
import re

from undrift import errors
from undrift.cli import exits

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"
ROW = re.compile(r"^\| (\d+) \| `(\w+)` \|(?P<rest>.*)$", re.MULTILINE)
CODE = re.compile(r"UD\d{3}")


def test_the_page_has_the_same_table() -> None:
    rows = {int(code): name for code, name, _ in ROW.findall(PAGE.read_text("utf-8"))}

    assert rows == {one.value: one.name.lower() for one in exits.Exit}


def test_every_error_that_a_row_names_ends_so() -> None:
    named = [
        (int(code), error)
        for code, _, rest in ROW.findall(PAGE.read_text("utf-8"))
        for error in CODE.findall(rest)
    ]

    wrong = [f"{error}: {code}" for code, error in named if exits.of(errors.kinds()[error]("x")) != code]
    assert not wrong
    assert len(named) > 20


def test_the_page_names_every_command_that_ends_so() -> None:
    text = PAGE.read_text("utf-8")

    missing = [name for name in sorted(exits.COMMANDS) if f"`undrift {name}`" not in text]
    assert not missing
