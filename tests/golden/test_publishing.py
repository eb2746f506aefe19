"""What a pull request says. A case is a folder: `before/` and `after/` are what is published and what is proposed,
`subject.yaml` the rest; `body.md`, `comment.md`, `commit.txt` and `statuses.txt` are what comes of it.

`GOLDEN=write` writes those anew; look at the difference before it is committed.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.publishing import about
from undrift import errors
from undrift.forges import escaping
from undrift.lib import yaml
from undrift.model import delivery, forge, publication, source
from undrift.publishing import contrasting, describing, messages, subject

CASES = pathlib.Path(__file__).parent / "publishing"
NAMES = sorted(path.name for path in CASES.iterdir())


def files(folder: pathlib.Path) -> dict[str, source.File]:
    return {
        str(path.relative_to(folder)): source.File(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def revision(given: dict[str, Any]) -> publication.AppRevision:
    return publication.AppRevision(**{**given, "references": tuple(given.get("references", ()))})


def prior(given: dict[str, Any]) -> subject.Prior:
    known = given.get("revision")
    requirement = given.get("requirement")
    return subject.Prior(
        **{
            **given,
            "revision": revision(known) if known else None,
            "requirement": delivery.Requirement(**requirement) if requirement else None,
        }
    )


def findings(given: dict[str, Any]) -> publication.Findings:
    def finding(one: dict[str, Any]) -> errors.UndriftError:
        kind = getattr(errors, one["error"])
        found = kind(
            one["what"],
            origin=errors.Origin.read(one["at"]),
            why=one.get("why", ""),
            hint=one.get("hint", ""),
        )
        assert isinstance(found, errors.UndriftError)
        return found

    return publication.Findings(
        tuple(finding(one) for one in given.get("failed", ())),
        tuple(finding(one) for one in given.get("warnings", ())),
        tuple(
            publication.Waived(finding(one), one["owner"], one["until"]) for one in given.get("waived", ())
        ),
        tuple(publication.Check(**one) for one in given.get("checks", ())),
    )


READ: dict[str, Callable[[Any], Any]] = {
    "revision": revision,
    "before": revision,
    "changelog": lambda given: subject.Changelog(
        subject.Relation(given["relation"]),
        tuple(revision(one) for one in given.get("commits", ())),
        given.get("left_out", 0),
    ),
    "charts": lambda given: tuple(subject.Chart(**one) for one in given),
    "run": lambda given: subject.Run(**given),
    "findings": findings,
    "priors": lambda given: tuple(prior(one) for one in given),
    "edits": lambda given: tuple(subject.Edit(**one) for one in given),
    "rollback": lambda given: publication.Rollback(**given),
}


def case(name: str) -> tuple[subject.Subject, forge.Limits]:
    folder = CASES / name
    (document,) = yaml.documents((folder / "subject.yaml").read_bytes())
    given = dict(document.data)
    limits = forge.Limits(**given.pop("limits", {}))
    read: dict[str, Any] = {
        key: READ[key](value) if key in READ and value else value for key, value in given.items()
    }
    contrast = contrasting.contrast(files(folder / "before"), files(folder / "after"))
    return dataclasses.replace(about.about(contrast=contrast, priors=()), **read), limits


@pytest.mark.parametrize("name", NAMES)
def test_pull_requests_say(name: str) -> None:
    found, limits = case(name)
    title, body = describing.pull_request(found, limits)
    comment = describing.report(found, limits)
    made = messages.Commit(
        application=found.application,
        stage=found.stage,
        revision=found.revision,
        rollback=found.rollback,
        hotfix=found.hotfix,
    )
    statuses = [f"{one.context} {one.state}: {one.description}" for one in describing.statuses(found, limits)]
    texts = {
        "body.md": f"{title}\n\n{body}\n",
        "comment.md": f"{comment}\n",
        "commit.txt": messages.commit(made),
        "statuses.txt": "\n".join(statuses) + "\n",
    }

    for file, text in texts.items():
        path = CASES / name / file
        if os.environ.get("GOLDEN") == "write":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), file
    assert escaping.size(body) <= limits.body
    assert escaping.size(comment) <= limits.comment


def test_there_are_cases() -> None:
    assert len(NAMES) >= 6
