"""The page of promises names tests that there are, and none is promised without."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture import reading
from tests.docs import pages

_PLACE = r"`((?:e2e|unit|integration|conformance|properties|architecture)/[^`]+)`"
PLACES = sorted(set(re.findall(_PLACE, pages.text("explanation/promises.md"))))


@pytest.mark.parametrize("place", PLACES)
def test_the_test_exists(place: str) -> None:
    file, _, name = place.partition("::")
    tree = ast.parse((reading.ROOT / "tests" / file).read_text(encoding="utf-8"))
    names = {one.name for one in ast.walk(tree) if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert (
        name in names
        if name
        else any(one.startswith("test_") for one in names) or "TestCase" in ast.dump(tree)
    )


def test_every_line_names_one() -> None:
    rows = [
        row
        for section in pages.sections("explanation/promises.md", 2).values()
        for row in section.splitlines()
        if row.startswith("| ") and not row.startswith(("| promise", "| answer"))
    ]
    assert rows
    assert all(any(f"`{place}`" in row for place in PLACES) for row in rows)
