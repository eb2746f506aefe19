"""Which commit a reference names, and what Git's wire says."""

import pytest

from undrift import errors
from undrift.model import source
from undrift.sources.git import protocol, references

A, B, C = "a" * 40, "b" * 40, "c" * 40
REFS = {
    "refs/heads/main": references.Ref(A),
    "refs/heads/v1.0.0": references.Ref(C),
    "refs/tags/v1.0.0": references.Ref(B, A),
    "refs/tags/v1.1.0": references.Ref(C),
}


@pytest.mark.parametrize(
    "reference, selected",
    [
        (source.GitReference(branch="main"), references.Selected("refs/heads/main", "main", A)),
        (source.GitReference(tag="v1.0.0"), references.Selected("refs/tags/v1.0.0", "v1.0.0", A, B)),
        (source.GitReference(tag="v1.1.0"), references.Selected("refs/tags/v1.1.0", "v1.1.0", C)),
        (source.GitReference(semver="~1.0"), references.Selected("refs/tags/v1.0.0", "v1.0.0", A, B)),
        (source.GitReference(branch="v1.0.0"), references.Selected("refs/heads/v1.0.0", "v1.0.0", C)),
        (source.GitReference(commit=B), references.Selected("", B[:12], B)),
    ],
)
def test_what_is_selected(reference: source.GitReference, selected: references.Selected) -> None:
    assert references.select(reference, REFS, "here") == selected


@pytest.mark.parametrize(
    "reference, said",
    [
        (source.GitReference(branch="mian"), "has no branch mian.*there is main"),
        (source.GitReference(tag="main"), "has no tag main"),
        (source.GitReference(semver="^2"), "no tag in the range.*newest of 2 versions is v1.1.0"),
        (source.GitReference(semver="2 banana"), "is not a range"),
        (source.GitReference(commit="B" * 40), "does not name one commit"),
    ],
)
def test_what_names_nothing(reference: source.GitReference, said: str) -> None:
    with pytest.raises(errors.ReferenceMissing, match=said) as caught:
        references.select(reference, REFS, "here")
    assert caught.value.hint


def test_a_poll_asks_for_no_more_than_it_needs() -> None:
    assert references.prefixes(source.GitReference(branch="main")) == ("refs/heads/main",)
    assert references.prefixes(source.GitReference(tag="v1")) == ("refs/tags/v1",)
    assert references.prefixes(source.GitReference(semver="*")) == ("refs/tags/",)
    assert references.prefixes(source.GitReference(commit=A)) == ()


def test_a_request_for_refs() -> None:
    assert protocol.ask_refs(["refs/heads/main"]) == (
        b"0014command=ls-refs\n0012agent=undrift\n0017object-format=sha1\n"
        b"00010009peel\n001fref-prefix refs/heads/main\n0000"
    )


def answer(*lines: str) -> bytes:
    return b"".join(protocol.packet(line.encode()) for line in lines) + b"0000"


def test_an_answer_with_refs() -> None:
    body = answer(
        f"{A} refs/heads/main\n", f"{B} refs/tags/v1.0.0 peeled:{A}\n", "unborn HEAD symref-target:x\n"
    )
    assert protocol.read_refs(body) == {
        "refs/heads/main": references.Ref(A),
        "refs/tags/v1.0.0": references.Ref(B, A),
    }


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_half_an_answer_is_no_answer(cut: int) -> None:
    """A ref that is not in it has not been deleted."""
    with pytest.raises(ValueError, match=r"."):
        protocol.read_refs(answer(f"{A} refs/heads/main\n", f"{B} refs/heads/other\n")[:cut])


@pytest.mark.parametrize("body", [b"<html>", b"", b"0001", b"fffe", answer("ERR no such thing")])
def test_something_else_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        protocol.read_refs(body)


def test_the_listing_of_ls_remote() -> None:
    output = f"{A}\trefs/heads/main\n{B}\trefs/tags/v1\n{A}\trefs/tags/v1^{{}}\n".encode()
    assert protocol.read_listing(output) == {
        "refs/heads/main": references.Ref(A),
        "refs/tags/v1": references.Ref(B, A),
    }
