"""The same findings in every form: each can be read back, and says all that its readers use."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from undrift import errors
from undrift.model import publication
from undrift.publishing import announcing

NASTY = "50% of <a> & \"b\" 'c', d: e\nnext\tline"
FOUND = publication.Findings(
    failed=(
        errors.ResourceInvalid(
            "Deployment/web: spec.replicas should be a whole number",
            origin=errors.Origin("k8s/ä b/web.yaml", 8, 13),
            hint="take the quotes off",
        ),
        errors.CheckFailed(NASTY, why=NASTY, hint=NASTY),
    ),
    warnings=(errors.LimitsMissing("no limits", origin=errors.Origin("k8s/web.yaml", 3)),),
    waived=(
        publication.Waived(
            errors.SecretInPlain("Secret/db is plain text", origin=errors.Origin("k8s/db.yaml", 1, 1)),
            "joe@example.org",
            "2027-12-31",
        ),
    ),
    checks=(
        publication.Check("schema", "staging", "Kubernetes 1.33", passed=False),
        publication.Check("policy", "staging", "undrift 0.1.0"),
    ),
)
NOTHING = publication.Findings(checks=(publication.Check("yaml", "staging", "undrift 0.1.0"),))

# What SARIF 2.1.0 demands of what we write (sections 3.13, 3.14, 3.27 and 3.29 of the standard).
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {"type": "object", "required": ["id"]},
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "level"],
                            "properties": {
                                "message": {"required": ["text"]},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                                "locations": {
                                    "type": "array",
                                    "items": {
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "properties": {
                                                            "uri": {"type": "string", "pattern": "^[!-~]+$"}
                                                        }
                                                    },
                                                    "region": {
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1},
                                                            "startColumn": {"type": "integer", "minimum": 1},
                                                        }
                                                    },
                                                },
                                            }
                                        }
                                    },
                                },
                                "suppressions": {
                                    "items": {
                                        "required": ["kind"],
                                        "properties": {
                                            "kind": {"enum": ["inSource", "external"]},
                                            "status": {"enum": ["accepted", "underReview", "rejected"]},
                                        },
                                    }
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_text_reads_as_other_commands_do() -> None:
    assert announcing.write(FOUND, "text") == (
        "error UD401: Deployment/web: spec.replicas should be a whole number\n"
        "  where:  k8s/ä b/web.yaml:8:13\n"
        "  next:   take the quotes off\n"
        "error UD413: 50% of <a> & \"b\" 'c', d: e\n"
        "          next\tline\n"
        "  why:    50% of <a> & \"b\" 'c', d: e\n"
        "          next\tline\n"
        "  next:   50% of <a> & \"b\" 'c', d: e\n"
        "          next\tline\n"
        "warning UD411: no limits\n"
        "  where:  k8s/web.yaml:3\n"
        "waived UD408: Secret/db is plain text (joe@example.org answers for it until 2027-12-31)\n"
        "  where:  k8s/db.yaml:1:1\n"
        "2 checks of 1 stage: 2 errors, 1 warning, 1 waived; failed: schema (staging)\n"
    )
    assert announcing.write(NOTHING, "text") == "1 check of 1 stage: 0 errors, 0 warnings, 0 waived\n"


def test_text_moves_no_cursor() -> None:
    found = publication.Findings(failed=(errors.CheckFailed("\x1b[2Jgone\r\x9b"),))

    text = announcing.write(found, "text")

    assert not set(text) & {"\x1b", "\r", "\x9b"}
    assert "gone" in text


def test_json_says_all() -> None:
    data = json.loads(announcing.write(FOUND, "json"))

    assert data["passed"] is False
    assert [(one["level"], one["code"], one["file"], one["line"]) for one in data["findings"]] == [
        ("error", "UD401", "k8s/ä b/web.yaml", 8),
        ("error", "UD413", "", 0),
        ("warning", "UD411", "k8s/web.yaml", 3),
        ("waived", "UD408", "k8s/db.yaml", 1),
    ]
    assert data["findings"][1]["why"] == NASTY
    assert data["findings"][3]["owner"] == "joe@example.org"
    assert data["checks"][0] == {
        "name": "schema",
        "stage": "staging",
        "version": "Kubernetes 1.33",
        "passed": False,
    }
    assert json.loads(announcing.write(NOTHING, "json"))["passed"] is True


@pytest.mark.parametrize("found", [FOUND, NOTHING], ids=["some", "none"])
def test_sarif_is_what_the_standard_demands(found: publication.Findings) -> None:
    data = json.loads(announcing.write(found, "sarif"))

    jsonschema.validate(data, SARIF)
    (run,) = data["runs"]
    rules = [one["id"] for one in run["tool"]["driver"]["rules"]]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])


def test_sarif_places_findings_and_tells_what_is_waived() -> None:
    (run,) = json.loads(announcing.write(FOUND, "sarif"))["runs"]
    first, second, third, fourth = run["results"]

    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "k8s/%C3%A4%20b/web.yaml"},
        "region": {"startLine": 8, "startColumn": 13},
    }
    assert [one["level"] for one in run["results"]] == ["error", "error", "warning", "note"]
    assert "suppressions" not in first
    assert fourth["suppressions"][0]["justification"] == "joe@example.org answers for it until 2027-12-31"
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert third["locations"][0]["physicalLocation"]["region"] == {"startLine": 3}
    assert len({one["partialFingerprints"]["undrift/v1"] for one in run["results"]}) == 4


def test_junit_counts_and_holds_what_it_says() -> None:
    root = ElementTree.fromstring(announcing.write(FOUND, "junit"))
    (suite,) = root
    cases = list(suite)

    assert suite.attrib == {
        "name": "undrift validate",
        "tests": "5",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
    }
    assert [[child.tag for child in case] for case in cases] == [
        ["failure"], ["failure"], ["system-out"], ["skipped"], [],
    ]  # fmt: skip
    failure = cases[1][0]
    assert failure.attrib["message"] == NASTY
    assert NASTY in str(failure.text)
    assert (cases[0].attrib["file"], cases[0].attrib["line"]) == ("k8s/ä b/web.yaml", "8")
    assert cases[4].attrib == {"classname": "stage staging", "name": "policy undrift 0.1.0"}


def test_github_takes_each_line_for_one_annotation() -> None:
    lines = announcing.write(FOUND, "github").splitlines()

    assert lines[0] == (
        "::error file=k8s/ä b/web.yaml,line=8,col=13,title=undrift UD401"
        "::Deployment/web: spec.replicas should be a whole number. take the quotes off"
    )
    assert lines[1].startswith(
        "::error file=undrift.yaml,title=undrift UD413::50%25 of <a> & \"b\" 'c', d: e%0Anext"
    )
    assert lines[2].startswith("::warning file=k8s/web.yaml,line=3,title=")
    assert lines[3].startswith("::notice ")
    assert len(lines) == 4


def test_github_cannot_be_made_to_run_another_command() -> None:
    error = errors.CheckFailed("x\n::set-env name=a::b", origin=errors.Origin("a,line=9::b:c%\n.yaml", 1))

    (line,) = announcing.write(publication.Findings(failed=(error,)), "github").splitlines()

    assert line == (
        "::error file=a%2Cline=9%3A%3Ab%3Ac%25%0A.yaml,line=1,title=undrift UD413::x%0A::set-env name=a::b"
    )


def test_gitlab_has_its_report_of_code_quality() -> None:
    data = json.loads(announcing.write(FOUND, "gitlab"))

    assert [
        (one["severity"], one["location"]["path"], one["location"]["lines"]["begin"]) for one in data
    ] == [
        ("major", "k8s/ä b/web.yaml", 8),
        ("major", "undrift.yaml", 1),
        ("minor", "k8s/web.yaml", 3),
        ("info", "k8s/db.yaml", 1),
    ]
    assert all(one.keys() >= {"description", "check_name", "fingerprint"} for one in data)
    assert len({one["fingerprint"] for one in data}) == 4


def test_a_finding_that_moved_keeps_its_fingerprint() -> None:
    here, there = (
        publication.Findings(failed=(errors.CheckFailed("x", origin=errors.Origin("a.yaml", line)),))
        for line in (1, 99)
    )

    first, second = (json.loads(announcing.write(one, "gitlab"))[0]["fingerprint"] for one in (here, there))
    assert first == second


def test_a_form_that_there_is_not_is_told() -> None:
    with pytest.raises(errors.UsageInvalid, match="checkstyle"):
        announcing.write(FOUND, "checkstyle")
