"""A secret is never seen by accident: not printed, not formatted, not pickled, not compared with a guess by digest."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Callable

import pytest

from undrift.model import resource, secret

VALUE = "correct-horse"


@pytest.mark.parametrize("value", [VALUE, VALUE.encode()], ids=["text", "bytes"])
def test_it_shows_as_a_mask_wherever_it_is_printed(value: str | bytes) -> None:
    """By itself, formatted, and inside of what holds it."""
    hidden = secret.Secret(value)
    held = resource.Resource(resource.ResourceId.of("File", "/a"), {"content": hidden})

    for shown in (
        str(hidden),
        repr(hidden),
        f"{hidden}",
        f"{hidden:>30}",
        repr([hidden]),
        repr(held),
        str(held),
    ):
        assert VALUE not in shown
        assert "***" in shown


@pytest.mark.parametrize("write", [pickle.dumps, copy.deepcopy, json.dumps], ids=["pickle", "copy", "json"])
def test_it_cannot_be_written_anywhere(write: Callable[[object], object]) -> None:
    """Whoever tries has a defect, and hears of it."""
    with pytest.raises(TypeError) as raised:
        write(secret.Secret(VALUE))

    assert VALUE not in str(raised.value)


def test_a_value_that_holds_one_can_be_changed_and_compared() -> None:
    """Equal secrets are equal: a plan needs that."""
    one = resource.Resource(resource.ResourceId.of("File", "/a"), {"content": secret.Secret(VALUE)})
    same = dataclasses.replace(one, fields={"content": secret.Secret(VALUE)})
    other = dataclasses.replace(one, fields={"content": secret.Secret("else")})

    assert one == same
    assert one != other
    assert secret.Secret(VALUE) != VALUE
    assert len({secret.Secret(VALUE), secret.Secret(VALUE)}) == 1


def test_its_fingerprint_needs_the_key() -> None:
    """Without it nobody can try out guesses; text and bytes of the same value are the same."""
    one = secret.Secret(VALUE)

    assert one.fingerprint(b"k") == secret.Secret(VALUE.encode()).fingerprint(b"k")
    assert one.fingerprint(b"k") != one.fingerprint(b"another")
    assert one.fingerprint(b"k") != secret.Secret("else").fingerprint(b"k")
    assert VALUE not in one.fingerprint(b"k")
