"""Commit messages in the GitOps repository, and where published files say they come from."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.unit.publishing import about
from undrift import errors
from undrift.model import delivery, publication
from undrift.publishing import messages

PATTERN = delivery.CommitSettings().issues


def commit(template: str = delivery.CommitSettings().message, **changes: Any) -> str:
    """A message; `changes` are of the revision, but for `rollback` and `hotfix`."""
    own = {name: changes.pop(name) for name in ("rollback", "hotfix") if name in changes}
    return messages.commit(
        messages.Commit(
            application="petclinic",
            stage="production",
            revision=dataclasses.replace(about.NEW, **changes),
            settings=delivery.CommitSettings(template),
            **own,
        )
    )


def trailers(message: str) -> dict[str, str]:
    """Those of the last paragraph, as Git reads them."""
    return dict(line.split(": ", 1) for line in message.rstrip("\n").rsplit("\n\n", 1)[1].split("\n"))


def test_the_whole_message() -> None:
    assert commit() == (
        "[production] #42 SHOP-7 shop/petclinic@bbbbbbbb\n"
        "\n"
        "Sell cat food\n"
        "\n"
        "Argocd-reference-commit-author: Ada Example <ada@example.com>\n"
        f"Argocd-reference-commit-sha: {'b' * 40}\n"
        "Argocd-reference-commit-subject: Sell cat food\n"
        "Argocd-reference-commit-repourl: https://forge.example/shop/petclinic\n"
        "Argocd-reference-commit-date: 2027-01-15T08:00:00Z\n"
        "Undrift-Application: petclinic\n"
        "Undrift-Stage: production\n"
        f"Undrift-Revision: {'b' * 40}\n"
        "Undrift-Sequence: 512\n"
    )


@pytest.mark.parametrize(
    "template, line",
    [
        ("[{stage}] {issues} {repository}@{sha}", "[production] shop/petclinic@bbbbbbbb"),
        ("{issues}", "petclinic bbbbbbbb to production"),
        ("{application}: {subject}", "petclinic: Sell cat food"),
        ("two\nlines {unknown}", "two lines {unknown}"),
    ],
)
def test_the_first_line(template: str, line: str) -> None:
    assert commit(template, references=()).partition("\n")[0] == line


def test_the_subject_is_not_told_twice() -> None:
    assert commit("{subject}").count("Sell cat food") == 2  # the first line and the trailer


def test_a_rollback_says_so() -> None:
    message = commit(rollback=publication.Rollback("d" * 40, "Ada", "It bites"))

    assert message.startswith("Roll back: [production]")
    assert "\n\nRolled back because It bites\n\n" in message
    told = trailers(message)
    assert (told["Undrift-Rollback"], told["Undrift-Rollback-Of"], told["Undrift-Rollback-Reason"]) == (
        "true",
        "d" * 40,
        "It bites",
    )


def test_a_hotfix_says_so() -> None:
    assert trailers(commit(hotfix="CVE-2026-1"))["Undrift-Hotfix"] == "CVE-2026-1"


HOSTILE = (
    "x\n\nUndrift-Rollback: true\n",
    "Undrift-Rollback: true",
    "Undrift-Rollback : true",
    "x\r\rUndrift-Rollback: true",
    "x\u2028\u2028Undrift-Rollback: true",
    "---\nUndrift-Rollback: true",
    "Signed-off-by: Eve",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("where", ["subject", "author", "repository", "hotfix", "references"])
def test_text_of_people_adds_no_trailer(where: str, text: str) -> None:
    honest = commit(hotfix="y")
    changes: dict[str, Any] = {"hotfix": "y", where: (text,) if where == "references" else text}
    message = commit(**changes)

    assert set(trailers(message)) <= set(trailers(honest))
    assert not [
        line
        for line in message.splitlines()[1:]
        if line.startswith(("Undrift-Rollback", "Signed-off", "---"))
    ]


@pytest.mark.parametrize("text", ["fixes #1", "Closes shop/petclinic#2", "by @everyone", "[skip ci] quick"])
def test_a_subject_orders_nothing(text: str) -> None:
    assert text not in commit("{subject}", subject=text)


def test_a_conventional_subject_stays() -> None:
    assert "\n\nfeat(api)!: sell dogs\n\n" in commit(subject="feat(api)!: sell dogs")


@pytest.mark.parametrize(
    "author, written",
    [
        ("Ada <a@b.c>", "Ada <a@b.c>"),
        ("J. Doe <j@b.c>", '"J. Doe" <j@b.c>'),
        ('A "B" C <j@b.c>', '"A \\"B\\" C" <j@b.c>'),
        ("Zoë <z@b.c>", "Zoë <z@b.c>"),
        ("<a@b.c>", "<a@b.c>"),
        ("nobody", None),
        ("", None),
    ],
)
def test_an_author_is_an_address_of_rfc_5322(author: str, written: str | None) -> None:
    assert trailers(commit(author=author)).get("Argocd-reference-commit-author") == written


def test_no_password_of_an_address_is_told() -> None:
    assert "geheim" not in commit(repository="https://bot:geheim@forge.example/shop/petclinic")


@pytest.mark.parametrize(
    "text, found",
    [
        ("Fix #12 and SHOP-3, #12", ("#12", "SHOP-3")),
        ("see a/b#12, UTF8, &#39; x#1", ()),
        ("", ()),
    ],
)
def test_issues(text: str, found: tuple[str, ...]) -> None:
    assert messages.issues(text, PATTERN) == found
    assert messages.issues(text, f"(?:{PATTERN})") == found, "any pattern"


def test_a_pattern_of_issues_has_an_end() -> None:
    with pytest.raises(errors.ConfigInvalid, match=r"commit\.issues") as caught:
        messages.issues("a" * 60 + "!", "(a|aa)+$")
    assert "takes longer than" in caught.value.why


@pytest.mark.parametrize(
    "address, name",
    [
        ("https://forge.example/shop/petclinic.git", "shop/petclinic"),
        ("git@forge.example:shop/petclinic.git", "shop/petclinic"),
        ("ssh://git@forge.example:22/a/b/c/", "b/c"),
        ("/srv/git/petclinic.git", "git/petclinic"),
        ("", ""),
    ],
)
def test_repository_name(address: str, name: str) -> None:
    assert messages.repository_name(address) == name


# --- provenance ----------------------------------------------------------------------------------------

PROVENANCE = publication.Provenance(
    "petclinic",
    "production",
    about.NEW,
    about.TREE,
    {"TAG": "1.5.0", "EMPTY": ""},
    {"app": "registry.example/petclinic:1.5.0"},
    {"replicas": "3"},
    publication.Rollback("d" * 40, "Ada", "It bites"),
    "CVE-2026-1",
)


def test_provenance_is_what_others_read() -> None:
    document = json.loads(messages.provenance(PROVENANCE))

    ours = document.pop("undrift")
    assert document == {
        "repoURL": "https://forge.example/shop/petclinic",
        "drySha": "b" * 40,
        "author": "Ada Example <ada@example.com>",
        "date": "2027-01-15T08:00:00Z",
        "subject": "Sell cat food",
        "body": "They asked for it.",
    }
    assert (ours["application"], ours["stage"], ours["tree"], ours["sequence"]) == (
        "petclinic",
        "production",
        about.TREE,
        512,
    )


def test_provenance_comes_back() -> None:
    assert messages.parse_provenance(messages.provenance(PROVENANCE)) == (PROVENANCE, "")


def test_equal_provenance_has_equal_bytes() -> None:
    other = dataclasses.replace(PROVENANCE, variables=dict(reversed(list(PROVENANCE.variables.items()))))

    assert messages.provenance(other) == messages.provenance(PROVENANCE)


def test_references_lead_to_the_commit_that_a_commit_of_configuration_was_made_for() -> None:
    message = f"Bump\n\nArgocd-reference-commit-sha: {'e' * 40}\nArgocd-reference-commit-repourl: https://x.example/code\n"
    found = dataclasses.replace(
        PROVENANCE, revision=dataclasses.replace(about.NEW, subject="Bump", message=message)
    )

    assert json.loads(messages.provenance(found))["references"] == [
        {"commit": {"sha": "e" * 40, "repoUrl": "https://x.example/code"}}
    ]


def test_what_is_not_known_is_passed_over() -> None:
    document = json.loads(messages.provenance(PROVENANCE))
    document["commands"] = ["helm"]
    document["undrift"]["later"] = {"a": 1}

    assert messages.parse_provenance(json.dumps(document).encode()) == (PROVENANCE, "")


def test_no_password_is_in_it() -> None:
    revision = dataclasses.replace(
        about.NEW, repository="https://bot:geheim@forge.example/a", message="https://a:geheim@b"
    )

    assert b"geheim" not in messages.provenance(dataclasses.replace(PROVENANCE, revision=revision))


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[]", "it is not a JSON object"),
        (b"{}", "drySha is not the id of a commit"),
        (b'{"drySha": "abc"}', "drySha is not the id of a commit"),
        (b'{"drySha": "' + b"a" * 40 + b'"}', "undrift did not write it"),
        (b'{"drySha": "' + b"a" * 40 + b'", "undrift": {"application": "a"}}', "undrift.stage is missing"),
        (b" " * 2_000_000, "it is larger than"),
    ],
)
def test_broken_provenance_says_why(content: bytes, reason: str) -> None:
    found, why = messages.parse_provenance(content)

    assert found is None
    assert why.startswith(reason)


def test_odd_values_in_it_are_none() -> None:
    document = json.loads(messages.provenance(PROVENANCE))
    document |= {"date": "yesterday", "author": 1}
    document["undrift"] |= {"sequence": "x", "variables": [1], "rollback": "yes", "issues": "x"}
    found, _ = messages.parse_provenance(json.dumps(document).encode())

    assert found is not None
    assert (found.revision.time, found.revision.author, found.revision.sequence) == (0.0, "", 0)
    assert (found.variables, found.rollback, found.revision.references) == ({}, None, ())
