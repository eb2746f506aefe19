"""Findings for people and for machines: text, JSON, SARIF, JUnit, and the annotations of GitHub and GitLab.

    write(found, "sarif") -> str

Findings hold no secret (`validating`); here only the signs that a format gives a meaning to are escaped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import xml.sax.saxutils
from collections.abc import Iterator
from typing import Any, Final

import undrift
from undrift import errors
from undrift.model import publication

FORMS: Final = ("text", "json", "sarif", "junit", "github", "gitlab")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_ESCAPES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LEVELS: Final = {"error": "error", "warning": "warning", "waived": "note"}
_PAGE: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """One finding as it is told: `level` is `error`, `warning` or `waived`, then with `owner` and `until`."""

    level: str
    error: errors.UndriftError
    owner: str = ""
    until: str = ""

    @property
    def message(self) -> str:
        """What and why, and the next step."""
        return ". ".join(
            part.rstrip(".") for part in (self.error.what, self.error.why, self.error.hint) if part
        )

    @property
    def place(self) -> errors.Origin:
        """Where; a finding of no place is one of the Delivery."""
        return self.error.origin or errors.Origin("undrift.yaml")

    @property
    def fingerprint(self) -> str:
        """The same for the same finding, wherever in its file it moves to."""
        text = f"{self.error.code} {self.place.file} {self.error.what} {self.error.why}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def told(found: publication.Findings) -> list[Told]:
    """All findings: errors, warnings, and those that somebody answers for."""
    return [
        *(Told("error", one) for one in found.failed),
        *(Told("warning", one) for one in found.warnings),
        *(Told("waived", one.error, one.owner, one.until) for one in found.waived),
    ]


def write(found: publication.Findings, form: str) -> str:
    """A whole report in one of `FORMS`. Raises `UsageInvalid` for another one."""
    writers = {
        "text": _text,
        "json": _json,
        "sarif": _sarif,
        "junit": _junit,
        "github": _github,
        "gitlab": _gitlab,
    }
    if form not in writers:
        raise errors.UsageInvalid(
            f"there is no report in the form {form}", hint=f"one of: {', '.join(FORMS)}"
        )
    return writers[form](found)


def _text(found: publication.Findings) -> str:
    lines: list[str] = []
    for one in told(found):
        owner = f" ({one.owner} answers for it until {one.until})" if one.owner else ""
        lines.append(f"{one.level} {one.error.code}: {_printed(one.error.what)}{owner}")
        for name, text in (
            ("where", str(one.error.origin or "")),
            ("why", one.error.why),
            ("next", one.error.hint),
        ):
            if text:
                lines.append(f"  {name + ':':<7} {_printed(text)}")
    failed = sorted({f"{one.name} ({one.stage})" for one in found.checks if not one.passed})
    stages = {one.stage for one in found.checks}
    lines.append(
        f"{_count(len(found.checks), 'check')} of {_count(len(stages), 'stage')}: {_count(len(found.failed), 'error')}, "
        f"{_count(len(found.warnings), 'warning')}, {len(found.waived)} waived"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return "\n".join(lines) + "\n"


def _json(found: publication.Findings) -> str:
    data = {
        "passed": not found.failed,
        "findings": [_data(one) for one in told(found)],
        "checks": [dataclasses.asdict(one) for one in found.checks],
    }
    return json.dumps(data, indent=2) + "\n"


def _data(one: Told) -> dict[str, Any]:
    origin = one.error.origin
    made: dict[str, Any] = {
        "level": one.level,
        "code": one.error.code,
        "what": one.error.what,
        "why": one.error.why,
        "hint": one.error.hint,
        "file": origin.file if origin else "",
        "line": origin.line if origin else 0,
        "column": origin.column if origin else 0,
    }
    return {**made, "owner": one.owner, "until": one.until} if one.owner else made


def _sarif(found: publication.Findings) -> str:
    """https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html ; what is waived is a suppressed result."""
    listed = told(found)
    kinds = {one.error.code: type(one.error) for one in listed}
    codes = sorted(kinds)
    rules = [
        {
            "id": code,
            "name": kinds[code].__name__,
            "shortDescription": {"text": (kinds[code].__doc__ or code).strip().partition("\n")[0]},
        }
        for code in codes
    ]
    driver = {"name": "undrift", "version": undrift.__version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.error.code)) for one in listed],
    }
    return json.dumps({"$schema": _PAGE, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(one: Told, rule: int) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(one.place.file)}}
    if one.place.line:
        physical["region"] = {"startLine": one.place.line}
        if one.place.column:
            physical["region"]["startColumn"] = one.place.column
    made: dict[str, Any] = {
        "ruleId": one.error.code,
        "ruleIndex": rule,
        "level": _LEVELS[one.level],
        "message": {"text": _clean(one.message)},
        "locations": [{"physicalLocation": physical}],
        "partialFingerprints": {"undrift/v1": one.fingerprint},
    }
    if one.owner:
        reason = f"{one.owner} answers for it until {one.until}"
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": _clean(reason)}]
    return made


def _junit(found: publication.Findings) -> str:
    """As Jenkins and GitLab read it: a case for each finding, and one for each check that found nothing."""
    cases = [*map(_case, told(found)), *_passed(found)]
    counts = f'tests="{len(cases)}" failures="{len(found.failed)}" errors="0" skipped="{len(found.waived)}"'
    body = "".join(f"    {case}\n" for case in cases)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="undrift" {counts}>\n'
        f'  <testsuite name="undrift validate" {counts}>\n{body}  </testsuite>\n</testsuites>\n'
    )


def _case(one: Told) -> str:
    attributes = f"classname={_quoted(one.place.file)} name={_quoted(f'{one.error.code} {one.error.what}')}"
    where = f" file={_quoted(one.place.file)}" + (f' line="{one.place.line}"' if one.place.line else "")
    text = xml.sax.saxutils.escape(_clean(f"{one.place}: {one.message}"))
    if one.level == "error":
        kind = _quoted(one.error.code)
        return (
            f"<testcase {attributes}{where}>"
            f"<failure type={kind} message={_quoted(one.error.what)}>{text}</failure></testcase>"
        )
    if one.level == "warning":
        return f"<testcase {attributes}{where}><system-out>{text}</system-out></testcase>"
    reason = _quoted(f"{one.owner} answers for it until {one.until}")
    return f"<testcase {attributes}{where}><skipped message={reason}/></testcase>"


def _passed(found: publication.Findings) -> Iterator[str]:
    for one in found.checks:
        if one.passed:
            name = f"{one.name} {one.version}".strip()
            yield f"<testcase classname={_quoted(f'stage {one.stage}')} name={_quoted(name)}/>"


def _github(found: publication.Findings) -> str:
    """Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions ."""
    lines: list[str] = []
    for one in told(found):
        level = "notice" if one.level == "waived" else one.level
        origin = one.error.origin
        where = {"file": one.place.file}
        if origin and origin.line:
            where["line"] = str(origin.line)
        if origin and origin.column:
            where["col"] = str(origin.column)
        where["title"] = f"undrift {one.error.code}"
        properties = ",".join(f"{name}={_property(value)}" for name, value in where.items())
        lines.append(f"::{level} {properties}::{_value(one.message)}")
    return "".join(f"{line}\n" for line in lines)


def _gitlab(found: publication.Findings) -> str:
    """Code quality: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format ."""
    severities = {"error": "major", "warning": "minor", "waived": "info"}
    listed = [
        {
            "description": _clean(one.message),
            "check_name": one.error.code,
            "fingerprint": one.fingerprint,
            "severity": severities[one.level],
            "location": {"path": one.place.file, "lines": {"begin": one.place.line or 1}},
        }
        for one in told(found)
    ]
    return json.dumps(listed, indent=2) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _clean(text: str) -> str:
    """Without signs that XML cannot hold, and that nobody prints."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _printed(text: str) -> str:
    """For a terminal: lines below one another are indented, and nothing moves the cursor."""
    return _ESCAPES.sub("\N{REPLACEMENT CHARACTER}", text).replace("\n", "\n          ")


def _quoted(text: str) -> str:
    escaped = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;", '"': "&quot;"}
    return f'"{xml.sax.saxutils.escape(_clean(text), escaped)}"'


def _value(text: str) -> str:
    return _clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _value(text).replace(":", "%3A").replace(",", "%2C")


def _uri(path: str) -> str:
    """A path as a relative reference: https://www.rfc-editor.org/rfc/rfc3986 ."""
    return re.sub(
        rb"[^A-Za-z0-9_.~/!$&'()*+,;=@-]",
        lambda found: b"%%%02X" % found[0][0],
        path.encode("utf-8", "surrogateescape"),
    ).decode("ascii")
