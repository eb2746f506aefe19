"""All stages at once: what is told, where, and how often."""

from __future__ import annotations

import inspect
import typing

import pytest

from tests import stages
from undrift import errors
from undrift.config import delivery as document
from undrift.model import delivery
from undrift.publishing import validating

MUTABLE = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: a}]}\n"
QUIET = {"limits": "off"}


def three() -> list[delivery.Stage]:
    return [stages.stage(name) for name in ("staging", "prod-eu", "prod-us")]


@pytest.mark.parametrize(
    "broken, told",
    [
        (("staging", "prod-eu", "prod-us"), "the image a is mutable"),
        (("prod-us",), "the image a is mutable in stage prod-us"),
        (("prod-eu", "prod-us"), "the image a is mutable in stages prod-eu, prod-us"),
    ],
)
def test_what_is_found_in_several_stages_is_told_once(broken: tuple[str, ...], told: str) -> None:
    some = three()
    made = [
        stages.rendition(MUTABLE if one.name in broken else MUTABLE.replace("image: a", "image: a:1"), one)
        for one in some
    ]

    found = stages.run(stages.declared(("policy", QUIET), stages=some), made)

    assert [one.what for one in found.failed] == [told]
    assert {one.stage for one in found.checks if not one.passed} == set(broken)


def test_one_stage_of_several_is_named() -> None:
    some = three()

    found = stages.run(stages.declared(("policy", QUIET), stages=some), [stages.rendition(MUTABLE, some[0])])

    assert [one.what for one in found.failed] == ["the image a is mutable in stage staging"]


def test_the_errors_of_all_validators_come_in_the_order_of_places() -> None:
    text = MUTABLE.replace("spec: {", "spec: {hostNetwrk: true, ") + "---\n" + MUTABLE.replace("web", "other")

    found = stages.run(stages.declared(("policy", QUIET), "schema"), [stages.rendition(text)])

    assert stages.lines(found.failed) == [
        "UD401 k8s/all.yaml:4:8: Pod/web: there is no field hostNetwrk in spec",
        "UD409 k8s/all.yaml:4:49: the image a is mutable",
        "UD409 k8s/all.yaml:9:31: the image a is mutable",
    ]
    assert errors.gather(found.failed).parts == found.failed


def test_warnings_of_rendering_are_told_with_the_others_and_once() -> None:
    trap = errors.ScalarSurprising(
        "on without quotes means true",
        origin=errors.Origin("k8s/all.yaml", 4, 11),
        why="kubectl and Helm read it so, too",
        hint='write "on", or true where that is meant',
    )
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: on}\n"
    made = stages.rendition(text)
    made = type(made)(made.stage, made.files, made.resources, {}, (trap,))

    alone = stages.run(stages.declared(), [made])
    both = stages.run(stages.declared("yaml"), [made])

    assert [one.what for one in alone.warnings] == [trap.what]
    assert [one.what for one in both.warnings] == [trap.what]
    assert trap.what == "on without quotes means true"


def test_a_commit_that_is_known_stays_known() -> None:
    error = errors.ScalarSurprising("x").at("main@sha1:1234", "joe")
    made = stages.rendition("")
    made = type(made)(made.stage, {}, (), {}, (error,))

    (told,) = stages.run(stages.declared(), [made]).warnings

    assert (told.revision, told.author) == ("main@sha1:1234", "joe")


def test_a_validator_that_there_is_not_is_a_finding() -> None:
    (error,) = stages.found("kubeval", MUTABLE).failed

    assert error.what == "there is no validator kubeval"
    assert str(error.origin) == "undrift.yaml:9"


def test_every_kind_that_a_delivery_may_name_is_there_and_is_asynchronous() -> None:
    known = document.ValidatorPart.model_fields["kind"].annotation
    assert set(validating.CHECKS) == set(typing.get_args(known))
    assert all(inspect.iscoroutinefunction(validating.check_of(kind)) for kind in validating.CHECKS)


def test_a_value_of_a_secret_is_masked_wherever_it_comes_from() -> None:
    leak = errors.ScalarSurprising(
        "s3cr3t-value without quotes", why="Zm9v s3cr3t-value", hint="s3cr3t-value"
    )
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {p: s3cr3t-value, user: petclinic}\n"
    )
    made = stages.rendition(text)
    made = type(made)(made.stage, made.files, made.resources, {}, (leak,))

    (told,) = stages.run(stages.declared(), [made]).warnings

    assert (told.what, told.why, told.hint) == ("*** without quotes", "Zm9v ***", "***")
    assert str(told.args) == "('*** without quotes',)"


def test_a_user_called_like_the_application_does_not_take_its_name_away() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: petclinic}\nstringData: {user: petclinic, db: staging}\n"

    (error,) = stages.found("policy", text).failed

    assert error.what == "Secret/petclinic is plain text"


@pytest.mark.parametrize(
    "head, told",
    [
        ("kind: ConfigMap\ndata:", ["0123 without quotes means 83", "on without quotes means true"]),
        ("kind: Secret\nstringData:", []),
        ("kind: ConfigMap\nsops: {version: '3'}\ndata:", []),
        ("kind: Delivery\nspec:", []),
        ("kind: ConfigMap\nmode:", ["on without quotes means true"]),
    ],
)
def test_words_that_surprise_are_told_but_not_those_of_secrets(head: str, told: list[str]) -> None:
    text = f"apiVersion: v1\n{head} {{pin: 0123, mode: 0644, other: on}}\n"
    text = text.replace("pin: 0123, ", "defaultMode: 0123, ") if "\nmode:" in text else text

    found = stages.found("yaml", text)
    off = stages.found(("yaml", {"traps": "off"}), text)
    hard = stages.found(("yaml", {"traps": "error"}), text)

    assert [one.what for one in found.warnings] == told
    assert [one.what for one in hard.failed] == told
    assert (found.failed, off.warnings) == ((), ())


def test_a_file_that_is_no_yaml_is_an_error_with_its_line() -> None:
    made = stages.rendition("", files={"a.yaml": b"a: 1\nb: 2\na: 3\n"})

    (error,) = stages.run(stages.declared("yaml"), [made]).failed

    assert (str(error.origin), error.what) == (
        "staging/petclinic/a.yaml:3:1",
        "a.yaml cannot be read as YAML",
    )
    assert error.why == "the key a stands twice, first in line 1"
