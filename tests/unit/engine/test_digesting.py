"""What a digest covers, what it does not, and what an approval covers."""

from __future__ import annotations

import dataclasses
import json

import pytest

from undrift.engine import digesting
from undrift.model import application, lock, plan, resource, secret

KEY = b"key"
FILE = resource.ResourceId.of("File", "/a")
LOCK = lock.InputLock({"source": "sha256:1"}, "main@sha1:1")
POLICY = application.Policy()


def wave(before: object = 1, after: object = 2, text: str = "") -> tuple[plan.Wave, ...]:
    """One update in one wave."""
    wanted = resource.Resource(FILE, {"x": after})
    change = plan.Change(
        plan.Action.UPDATE,
        FILE,
        plan.Reason.DECLARED,
        wanted,
        fields=(plan.FieldChange("x", before, after),),
        text=text,
    )
    return (plan.Wave(0, (change,)),)


def digest(
    inputs: lock.InputLock = LOCK,
    policy: application.Policy = POLICY,
    waves: tuple[plan.Wave, ...] | None = None,
) -> str:
    """The digest of a plan."""
    return digesting.digest(digesting.document(inputs, policy, wave() if waves is None else waves, KEY))


def test_a_digest_names_inputs_policy_changes_and_before_values() -> None:
    """Whatever of these moves, the digest moves."""
    others = {
        digest(lock.InputLock({"source": "sha256:2"})),
        digest(policy=application.Policy(prune=False)),
        digest(waves=()),
        digest(waves=wave(after=3)),
        digest(waves=wave(before=0)),
    }

    assert len(others) == 5
    assert digest() not in others
    assert digest() == digest()


def test_a_digest_does_not_name_the_commit_or_the_words() -> None:
    """A commit that changes nothing of this application leaves an approval standing; so does a nicer diff."""
    assert digest(lock.InputLock(LOCK.inputs, "main@sha1:2")) == digest()
    assert digest(waves=wave(text="--- a")) == digest()


def test_moves_and_takeovers_are_named() -> None:
    """Where a resource comes from is part of what is approved."""
    change = wave()[0].changes[0]
    wanted = dataclasses.replace(change.desired or resource.Resource(FILE, {}), moved_from=FILE)
    moved = dataclasses.replace(change, desired=wanted)
    taken = dataclasses.replace(change, from_owner="other")

    found = {digest(waves=(plan.Wave(0, (one,)),)) for one in (change, moved, taken)}

    assert len(found) == 3


def test_secrets_enter_as_keyed_fingerprints() -> None:
    """Two secrets differ, nobody can read or guess them, and another key names them otherwise."""
    one, two = (
        digesting.document(LOCK, POLICY, wave(after=secret.Secret(word)), KEY) for word in ("aa", "bb")
    )

    assert digesting.digest(one) != digesting.digest(two)
    assert "aa" not in json.dumps(one["waves"])
    assert digesting.plain(secret.Secret("aa"), b"x") != digesting.plain(secret.Secret("aa"), b"y")
    assert digesting.plain(secret.Secret(b"aa"), b"x") == digesting.plain(secret.Secret("aa"), b"x")


@pytest.mark.parametrize(
    "reason, approved, asked, covered",
    [
        ("the same", wave(), wave(), True),
        ("an unknown value became known", wave(after=resource.Unknown("File//b")), wave(after=7), True),
        ("another value moved", wave(), wave(after=7), False),
        ("a known value became unknown", wave(), wave(after=resource.Unknown("File//b")), False),
        ("one more change", wave(), (*wave(), *wave()), False),
    ],
)
def test_an_approval_covers_unknown_values_becoming_known_and_nothing_else(
    reason: str, approved: tuple[plan.Wave, ...], asked: tuple[plan.Wave, ...], covered: bool
) -> None:
    """Anything more is planned anew."""
    before, after = (digesting.document(LOCK, POLICY, waves, KEY) for waves in (approved, asked))

    assert digesting.covers(before, after) is covered, reason


def test_anything_of_the_model_becomes_plain_data() -> None:
    """Sets are sorted, tuples are lists, keys are text."""
    assert digesting.plain({1: (frozenset({"b", "a"}),)}, KEY) == {"1": [["a", "b"]]}


def test_locks_tell_what_differs() -> None:
    """A new tool changes desired state with no commit, and is shown as what it is."""
    newer = lock.InputLock({"source": "sha256:1", "tool:undrift": "2"})

    assert LOCK.differs(newer) == ("tool:undrift",)
    assert LOCK.differs(LOCK) == ()
