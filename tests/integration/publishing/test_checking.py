"""Validators that run what the user brings: policies in Rego, and programs."""

from __future__ import annotations

import json
import pathlib
import sys
import textwrap
from typing import Any

import pytest

from tests import stages
from undrift.model import publication

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: main
    image: petclinic:1.2.3
"""


# --- rego ---

TODAYS = """\
package main

deny contains msg if {
    input.kind == "Pod"
    not input.metadata.labels.team
    msg := sprintf("%s belongs to no team in %s", [input.metadata.name, data.undrift.stage])
}

warn_old contains {"msg": "old", "details": {}} if input.kind == "Pod"
"""
OLD = """\
package main

violation[{"msg": msg}] {
    input.kind == "Pod"
    msg := "as Gatekeeper has it"
}
"""


def asked(folder: pathlib.Path, text: str = POD, **settings: Any) -> publication.Findings:
    return stages.found(("rego", settings), text, folder=folder)


def test_policies_in_rego_of_today_and_before(tmp_path: pathlib.Path) -> None:
    stages.write(
        tmp_path,
        {"policy/a.rego": TODAYS, "policy/b.rego": OLD, "policy/a_test.rego": "package main\nbroken["},
    )

    found = asked(tmp_path)

    assert sorted((one.what, one.why) for one in found.failed) == [
        ("Pod/web breaks the rule main.deny", "web belongs to no team in staging"),
        ("Pod/web breaks the rule main.violation", "as Gatekeeper has it"),
    ]
    assert {one.code for one in found.failed} == {"UD412"}
    assert [(one.what, one.why) for one in found.warnings] == [
        ("Pod/web breaks the rule main.warn_old", "old")
    ]
    assert found.checks[0].version.startswith("regorus ")
    assert asked(tmp_path, "").failed == ()


def test_only_the_packages_that_are_named_are_asked(tmp_path: pathlib.Path) -> None:
    stages.write(tmp_path, {"rules/a.rego": TODAYS.replace("package main", "package team.rules")})

    assert asked(tmp_path, path="rules").failed == ()
    assert len(asked(tmp_path, path="rules", packages=["team.rules"]).failed) == 1


def test_a_policy_that_cannot_be_read_is_told_with_its_line(tmp_path: pathlib.Path) -> None:
    stages.write(tmp_path, {"policy/a.rego": "package main\ndeny[ {\n"})

    (error,) = asked(tmp_path).failed

    assert stages.lines([error]) == ["UD413 policy/a.rego:3:1: the policy policy/a.rego cannot be read"]
    assert "backtrace" not in error.why.lower()


@pytest.mark.parametrize(
    "settings, line",
    [
        ({}, "the validator rego: policy holds no policies"),
        ({"packages": ["a b"]}, "the validator rego: packages: a b is no package"),
        ({"paths": "x"}, "the validator rego: paths is not a known setting"),
    ],
)
def test_settings_of_rego_that_make_no_sense(
    tmp_path: pathlib.Path, settings: dict[str, Any], line: str
) -> None:
    assert asked(tmp_path, **settings).failed[0].what == line


def test_policies_do_not_see_what_a_secret_holds(tmp_path: pathlib.Path) -> None:
    stages.write(
        tmp_path,
        {"policy/a.rego": "package main\ndeny contains v if some v in input.stringData\n"},
    )

    found = asked(tmp_path, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: hunter22}\n")

    assert [one.why for one in found.failed] == ["***"]


def test_without_an_engine_the_validator_says_so(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.write(tmp_path, {"policy/a.rego": TODAYS})
    monkeypatch.setitem(sys.modules, "regorus", None)

    (error,) = asked(tmp_path).failed

    assert (error.what, error.why) == ("the validator rego cannot be run", "no engine for Rego is installed")
    assert "undrift[rego]" in error.hint


# --- exec ---


def program(folder: pathlib.Path, text: str) -> list[str]:
    path = folder / "check.py"
    path.write_text(textwrap.dedent(text))
    return [sys.executable, "-I", str(path)]


def executed(command: list[str], folder: pathlib.Path | None = None, **settings: Any) -> publication.Findings:
    return stages.found(("exec", {"command": command, **settings}), POD, folder=folder)


def test_a_program_sees_the_rendered_stage_in_a_private_folder(tmp_path: pathlib.Path) -> None:
    seen = tmp_path / "seen"
    command = program(
        tmp_path,
        f"""
        import json, os, pathlib, sys
        folder = pathlib.Path(sys.argv[1])
        pathlib.Path({str(seen)!r}).write_text(json.dumps((
            sorted(p.name for p in folder.iterdir()), (folder / "all.yaml").read_text(),
            oct(folder.parent.stat().st_mode & 0o777), sys.argv[2], str(folder))))
        """,
    )

    found = executed(
        [*command, "{path}", "{stage}/{namespace}/{application}/{kubeVersion}/{other}"], name="look"
    )

    names, text, mode, words, folder = json.loads(seen.read_text())
    assert (names, text, mode) == (["all.yaml"], POD, "0o700")
    assert words == "staging/staging/petclinic/1.33/{other}"
    assert not pathlib.Path(folder).exists()
    assert (found.failed, [one.name for one in found.checks]) == ((), ["look"])


def test_a_program_that_says_no_is_told_with_its_last_words(tmp_path: pathlib.Path) -> None:
    command = program(tmp_path, "import sys; print('\\n'.join(map(str, range(99)))); sys.exit(3)")

    (error,) = executed(command, name="count").failed

    assert error.what == "count says no (exit code 3)"
    assert error.why.splitlines() == [str(number) for number in range(79, 99)]
    assert str(error.origin) == "undrift.yaml:9"


def test_credentials_are_kept_from_programs_unless_they_are_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITOPS_TOKEN", "UNDRIFT_ANY", "SCANNER_TOKEN", "PLAIN"):
        monkeypatch.setenv(name, f"value-of-{name}")
    names = ["GITOPS_TOKEN", "UNDRIFT_ANY", "SCANNER_TOKEN", "PLAIN"]
    command = program(tmp_path, f"import os, sys; print([os.environ.get(n) for n in {names}]); sys.exit(1)")

    (error,) = executed(command, env=["SCANNER_TOKEN"]).failed

    assert error.why == "[None, None, '***', 'value-of-PLAIN']"


def test_a_program_may_look_at_the_checkout(tmp_path: pathlib.Path) -> None:
    command = program(
        tmp_path, "import os, sys; sys.exit(0 if os.path.samefile(sys.argv[1], os.getcwd()) else 1)"
    )

    assert executed([*command, "{path}"], tmp_path, on=["source"]).failed == ()
    (error,) = executed([*command, "{path}"], on=["source"]).failed
    assert error.why == "the application's repository is not at hand"


def test_a_program_that_is_not_there_or_takes_too_long_is_a_finding(tmp_path: pathlib.Path) -> None:
    (missing,) = executed(["no-such-program-of-ours"]).failed
    (late,) = executed(program(tmp_path, "import time; time.sleep(60)"), timeout="300ms").failed

    assert (missing.what, missing.why) == (
        "no-such-program-of-ours cannot be run",
        "no-such-program-of-ours is not installed",
    )
    assert (late.what.endswith("was ended"), late.why) == (True, "took longer than 0.3 s")


def sarif(*results: dict[str, Any]) -> str:
    report = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": list(results)}]}
    return f"print({json.dumps(json.dumps(report))}); import sys; sys.exit(1)"


def test_findings_in_sarif_become_ours(tmp_path: pathlib.Path) -> None:
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": "all.yaml"},
            "region": {"startLine": 8, "startColumn": 5},
        }
    }
    command = program(
        tmp_path,
        sarif(
            {"ruleId": "R1", "level": "error", "message": {"text": "bad"}, "locations": [place]},
            {"ruleId": "R2", "message": {"text": "hm"}},
            {"ruleId": "R3", "level": "note", "message": {"text": "fine"}},
        ),
    )

    found = executed(command, name="scan", output="sarif")

    assert stages.lines(found.failed) == ["UD413 k8s/all.yaml:8:5: scan: bad"]
    assert stages.lines(found.warnings) == ["UD413 undrift.yaml:9: scan: hm"]


def test_what_is_no_sarif_is_told(tmp_path: pathlib.Path) -> None:
    (error,) = executed(program(tmp_path, "print('nope')"), name="scan", output="sarif").failed

    assert (error.what, error.why) == ("scan wrote something else than SARIF", "nope")


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"command": []}, "the validator exec: has no command"),
        ({"command": ["true"], "on": ["moon"]}, "the validator exec: on cannot be moon"),
        ({"command": ["true"], "output": "xml"}, "the validator exec: output cannot be xml"),
        ({"command": ["true"], "timeout": "soon"}, "the validator exec: timeout is no duration"),
    ],
)
def test_settings_of_exec_that_make_no_sense(settings: dict[str, Any], line: str) -> None:
    assert stages.found(("exec", settings), POD).failed[0].what == line
