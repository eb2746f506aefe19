"""The settings of a cluster's Target: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from undrift import errors
from undrift.model import source, target
from undrift.providers.kubernetes import settings


def read(**given: Any) -> settings.Settings:
    return settings.read(target.Target("prod", "kubernetes", settings=given))


def test_what_they_mean() -> None:
    found = read(
        kubeconfig={"env": "KUBE"}, context="c", impersonate={"user": "u", "groups": ["g"]}, connections=4
    )

    assert found == settings.Settings(source.Credential(env="KUBE"), "c", "u", ("g",), 4)
    assert read(kubeconfig="/etc/kube").kubeconfig == source.Credential(file="/etc/kube")
    assert read(impersonate="u").user == "u"


@pytest.mark.parametrize(
    "given, says",
    [
        ({"kubeconfg": "x"}, "settings.kubeconfg is not a known setting"),
        ({"kubeconfig": {"path": "x"}}, "settings.kubeconfig cannot be used"),
        ({"kubeconfig": {}}, "settings.kubeconfig cannot be used"),
        ({"kubeconfig": {"secret": "x"}}, "settings.kubeconfig cannot be used"),
        ({"kubeconfig": {"secret": "a/b", "keys": "x"}}, "settings.kubeconfig.keys is not a known setting"),
        (
            {"kubeconfig": {"secret": "a/b", "in": {"contxt": "x"}}},
            "settings.kubeconfig.in.contxt is not a known",
        ),
        (
            {"kubeconfig": {"secret": "a/b", "in": {"kubeconfig": {"secret": "c/d"}}}},
            "settings.kubeconfig.in cannot",
        ),
        (
            {"health": {"Thing.example.com": {"healthy": "statos"}}},
            "settings.health.Thing.example.com.healthy uses",
        ),
        ({"context": 1}, "settings.context should be text"),
        ({"connections": 0}, "settings.connections"),
        ({"connections": True}, "settings.connections"),
        ({"impersonate": {"groups": ["g"]}}, "settings.impersonate"),
        ({"impersonate": {"user": "u", "groups": "g"}}, "settings.impersonate"),
    ],
)
def test_what_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        read(**given)

    assert says in caught.value.what


def test_everything_at_once() -> None:
    with pytest.raises(errors.Several) as caught:
        read(context=1, connections=0)

    assert len(caught.value.parts) == 2
