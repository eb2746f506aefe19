"""Validators that look into a checkout, or are held against Helm, yamllint and a real API server."""

from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Any

import pytest

from tests import peers, planes, stages
from undrift.lib import yaml
from undrift.model import delivery, publication
from undrift.providers.kubernetes import kinds, shapes
from undrift.publishing.checks import policies, styling, yamllint
from undrift.publishing.schemas import release
from undrift.testing import control_plane

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


# --- yaml ---


def linted(folder: pathlib.Path, text: str, **settings: Any) -> publication.Findings:
    stages.write(folder, {"k8s/all.yaml": text, "undrift.yaml": "kind: Delivery\n"})
    return stages.found(("yaml", settings), text, folder=folder)


def test_without_a_yamllint_of_the_users_nothing_is_said_of_style(tmp_path: pathlib.Path) -> None:
    found = linted(tmp_path, POD + "   \n\n\n\n")

    assert (found.failed, found.warnings) == ((), ())


def test_a_yamllint_of_the_users_is_honoured(tmp_path: pathlib.Path) -> None:
    stages.write(tmp_path, {".yamllint": "extends: relaxed\nrules:\n  trailing-spaces: {level: warning}\n"})

    found = linted(tmp_path, POD.replace("name: web", "name: web  ").removesuffix("\n"))
    off = linted(tmp_path, POD.replace("name: web", "name: web  "), yamllint=False)

    assert stages.lines(found.warnings) == [
        "UD413 k8s/all.yaml:4:12: trailing spaces (trailing-spaces)",
    ]
    assert stages.lines(found.failed) == [
        "UD413 k8s/all.yaml:8:27: no new line character at the end of file (new-line-at-end-of-file)"
    ]
    assert (off.failed, off.warnings) == ((), ())


def test_a_yamllint_may_extend_files_and_ignore_paths(tmp_path: pathlib.Path) -> None:
    stages.write(
        tmp_path,
        {
            ".yamllint.yaml": "extends: lint/ours.yaml\nignore: |\n  # comment\n  /undrift.yaml\n",
            "lint/ours.yaml": "extends: default\nrules: {document-start: disable, line-length: {max: 20}}\n",
        },
    )

    found = linted(tmp_path, POD)

    assert stages.lines(found.failed) == [
        "UD413 k8s/all.yaml:7:3: wrong indentation: expected 4 but found 2 (indentation)",
        "UD413 k8s/all.yaml:8:21: line too long (26 > 20 characters) (line-length)",
    ]


@pytest.mark.parametrize(
    "text, why",
    [
        ("rules: {trailing-space: enable}", "trailing-space is no rule of yamllint"),
        ("extends: strict", "extends strict, which there is not"),
        ("extends: .yamllint", "extends .yamllint, which there is not"),
        ("rules: [1]", "it is no mapping with rules"),
        ("rules: {truthy: maybe}", "the rule truthy cannot be read"),
        ("a: [", "it cannot be read"),
    ],
)
def test_a_yamllint_that_makes_no_sense_is_a_finding(tmp_path: pathlib.Path, text: str, why: str) -> None:
    stages.write(tmp_path, {".yamllint": text})

    (error,) = linted(tmp_path, POD).failed

    assert error.what == ".yamllint cannot be used"
    assert error.why.startswith(why)


def test_rules_that_only_yamllint_knows_are_run_by_it_or_said_not_to_be(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = peers.require_peer("yamllint")
    stages.write(
        tmp_path, {".yamllint": "rules: {quoted-strings: {quote-type: double}, key-ordering: enable}\n"}
    )

    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    without = linted(tmp_path, POD)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.defpath}")
    with_it = linted(tmp_path, POD)

    assert [one.what for one in without.warnings] == [
        "rules of .yamllint were not checked: quoted-strings, key-ordering"
    ]
    assert without.warnings[0].why == "yamllint is not installed"
    assert without.failed == with_it.warnings == ()
    assert {one.what.rpartition(" ")[2] for one in with_it.failed} == {"(quoted-strings)", "(key-ordering)"}
    assert str(with_it.failed[0].origin) in {"k8s/all.yaml:1:13", "undrift.yaml:1:7"}


SAMPLES = (
    POD,
    "a:\n    -  b : 1\n       c:  2\n    -  d:   e\nf:\n  g : h\n",
    POD.replace("  name: web", "   name: web  # c\n#d\n  # e"),
    "a: {b: 1, c: [1,2 , 3], d: { }, e: [ 1 ]}\n\n\n\n\nb: yes\n'on': off\non: 1\n",
    "---\na: 1\n...\n---\nb: 1\nb: 2\n",
    "a: &x 1\nb: *x\nc: &x 2\n",
    "a:\n- b:\n  - c\n- d:\n    - e\n",
    "a: |\n  # no comment\n  text \nb: 0644\nc: 0o17\nd:\n",
    "a:\n    b:\n      c: 1\n    # good\n   # bad\n    d: 1\n",
    "a: 1 # x\n#!shebang\n# " + "word " * 30 + "\n# " + "x" * 200 + "\nurl: https://" + "x" * 100 + "\n",
    "a: b  # yamllint disable-line\nb: c  \n# yamllint disable rule:trailing-spaces\nc: d  \n# yamllint enable\nd: e  \n",
    "# yamllint disable-file\na: b  \n",
    "a: b\r\nc: d\r\n",
    "\n\na: 1\n\n\n",
    "",
)
CONFIGS = (
    "extends: default",
    "extends: relaxed",
    "extends: default\nrules: {braces: {min-spaces-inside: 1, max-spaces-inside: 1, forbid: non-empty}}",
    "rules: {indentation: {spaces: 2, indent-sequences: whatever}, truthy: {check-keys: false}}",
    "rules: {indentation: {indent-sequences: false}, empty-values: enable, document-end: {present: false}}",
    "rules: {anchors: {forbid-duplicated-anchors: true}, comments: {min-spaces-from-content: 1}}",
    "rules: {line-length: {max: 40, allow-non-breakable-words: false}, new-lines: {type: dos}}",
)


@pytest.mark.parametrize("config", CONFIGS)
def test_our_rules_say_what_yamllint_says(tmp_path: pathlib.Path, config: str) -> None:
    program = peers.require_peer("yamllint")
    (tmp_path / ".yamllint").write_text(config)
    for number, text in enumerate(SAMPLES):
        (tmp_path / f"{number:02}.yaml").write_text(text, newline="")
    done = subprocess.run(
        [program, "-f", "parsable", *sorted(path.name for path in tmp_path.glob("*.yaml"))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    read = yamllint.read(tmp_path / ".yamllint")
    ours = {
        (f"{number:02}.yaml", one.line, one.column, one.rule)
        for number, text in enumerate(SAMPLES)
        for one in styling.lint(text, read.rules)
    }

    theirs = set()
    for line in done.stdout.splitlines():
        file, row, column, rest = line.split(":", 3)
        theirs.add((file, int(row), int(column), rest.rpartition("(")[2].rstrip(")")))
    assert ours == theirs
    assert len(theirs) > 2


# --- helm ---

CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: pet\nversion: 1.0.0\n",
    "chart/values.yaml": "replicas: 1\n",
    "chart/templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: {{ .Values.replicas | quote }}}\n",
}


def chart(folder: pathlib.Path, **settings: Any) -> publication.Findings:
    recipe = delivery.Recipe("helm", ".", {"chart": "chart", **settings})
    return stages.found("helm", "", where=stages.stage(recipe=recipe), folder=folder)


@pytest.fixture
def helm(monkeypatch: pytest.MonkeyPatch) -> None:
    path = peers.require_tool("helm")
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("helm")
def test_a_chart_that_is_right_is_found_right(tmp_path: pathlib.Path) -> None:
    found = chart(stages.write(tmp_path, CHART))

    assert (found.failed, found.warnings) == ((), ())


@pytest.mark.usefixtures("helm")
def test_what_helm_lint_says_is_told_with_its_file(tmp_path: pathlib.Path) -> None:
    broken = {
        **CHART,
        "chart/Chart.yaml": CHART["chart/Chart.yaml"].replace("1.0.0", "x.y"),
        "chart/values.schema.json": '{"properties": {"replicas": {"type": "string"}}}',
    }

    schema = chart(stages.write(tmp_path / "a", {**broken, "chart/Chart.yaml": CHART["chart/Chart.yaml"]}))
    version = chart(stages.write(tmp_path / "b", {**broken, "chart/values.schema.json": "{}"}))

    assert "UD413 chart/values.yaml: helm lint: - at '/replicas': got number, want string" in stages.lines(
        schema.failed
    )
    assert "UD413 chart/Chart.yaml: helm lint: version 'x.y' is not a valid SemVer" in stages.lines(
        version.failed
    )


@pytest.mark.usefixtures("helm")
def test_an_error_of_a_template_has_its_line(tmp_path: pathlib.Path) -> None:
    text = CHART["chart/templates/all.yaml"].replace("replicas", "no.such.value")

    found = chart(stages.write(tmp_path, {**CHART, "chart/templates/all.yaml": text}))

    assert any(str(one.origin).startswith("chart/templates/all.yaml:4:") for one in found.failed)


@pytest.mark.usefixtures("helm")
def test_the_values_of_the_stage_are_linted_with(tmp_path: pathlib.Path) -> None:
    schema = {"chart/values.schema.json": '{"properties": {"replicas": {"type": "integer"}}}'}
    folder = stages.write(tmp_path, {**CHART, **schema, "prod.yaml": "replicas: many\n"})

    assert chart(folder).failed == ()
    assert chart(folder, valueFiles=["prod.yaml"]).failed
    assert chart(folder, values={"replicas": "many"}).failed


def test_a_lint_that_cannot_be_run_is_a_warning(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    encrypted = stages.write(tmp_path, {**CHART, "secret.yaml": "password: ENC[x]\nsops: {version: '3'}\n"})

    for found in (chart(encrypted), chart(encrypted, valueFiles=["secret.yaml"])):
        assert [one.what for one in found.warnings] == ["helm lint was not run for chart"]
        assert found.failed == ()


def test_a_chart_of_a_repository_is_not_ours_to_lint(tmp_path: pathlib.Path) -> None:
    found = chart(tmp_path, repository="https://charts.example", chart="pet", version="1.0.0")

    assert (found.failed, found.warnings) == ((), ())


# --- schema ---


def test_definitions_of_the_checkout_are_known(tmp_path: pathlib.Path) -> None:
    crd = """\
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: boxes.example.org}
    spec:
      group: example.org
      names: {kind: Box}
      versions:
      - {name: v1, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: string}}}}}
    """
    stages.write(tmp_path, {"crds/box.yaml": crd})

    found = stages.found(
        ("schema", {"crds": ["crds"]}),
        "apiVersion: example.org/v1\nkind: Box\nmetadata: {name: a}\nspec: 1\n",
        folder=tmp_path,
    )

    assert [one.what for one in found.failed] == ["Box/a: spec should be text, not a whole number"]
    assert found.warnings == ()


@pytest.fixture(scope="module")
def plane() -> Any:
    with planes.started() as made:
        yield made


def test_what_is_carried_is_what_a_real_api_server_says(plane: control_plane.ControlPlane) -> None:
    """Every field of every kind that both know, and which kinds belong to no namespace."""
    version = plane.request("GET", "/version")
    carried = release.nearest(f"{version['major']}.{version['minor']}")
    assert carried.version == f"{version['major']}.{version['minor']}"
    compared, namespaced = 0, set()
    for place, path in plane.request("GET", "/openapi/v3")["paths"].items():
        api_version = place.removeprefix("apis/").removeprefix("api/")
        listed = plane.get(f"/{place}") if place.startswith(("api/", "apis/")) else None
        wide = {
            (kinds.group_of(api_version), one["kind"])
            for one in (listed or {}).get("resources", ())
            if not one["namespaced"] and "/" not in one["name"] and "create" in one["verbs"]
        }
        namespaced |= wide
        schemas = plane.request("GET", path["serverRelativeURL"])["components"].get("schemas", {})
        maker = shapes.Maker(schemas)
        for group_version, kind in [
            one for one in carried.of_group(kinds.group_of(api_version)) if one[0] == api_version
        ]:
            live = maker.of_kind(group_version, kind)
            mine = carried.shape((group_version, kind))
            if live is not None and mine is not None:
                assert _fields(mine) == _fields(live), (group_version, kind)
                compared += 1
    assert compared > 50
    reviews = {
        "TokenReview",
        "SelfSubjectReview",
        "SelfSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SubjectAccessReview",
    }
    assert {one for one in namespaced if one[1] not in reviews} <= policies._WIDE


def _fields(shape: shapes.Shape, depth: int = 8) -> Any:
    """A shape as plain data: names of fields and what they may be."""
    if depth == 0:
        return None
    below = {name: _fields(one, depth - 1) for name, one in (shape.fields or {}).items()}
    more = [_fields(one, depth - 1) for one in (shape.values, shape.items) if one is not None]
    return sorted(shape.sorts), sorted(shape.required), below, more


def test_what_the_schemas_take_the_api_server_takes_and_the_other_way_round(
    plane: control_plane.ControlPlane,
) -> None:
    base = yaml.documents(POD)[0].data
    for change, right in (
        ({}, True),
        ({"hostNetwork": True}, True),
        ({"hostNetwrk": True}, False),
        ({"hostNetwork": "yes"}, False),
        ({"containers": [{"image": "a:1"}]}, False),
        ({"containers": [{"name": "a", "image": "a:1", "ports": [{"containerPort": "80"}]}]}, False),
    ):
        pod = {**base, "spec": {**base["spec"], **change}}
        found = stages.found("schema", yaml.dump(pod), where=stages.stage(kube_version=""))
        try:
            plane.request("POST", "/api/v1/namespaces/default/pods?dryRun=All&fieldValidation=Strict", pod)
            taken = True
        except OSError:
            taken = False
        assert (not found.failed, taken) == (right, right), change
