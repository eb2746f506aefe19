"""The page of forges and the adapters say the same: every kind, its hosts, its limits, its variables."""

from __future__ import annotations

import importlib

import pytest

from tests.docs import pages
from undrift.forges import connecting
from undrift.model import forge

PAGE = "reference/forges.md"
KINDS = sorted(connecting.KINDS)


def rows(heading: str, level: int = 2) -> dict[str, list[str]]:
    """The first table of a section: what its first column has in code, and the other columns."""
    found: dict[str, list[str]] = {}
    for line in pages.sections(PAGE, level)[heading].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        for name in cells[0].removeprefix("| ").replace("`", "").split(", "):
            if line.startswith("| `") and not line.startswith("| `forge`"):
                found.setdefault(name.strip(), cells[1:])
    return found


def adapter(kind: str) -> type:
    module, _, name = connecting.KINDS[kind].adapter.partition(":")
    found: type = getattr(importlib.import_module(f"undrift.forges.{module}"), name)
    return found


def test_every_kind_is_there_and_no_other() -> None:
    assert sorted(rows("Kinds")) == KINDS
    assert sorted(rows("Limits")) == KINDS
    assert sorted(rows("What is different")) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_hosts_that_tell_a_kind(kind: str) -> None:
    told = rows("Kinds")[kind][1]

    if kind != "forgejo":  # its hosts say gitea
        for host in connecting.KINDS[kind].hosts:
            assert host in told


@pytest.mark.parametrize("kind", KINDS)
def test_the_limits_are_those_of_the_adapter(kind: str) -> None:
    limits: forge.Limits = adapter(kind).limits  # type: ignore[attr-defined]  # every adapter has them
    sizes = (limits.title, limits.body, limits.comment, limits.description)
    can = (limits.drafts, limits.labels, limits.reviewers, limits.auto_merge)

    wanted = [str(size) for size in sizes] + ["yes" if one else "no" for one in can]
    assert [cell.rstrip(" |") for cell in rows("Limits")[kind]] == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_whether_it_was_tried_on_a_real_one(kind: str) -> None:
    """The module of an adapter says so in its first lines."""
    module = importlib.import_module(adapter(kind).__module__)
    live = "not verified live" not in (module.__doc__ or "").lower()

    told = rows("What was tried on what", 3)[kind][0]
    assert told.startswith("yes") is (live and kind != "forgejo")


def test_every_variable_is_there() -> None:
    text = pages.text(PAGE)

    for kind in connecting.KINDS.values():
        for variable in kind.variables:
            assert f"`{variable.name}`" in text
