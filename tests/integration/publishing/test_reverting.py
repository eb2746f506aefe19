"""`undrift rollback --stage`: the very files come back, and automation stays away until a person says otherwise."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.integration.publishing import places
from undrift.publishing import messages

BINARY = str(places.BIN / "undrift")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> places.Place:
    """Three revisions of a stage."""
    made = places.delivered(tmp_path)
    for number in (2, 3, 4):
        revise(made, number)
    return made


def revise(place: places.Place, number: int) -> str:
    path = place.application / "k8s" / "staging" / "deployment.yaml"
    text = re.sub(r"petclinic:[\d.]+", f"petclinic:{number}.0", path.read_text("utf-8"))
    path.write_text(text, encoding="utf-8")
    place.git("commit", "-qam", f"Revision {number}")
    ended(place, 0, "publish", "--stage", "staging")
    return place.git("rev-parse", "HEAD").strip()


def ended(place: places.Place, code: int, *arguments: str) -> str:
    done = place.run(BINARY, *arguments, env={"UNDRIFT_AUTHOR": "ada"})
    said = " ".join(f"{done.stdout}\n{done.stderr}".split())
    assert done.returncode == code, said
    return said


def image(place: places.Place) -> str:
    return str(re.findall(r"petclinic:([\d.]+)", place.published("staging"))[0])


def test_back_and_further_back_and_on_again(place: places.Place) -> None:
    back = ("rollback", "petclinic", "--stage", "staging", "--reason", "It bites")
    ended(place, 0, *back)
    assert image(place) == "3.0"
    note = place.git("show", "main:staging/petclinic/hydrator.metadata", cwd=place.gitops).encode()
    known, _ = messages.parse_provenance(note)
    assert known is not None
    assert known.rollback is not None
    assert (known.rollback.by, known.rollback.reason) == ("ada", "It bites")
    assert "Undrift-Rollback: true" in place.git("log", "-1", "--format=%B", "main", cwd=place.gitops)

    ended(place, 0, *back)
    assert image(place) == "2.0"

    tip = place.tip()
    held = ended(place, 0, "publish", "--stage", "staging")
    assert re.search(r"held .*rolled back from \w{8} by ada: It bites; let it go on with --resume", held)
    assert place.tip() == tip

    ended(place, 0, "publish", "--stage", "staging", "--resume")
    assert image(place) == "4.0"
    assert "unchanged" in ended(place, 0, "publish", "--stage", "staging")


def test_to_a_revision_by_its_name(place: places.Place) -> None:
    sha = place.git("rev-parse", "HEAD~2").strip()

    ended(place, 0, "rollback", "petclinic", "--stage", "staging", "--to", sha[:8])

    assert image(place) == "2.0"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ("--stage", "staging", "--to", "0123abcd"),
            r"UD804.*0123abcd is no revision that staging had.*it had: \w{8}",
        ),
        (("--stage", "production"), r"UD804.*nothing is published in production"),
        (("--stage", "nowhere"), r"UD109.*petclinic has no stage nowhere"),
    ],
)
def test_what_cannot_be_taken_back_is_said(
    place: places.Place, arguments: tuple[str, ...], message: str
) -> None:
    tip = place.tip()

    assert re.search(message, ended(place, 3, "rollback", "petclinic", *arguments))

    assert place.tip() == tip
