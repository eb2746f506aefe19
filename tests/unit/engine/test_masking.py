"""What a target says may repeat a secret that it was given: nobody else gets to read it."""

from __future__ import annotations

import pytest

from tests.unit.engine import telling
from undrift import errors
from undrift.engine import masking
from undrift.model import health, resource, secret

DESIRED = resource.DesiredState(
    {
        telling.A: telling.file(telling.A, fields={"content": secret.Secret("hunter2\n"), "nested": [{"key": secret.Secret(b"hunter3")}]}),
        telling.B: telling.file(telling.B, settings={"environment": secret.Secret('["TOKEN", "hunter4"]')}),
        telling.C: telling.file(telling.C, fields={"plain": "visible"}),
    }
)  # fmt: skip


@pytest.mark.parametrize("said", ["hunter2", "hunter3", "hunter4", "aHVudGVyMw=="])
def test_an_error_never_repeats_a_secret(said: str) -> None:
    """In none of its texts, in no form; what is no secret stays readable."""
    found = errors.ChangeRefused(f"no: {said}", why=f"visible\nit got {said}", hint=f"look at {said}")

    told = masking.error(found, DESIRED)

    assert said not in f"{told.what} {told.why} {told.hint} {told} {told!r} {told.args}"
    assert "visible" in told.why


def test_each_of_several_errors_is_looked_through() -> None:
    """The parts are what is shown."""
    found = errors.gather([errors.ChangeRefused("one hunter2"), errors.ChangeRefused("two hunter3")])

    assert str(masking.error(found, DESIRED)) == "one ***\ntwo ***"


def test_the_reason_of_ill_health_does_not_either() -> None:
    """A probe's answer is quoted; whoever is well, or says nothing, stays the same object."""
    well = resource.LiveResource(telling.B, {})
    sick = resource.LiveResource(telling.A, {}, health=health.Health(health.Status.DEGRADED, "said hunter2"))

    found = masking.live(resource.LiveState({telling.A: sick, telling.B: well}), DESIRED)

    assert found.resources[telling.A].health.reason == "said ***"
    assert found.resources[telling.B] is well
    only = resource.LiveState({telling.B: well})
    assert masking.live(only, DESIRED) is only
