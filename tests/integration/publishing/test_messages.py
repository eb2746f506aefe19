"""Commit messages as Git itself reads them: the trailers are ours, whatever people wrote."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from tests import peers
from tests.unit.publishing import about
from undrift.model import delivery, publication
from undrift.publishing import messages

HOSTILE = (
    "x\n\nUndrift-Rollback: true",
    "Undrift-Rollback: true",
    "Undrift-Rollback : true",
    "x\r\n\r\nUndrift-Rollback: true",
    "---\nx",
    "# x\n; y",
    " Undrift-Rollback: true",
    "(cherry picked from commit 1)",
    "Signed-off-by: Eve <eve@example.com>",
)


def trailers(message: str) -> list[tuple[str, str]]:
    """What `git interpret-trailers` finds."""
    git = peers.require_peer("git")
    done = subprocess.run(
        [git, "interpret-trailers", "--parse"],
        input=message.encode(),
        capture_output=True,
        check=True,
        timeout=30,
    )
    return [
        (name, value)
        for name, _, value in (line.partition(": ") for line in done.stdout.decode().splitlines())
    ]


def message(text: str) -> str:
    return messages.commit(
        messages.Commit(
            application="petclinic",
            stage="production",
            revision=dataclasses.replace(about.NEW, subject=text, author=text, references=(text,)),
            settings=delivery.CommitSettings("{issues} {subject}"),
            rollback=None,
            hotfix=text,
        )
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_git_finds_our_trailers_and_no_others(text: str) -> None:
    found = trailers(message(text))

    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    assert "Undrift-Rollback" not in names
    assert dict(found)["Undrift-Application"] == "petclinic"
    assert dict(found)["Undrift-Revision"] == about.NEW.sha
    assert all(name.startswith(("Argocd-reference-commit-", "Undrift-")) for name in names)


def test_git_finds_a_rollback() -> None:
    found = trailers(
        messages.commit(
            messages.Commit(
                application="petclinic",
                stage="production",
                revision=about.OLD,
                rollback=publication.Rollback(about.NEW.sha, "Ada Example", "It bites"),
            )
        )
    )

    assert dict(found)["Undrift-Rollback"] == "true"
    assert dict(found)["Undrift-Rollback-Reason"] == "It bites"
