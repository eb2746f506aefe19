"""The order of changes: edges, waves, kinds; deletes last and in reverse, unless an edge says otherwise."""

from __future__ import annotations

import dataclasses

import pytest

from undrift import errors
from undrift.engine import ordering
from undrift.model import plan, resource, target

ABLE = target.Capabilities(kind_order=("Folder", "File", "Service"), kind_last=("Hook",))


def rid(text: str) -> resource.ResourceId:
    """`Kind/name` as an id."""
    kind, _, name = text.partition("/")
    return resource.ResourceId.of(kind, name)


def create(
    text: str, wave: int = 0, needs: tuple[str, ...] = (), rivals: tuple[str, ...] = ()
) -> plan.Change:
    """A creation."""
    wanted = resource.Resource(
        rid(text), {}, wave=wave, depends_on=tuple(map(rid, needs)), excludes=tuple(map(rid, rivals))
    )
    return plan.Change(plan.Action.CREATE, rid(text), plan.Reason.DECLARED, wanted)


def delete(text: str, needs: tuple[str, ...] = ()) -> plan.Change:
    """A deletion of what depended on others."""
    live = resource.LiveResource(rid(text), {}, depends_on=tuple(map(rid, needs)))
    return plan.Change(plan.Action.DELETE, rid(text), plan.Reason.PRUNE, None, live)


def farewell(text: str, when: resource.Farewell, wave: int = 0) -> plan.Change:
    """The creation of what is made at the end."""
    wanted = resource.Resource(rid(text), {}, wave=wave, farewell=when)
    return plan.Change(plan.Action.CREATE, rid(text), plan.Reason.DECLARED, wanted)


def test_farewells_before_and_after_the_deletes() -> None:
    """By their waves; those that come after come after every delete."""
    after, before = resource.Farewell.AFTER, resource.Farewell.BEFORE
    told = ordered(
        farewell("Hook/last", after, 12), farewell("Hook/later", after, 11), delete("File/a"), delete("Service/s"),
        farewell("Hook/second", before, -9), farewell("Hook/first", before, -10),
    )  # fmt: skip

    assert told == [["Hook/first"], ["Hook/second"], ["Service/s"], ["File/a"], ["Hook/later"], ["Hook/last"]]


def ordered(*changes: plan.Change) -> list[list[str]]:
    """Waves of written ids."""
    return [[str(change.id) for change in wave.changes] for wave in ordering.order(changes, ABLE)]


@pytest.mark.parametrize(
    "reason, changes, expected",
    [
        ("nothing", (), []),
        ("one kind goes together", (create("File/b"), create("File/a")), [["File/a", "File/b"]]),
        (
            "kinds in their order, unknown ones last",
            (create("Hook/h"), create("Else/x"), create("Service/s"), create("Folder/f")),
            [["Folder/f"], ["Service/s"], ["Else/x"], ["Hook/h"]],
        ),
        (
            "waves before kinds",
            (create("Folder/f", 1), create("Service/s", 0)),
            [["Service/s"], ["Folder/f"]],
        ),
        (
            "edges before waves",
            (create("File/a", 0, ("File/b",)), create("File/b", 5)),
            [["File/b"], ["File/a"]],
        ),
        ("an edge to what does not change is no edge", (create("File/a", 0, ("File/z",)),), [["File/a"]]),
        ("deletes last", (delete("Folder/x"), create("Service/s")), [["Service/s"], ["Folder/x"]]),
        (
            "deletes in reverse",
            (delete("Folder/x"), delete("Service/s"), delete("File/f")),
            [["Service/s"], ["File/f"], ["Folder/x"]],
        ),
        (
            "what depended goes first",
            (delete("File/a"), delete("File/b", ("File/a",))),
            [["File/b"], ["File/a"]],
        ),
        (
            "a delete that makes room goes before",
            (delete("Folder/x"), create("File/x", rivals=("Folder/x",)), delete("File/z")),
            [["Folder/x"], ["File/x"], ["File/z"]],
        ),
    ],
)
def test_order(reason: str, changes: tuple[plan.Change, ...], expected: list[list[str]]) -> None:
    """Each case is a sentence."""
    assert ordered(*changes) == expected, reason
    assert ordered(*reversed(changes)) == expected, f"{reason}, however they were found"


def test_a_circle_is_spelled_out() -> None:
    """The error names the resources in the order of their needs."""
    changes = [
        create("File/a", 0, ("File/b",)),
        create("File/b", 0, ("File/c",)),
        create("File/c", 0, ("File/a",)),
        create("File/d"),
    ]

    with pytest.raises(errors.OrderCycle) as caught:
        ordering.order(changes, ABLE)

    assert caught.value.why == "File/a needs File/b needs File/c needs File/a"


@pytest.mark.parametrize(
    "reason, changes, expected",
    [
        (
            "a folder, and what is in it",
            (create("File/b", needs=("File/a",)), create("File/a", needs=("Folder/f",)), create("Folder/f")),
            [["Folder/f", "File/a", "File/b"]],
        ),
        (
            "others follow them, and they wait for others",
            (
                create("File/b", needs=("Service/s",)),
                create("Service/s", needs=("File/a",)),
                create("File/a"),
            ),
            [["File/a", "Service/s"], ["File/b"]],
        ),
        (
            "declared waves stay apart",
            (create("Folder/f"), create("File/a", 1)),
            [["Folder/f"], ["File/a"]],
        ),
        (
            "what is removed with what is in it",
            (delete("Folder/f"), delete("File/a", ("Folder/f",))),
            [["File/a", "Folder/f"]],
        ),
        (
            "to remove and to make stay apart",
            (delete("Folder/x"), create("File/x", rivals=("Folder/x",)), delete("File/z")),
            [["Folder/x"], ["File/x"], ["File/z"]],
        ),
    ],
)
def test_kinds_that_nobody_has_to_wait_for(
    reason: str, changes: tuple[plan.Change, ...], expected: list[list[str]]
) -> None:
    """They follow one another in one wave."""
    for found in (changes, tuple(reversed(changes))):
        waves = ordering.order(found, dataclasses.replace(ABLE, instant=frozenset({"Folder", "File"})))
        assert [[str(change.id) for change in wave.changes] for wave in waves] == expected, reason


def test_a_wave_has_steps() -> None:
    """What needs something stands in a later step than that, and what does not beside it."""
    able = dataclasses.replace(ABLE, instant=frozenset({"Folder", "File"}))
    changes = [create("File/b", needs=("File/a",)), create("File/a"), create("File/c"), create("Folder/f")]

    [wave] = ordering.order([*changes, create("Service/s")], able)

    steps = [[str(change.id) for change in step] for step in wave.steps]
    assert steps == [["Folder/f"], ["File/a"], ["File/b", "File/c"], ["Service/s"]]


def test_waves_are_numbered() -> None:
    """From 0, in the order they are applied."""
    waves = ordering.order([create("Service/s"), create("Folder/f")], ABLE)

    assert [wave.number for wave in waves] == [0, 1]
