"""No report ever repeats what a Secret holds, and every report can be read back, whatever is in it."""

from __future__ import annotations

import base64
import json
import string
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tests import stages
from undrift import errors
from undrift.lib import yaml
from undrift.model import publication
from undrift.publishing import announcing

SECRETS = st.text(string.ascii_letters + string.digits + "!%&/=+-_ ", max_size=40).map(
    lambda text: f"q7{text}wX9x"  # no word of ours
)
TEXTS = st.text(max_size=40)
SHAPES = st.sampled_from(
    [
        {"kind": "Secret", "apiVersion": "v1"},
        {"kind": "Secret", "apiVersion": "v1", "type": 1},
        {"kind": "Secret", "apiVersion": "v1", "unknown": {"a": 1}},
        {"kind": "Secret", "apiVersion": "v1", "immutable": "yes"},
    ]
)
CHECKS = (
    "yaml",
    "schema",
    "policy",
    ("cel", {"rules": [{"rule": "object.stringData.a == 1"}, {"rule": "1"}]}),
)


@given(SECRETS, SHAPES, st.booleans())
def test_no_report_repeats_what_a_secret_holds(value: str, shape: dict[str, Any], encoded: bool) -> None:
    written = base64.b64encode(value.encode()).decode() if encoded else value
    where = "data" if encoded else "stringData"
    secret = {
        **shape,
        "metadata": {"name": "db", "namespace": "elsewhere"},
        where: {"a": written, "n": [written]},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "a", "image": "a", "env": [{"name": "PASSWORD", "value": value}]}]},
    }
    made = stages.rendition("---\n".join(yaml.dump(one) for one in (secret, pod)))

    found = stages.run(stages.declared(*CHECKS), [made])

    assert any(isinstance(one, errors.SecretInPlain) for one in found.failed)
    for form in announcing.FORMS:
        report = announcing.write(found, form)
        assert value not in report
        assert json.dumps(value)[1:-1] not in report
        assert written not in report


def findings(texts: list[str]) -> publication.Findings:
    what, why, hint, file = texts
    error = errors.CheckFailed(what, origin=errors.Origin(file or "a", 3, 1), why=why, hint=hint)
    other = errors.CheckFailed(why, hint=what)
    return publication.Findings(
        (error, other),
        (error,),
        (publication.Waived(other, hint, "2027-01-01"),),
        (publication.Check(what, why, hint), publication.Check(why, what, hint, passed=False)),
    )


@given(st.lists(TEXTS, min_size=4, max_size=4))
def test_every_report_can_be_read_back(texts: list[str]) -> None:
    found = findings(texts)

    assert len(json.loads(announcing.write(found, "json"))["findings"]) == 4
    assert len(json.loads(announcing.write(found, "sarif"))["runs"][0]["results"]) == 4
    assert len(json.loads(announcing.write(found, "gitlab"))) == 4
    assert len(list(ElementTree.fromstring(announcing.write(found, "junit"))[0])) == 5
    lines = announcing.write(found, "github").split("\n")
    assert [line.split(" ")[0] for line in lines] == ["::error", "::error", "::warning", "::notice", ""]


@given(st.lists(TEXTS, min_size=4, max_size=4))
def test_what_was_meant_for_machines_is_what_was_found(texts: list[str]) -> None:
    data = json.loads(announcing.write(findings(texts), "json"))

    first = data["findings"][0]
    assert [first["what"], first["why"], first["hint"]] == texts[:3]
