"""Values that pass from one application to another, without a target."""

from __future__ import annotations

from typing import Any

import pytest

from undrift import errors
from undrift.engine import passing
from undrift.model import application, health, inventory, output, resource, secret, target

WEB = resource.ResourceId("Service", "prod", "web")
OTHER = resource.ResourceId("Service", "test", "web")
OWNER = inventory.Owner("main", "gateway")
LIVE = {
    "status": {"ingress": [{"ip": "192.0.2.7"}], "secret": "", "ports": [80, 443]},
    "metadata": {"labels": {"a.b/c": "x"}},
}
KEY = b"k" * 32


def _application(**outputs: output.Output) -> application.Application:
    return application.Application(
        "gateway", application.SourceReference("config"), "here", outputs=tuple(outputs.values())
    )


def _field(name: str, path: str, **more: Any) -> output.Output:
    return output.Output(name, "Service/web", path, **more)


def _published(
    *outputs: output.Output, mark: inventory.Mark | None = None, there: bool = True
) -> output.Told:
    declared = resource.DesiredState({WEB: resource.Resource(WEB, {})})
    own = mark or inventory.Mark("main", "gateway", WEB)
    live = resource.LiveState({WEB: resource.LiveResource(WEB, {}, own, health.HEALTHY)} if there else {})
    facts = target.Facts({"hostname": "alpha", "inner": object()})
    seen = passing.Sight(declared, live, {WEB: LIVE} if there else {}, facts, OWNER, marked=True)
    return passing.publish(_application(**{one.name: one for one in outputs}), seen)


@pytest.mark.parametrize(
    "path, value",
    [
        ("status.ingress.0.ip", "192.0.2.7"),
        ("/metadata/labels/a.b~1c", "x"),
        ("status.ports", [80, 443]),
    ],
)
def test_a_field_of_the_whole_resource_is_published(path: str, value: object) -> None:
    assert _published(_field("it", path)).values == {"it": value}


@pytest.mark.parametrize(
    "one, why",
    [
        (_field("it", "status.ingress.1.ip"), "Service/prod/web has no status.ingress.1.ip yet"),
        (_field("it", "status.ingres.0"), "Service/prod/web has no status.ingres.0 yet (there is ingress)"),
        (_field("it", "status.secret"), "Service/prod/web has no status.secret yet"),
        (output.Output("it", fact="hostnam"), "the target has no fact hostnam (there is hostname)"),
        (output.Output("it", fact="inner"), "the target has no fact inner"),
    ],
)
def test_what_is_not_there_is_lacking_and_never_empty(one: output.Output, why: str) -> None:
    told = _published(one)
    assert (told.values, told.lacking) == ({}, {"it": why})


def test_what_is_not_ours_is_not_published() -> None:
    stranger = inventory.Mark("main", "somebody", WEB)
    assert _published(_field("it", "status.ports"), mark=stranger).lacking == {
        "it": "Service/prod/web is not ours"
    }
    assert _published(_field("it", "status.ports"), there=False).lacking == {
        "it": "Service/prod/web does not exist yet"
    }


def test_a_secret_output_stays_secret() -> None:
    told = _published(_field("it", "status.ingress.0.ip", secret=True))
    assert told.values == {"it": secret.Secret("192.0.2.7")}
    assert "192.0.2.7" not in repr(told)


@pytest.mark.parametrize(
    "written, hint", [("Service/wep", "Service/web"), ("Servise/prod/web", "Service/prod/web")]
)
def test_a_resource_that_is_not_declared_is_refused_with_the_nearest(written: str, hint: str) -> None:
    one = output.Output("it", written, "x", origin=errors.Origin("a.yaml", 7))
    with pytest.raises(errors.OutputUnknown) as caught:
        passing.check(_application(it=one), resource.DesiredState({WEB: resource.Resource(WEB, {})}))
    assert (caught.value.hint, str(caught.value.origin)) == (f"did you mean {hint}?", "a.yaml:7")


def test_an_ambiguous_resource_is_refused() -> None:
    with pytest.raises(errors.OutputUnknown, match="there are 2 of them"):
        passing.find(_field("it", "x"), [WEB, OTHER])
    assert passing.find(output.Output("it", "Service/test/web", "x"), [WEB, OTHER]) == OTHER


GIVEN = {
    "gateway": output.Told(
        {"address": "192.0.2.7", "port": 80, "word": secret.Secret("hush-hush")},
        {"later": "it does not exist yet"},
    )
}


def test_settings_are_filled_in_and_keep_the_kind_of_a_value() -> None:
    settings = {
        "values": {
            "port": "${outputs.gateway.port}",
            "url": ["http://${outputs.gateway.address}:${outputs.gateway.port}/"],
        },
        "kept": "$${outputs.gateway.port} ${HOME}",
    }
    assert passing.fill(settings, GIVEN, None) == {
        "values": {"port": 80, "url": ["http://192.0.2.7:80/"]},
        "kept": "${outputs.gateway.port} ${HOME}",
    }
    assert list(passing.references(settings)) == [
        (("values", "port"), "gateway", "port"),
        (("values", "url", 0), "gateway", "address"),
        (("values", "url", 0), "gateway", "port"),
    ]


def test_what_is_not_known_yet_is_waited_for_and_what_is_unknown_refused() -> None:
    with pytest.raises(errors.OutputPending) as pending:
        passing.fill("${outputs.gateway.later}", GIVEN, None)
    assert (pending.value.what, pending.value.why) == (
        "output later of gateway is not known yet",
        "it does not exist yet",
    )
    with pytest.raises(errors.OutputUnknown) as unknown:
        passing.fill("${outputs.gateway.adress}", GIVEN, None)
    assert unknown.value.hint == "did you mean address?"
    with pytest.raises(errors.OutputUnknown) as stranger:
        passing.fill("${outputs.gatewai.address}", GIVEN, None)
    assert stranger.value.hint == "did you mean gateway?"


def test_only_waiting_is_waiting() -> None:
    pending, wrong = errors.OutputPending("a"), errors.RenderFailed("b")
    assert [one.what for one in passing.awaited(errors.gather([pending, errors.OutputPending("a")]))] == ["a"]
    assert passing.awaited(errors.gather([pending, wrong])) == ()


def test_the_lock_tells_outputs_apart_and_no_secret() -> None:
    found = passing.inputs(GIVEN, KEY)
    other = passing.inputs({"gateway": output.Told({"word": secret.Secret("hush-hush")})}, b"x" * 32)
    assert sorted(found) == ["output:gateway/address", "output:gateway/port", "output:gateway/word"]
    assert found["output:gateway/word"] != other["output:gateway/word"]


def test_facts_have_outputs_where_there_are_any_and_count_the_secrets_that_were_read() -> None:
    facts = target.Facts({"hostname": "alpha"}, "d")
    assert passing.facts(facts, {"gateway": output.NOTHING}) is facts
    found = passing.facts(facts, GIVEN)
    table = found.values["outputs"]
    assert (table["gateway"]["address"], output.secrets_read(found.values)) == ("192.0.2.7", 0)
    assert (table["gateway"]["word"], output.secrets_read(found.values)) == ("hush-hush", 1)
    assert (list(table), list(table["gateway"])) == (["gateway"], ["address", "port", "word", "later"])


def test_a_secret_in_clear_is_refused_and_masked() -> None:
    clear = resource.Resource(WEB, {"data": {"url": "http://u:hush-hush@x"}}, errors.Origin("web.yaml", 3))
    with pytest.raises(errors.SecretInPlain) as caught:
        passing.guard(resource.DesiredState({WEB: clear}), GIVEN)
    assert str(caught.value.origin) == "web.yaml:3"
    hidden = resource.Resource(WEB, {"data": secret.Secret("hush-hush")})
    passing.guard(resource.DesiredState({WEB: hidden}), GIVEN)
    error = passing.hide(errors.RenderFailed("it is hush-hush", why="because hush-hush"), GIVEN)
    assert "hush" not in f"{error} {error.why}"
