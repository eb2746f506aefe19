"""What is written into the GitOps repository beside the files: commit messages, and where the files come from. Pure.

    commit(Commit) -> str                                    a whole commit message, trailers last
    issues(text, pattern) -> tuple[str, ...]                 the issues that a text names
    provenance(publication.Provenance) -> bytes              the file `hydrator.metadata`
    parse_provenance(bytes) -> (Provenance | None, reason)   and back

Both are forms that Argo CD made: trailers `Argocd-reference-commit-*` lead from a commit to that of the application
(argo-cd, docs/user-guide/source-hydrator.md), and the file is what its hydrator writes and GitOps Promoter reads
(util/hydrator in argo-cd): `repoURL`, `drySha`, `author`, `date`, `subject`, `body`, `references`. Ours is what
stands under `undrift` in it; others pass over that, as we do over what we do not know.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from undrift import errors
from undrift.forges import escaping
from undrift.lib import expressions, mask
from undrift.model import delivery, publication

_PLACEHOLDER: Final = re.compile(r"\{(stage|issues|application|repository|sha|subject)\}")
_SPACES: Final = re.compile(r" {2,}")
_TRAILER: Final = re.compile(r"[A-Za-z0-9-]+[ \t]*:|---|#")
_CONVENTIONAL: Final = re.compile(r"[a-z]+(\([^)]*\))?!?:")
_ADDRESS: Final = re.compile(r"(?P<name>[^<>]*?)\s*<(?P<mail>[^<>\s]+@[^<>\s]+)>")
_ATOMS: Final = re.compile(r"[^\x00-\x1f()<>\[\]:;@\\,.\"]*")
_COMMIT_ID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REFERENCE: Final = re.compile(
    r"^argocd-reference-commit-(author|sha|subject|repourl|date|body):[ \t]*(.+)$",
    re.IGNORECASE | re.MULTILINE,
)
_MOST_TEXT: Final = 20_000
_LARGEST: Final = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a commit in the GitOps repository is about; `settings` are those of the Delivery."""

    application: str
    stage: str
    revision: publication.AppRevision
    settings: delivery.CommitSettings = dataclasses.field(default_factory=delivery.CommitSettings)
    rollback: publication.Rollback | None = None
    hotfix: str = ""


# --- commit messages -----------------------------------------------------------------------------------


def commit(made: Commit) -> str:
    """The whole message. Nothing that people wrote can add a trailer to it, close an issue, or stop CI."""
    parts = [_first_line(made), _body(made), "\n".join(_trailers(made))]
    return "\n\n".join(part for part in parts if part) + "\n"


def issues(text: str, pattern: str) -> tuple[str, ...]:
    """The issues that a text names, each once, in their order.

    Raises `ConfigInvalid` where a pattern of the user's takes too long, or is none.
    """
    if pattern == delivery.ISSUES:
        found = [match[0] for match in re.finditer(pattern, text[:_MOST_TEXT])]
    else:
        try:
            found = [match[0] for _, match in expressions.searched(pattern, [text[:_MOST_TEXT]])]
        except (expressions.TooSlow, expressions.Invalid) as error:
            raise errors.ConfigInvalid(
                "commit.issues cannot be looked for in the message of the revision",
                why=str(error),
                hint="repeat nothing that matches in several ways, as in (a|aa)+; an issue is found by something like #[0-9]+",
            ) from None
    return tuple(dict.fromkeys(escaping.line(one) for one in found if one.strip()))


def repository_name(address: str) -> str:
    """What people call a repository: the last two steps of its address, `group/name`."""
    path = re.sub(r"^[a-z+]+://[^/]*/|^[^/:]+:", "", address.strip().rstrip("/")).removesuffix(".git")
    return "/".join(path.split("/")[-2:])


def _first_line(made: Commit) -> str:
    revision = made.revision
    values = {
        "stage": made.stage,
        "application": made.application,
        "repository": escaping.line(repository_name(revision.repository)),
        "sha": revision.short,
        "subject": escaping.defused(revision.subject),
        "issues": escaping.line(" ".join(revision.references)),
    }
    template = escaping.line(made.settings.message)
    filled = _PLACEHOLDER.sub(lambda found: values[found[1]], template)
    line = _SPACES.sub(" ", filled).strip()
    if made.rollback is not None:
        line = f"Roll back: {line}"
    if line.startswith("---"):  # where Git takes a message to end
        line = f"> {line}"
    return line or f"{made.application} {revision.short} to {made.stage}"


def _body(made: Commit) -> str:
    subject = escaping.defused(made.revision.subject)
    told = [] if not subject or "{subject}" in made.settings.message else [_quoted(subject)]
    if made.rollback is not None and made.rollback.reason:
        told.append(_quoted(f"Rolled back because {escaping.defused(made.rollback.reason)}"))
    if made.hotfix:
        told.append(_quoted(f"Stages are skipped because {escaping.defused(made.hotfix)}"))
    return "\n\n".join(told)


def _quoted(line: str) -> str:
    """A line of the body that no reader of trailers, however simple, takes for one."""
    if _TRAILER.match(line) and not _CONVENTIONAL.match(line):
        return f"> {line}"
    return line


def _trailers(made: Commit) -> Iterator[str]:
    revision = made.revision
    told = {
        "Argocd-reference-commit-author": _address(revision.author),
        "Argocd-reference-commit-sha": revision.sha,
        "Argocd-reference-commit-subject": escaping.defused(revision.subject),
        "Argocd-reference-commit-repourl": escaping.line(_open(revision.repository)),
        "Argocd-reference-commit-date": _date(revision.time),
        "Undrift-Application": escaping.line(made.application),
        "Undrift-Stage": escaping.line(made.stage),
        "Undrift-Revision": revision.sha,
        "Undrift-Sequence": str(revision.sequence) if revision.sequence else "",
    }
    if made.rollback is not None:
        told["Undrift-Rollback"] = "true"
        told["Undrift-Rollback-Of"] = escaping.line(made.rollback.of)
        told["Undrift-Rollback-By"] = escaping.line(made.rollback.by)
        told["Undrift-Rollback-Reason"] = escaping.defused(made.rollback.reason)
    told["Undrift-Hotfix"] = escaping.defused(made.hotfix)
    for name, line in told.items():
        if line:
            yield f"{name}: {line}"


def _address(author: str) -> str:
    """`Name <mail>` as RFC 5322 has it: a name with signs in it is quoted. "" for what is no address."""
    found = _ADDRESS.fullmatch(escaping.line(author))
    if found is None:
        return ""
    name = found["name"].strip('"')
    if not _ATOMS.fullmatch(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{escaped}"'
    return f"{name} <{found['mail']}>".strip()


def _date(time: float) -> str:
    try:
        return datetime.datetime.fromtimestamp(int(time), datetime.UTC).isoformat()[:19] + "Z" if time else ""
    except (ValueError, OverflowError, OSError):
        return ""


# --- provenance ----------------------------------------------------------------------------------------


def provenance(found: publication.Provenance) -> bytes:
    """The bytes of `hydrator.metadata`: equal for what is equal."""
    revision = found.revision
    document = {
        "repoURL": _open(revision.repository),
        "drySha": revision.sha,
        "author": revision.author,
        "date": _date(revision.time),
        "subject": _open(escaping.line(revision.subject)),
        "body": _open(_without_subject(revision)),
        "references": _references(revision.message),
        "undrift": _filled(_ours(found)),
    }
    return orjson.dumps(_filled(document), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def parse_provenance(content: bytes) -> tuple[publication.Provenance | None, str]:
    """What a `hydrator.metadata` says, or None and why it says nothing to us."""
    if len(content) > _LARGEST:
        return None, f"it is larger than {_LARGEST} bytes"
    try:
        document = orjson.loads(content)
    except ValueError as error:
        return None, f"it is not JSON: {error}"
    if not isinstance(document, Mapping):
        return None, "it is not a JSON object"
    sha, ours = document.get("drySha"), document.get("undrift")
    if not isinstance(sha, str) or not _COMMIT_ID.fullmatch(sha):
        return None, "drySha is not the id of a commit"
    if not isinstance(ours, Mapping):
        return None, "undrift did not write it"
    missing = [name for name in ("application", "stage", "tree") if not _text(ours, name)]
    if missing:
        return None, f"undrift.{missing[0]} is missing"
    return _parsed(document, ours, sha), ""


def _ours(found: publication.Provenance) -> dict[str, Any]:
    back = found.rollback
    return {
        "application": found.application,
        "stage": found.stage,
        "tree": found.tree,
        "branch": found.revision.branch,
        "sequence": found.revision.sequence,
        "issues": list(found.revision.references),
        "variables": dict(sorted(found.variables.items())),
        "images": dict(sorted(found.images.items())),
        "values": dict(sorted(found.values.items())),
        "rollback": {"of": back.of, "by": back.by, "reason": back.reason} if back else None,
        "hotfix": found.hotfix,
    }


def _filled(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty, and with text that UTF-8 can say."""
    return {name: _mended(value) for name, value in document.items() if value not in ("", None, 0, [], {})}


def _mended(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_mended(name): _mended(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _without_subject(revision: publication.AppRevision) -> str:
    body = revision.message.strip()
    first, _, rest = body.partition("\n")
    if escaping.line(first) == escaping.line(revision.subject):
        body = rest
    return body.strip()[:_MOST_TEXT].strip()


def _open(text: str) -> str:
    """Without the credentials in addresses, also where there is an @ in one."""
    shorter = mask.without_credentials(text)
    while shorter != text:
        text, shorter = shorter, mask.without_credentials(shorter)
    return text


def _references(message: str) -> list[dict[str, Any]]:
    """The commit that a commit of configuration was made for, as its own trailers tell."""
    names = {"repourl": "repoUrl"}
    found = {
        names.get(name.lower(), name.lower()): value.strip()
        for name, value in _REFERENCE.findall(message[:_MOST_TEXT])
        if name.lower() != "body"
    }
    return [{"commit": found}] if found.get("sha") else []


def _parsed(document: Mapping[str, Any], ours: Mapping[str, Any], sha: str) -> publication.Provenance:
    subject, body = _text(document, "subject"), _text(document, "body")
    sequence, listed = ours.get("sequence"), ours.get("issues")
    revision = publication.AppRevision(
        sha,
        _text(document, "repoURL"),
        _text(document, "author"),
        _seconds(_text(document, "date")),
        subject,
        f"{subject}\n\n{body}" if body else subject,
        tuple(str(one) for one in listed) if isinstance(listed, list) else (),
        _text(ours, "branch"),
        sequence if isinstance(sequence, int) and sequence > 0 else 0,
    )
    back = ours.get("rollback")
    return publication.Provenance(
        _text(ours, "application"),
        _text(ours, "stage"),
        revision,
        _text(ours, "tree"),
        _texts(ours, "variables"),
        _texts(ours, "images"),
        _texts(ours, "values"),
        publication.Rollback(_text(back, "of"), _text(back, "by"), _text(back, "reason"))
        if isinstance(back, Mapping)
        else None,
        _text(ours, "hotfix"),
    )


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _texts(document: Mapping[str, Any], name: str) -> dict[str, str]:
    value = document.get(name)
    if not isinstance(value, Mapping):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _seconds(date: str) -> float:
    try:
        return datetime.datetime.fromisoformat(date).timestamp()
    except (ValueError, OverflowError):
        return 0.0
