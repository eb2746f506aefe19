"""Acting as somebody else: where a layer can, and what is said where it cannot."""

from __future__ import annotations

import pytest

from undrift import errors
from undrift.agent import sessions
from undrift.model import target
from undrift.providers.hosts import provider as hosts
from undrift.providers.kubernetes import provider as kubernetes


def test_a_cluster_is_acted_on_as_an_account() -> None:
    place = target.Target("prod", "kubernetes")

    assert sessions.acting(place, "", kubernetes.KubernetesProvider()) is place
    assert sessions.acting(place, "ada", kubernetes.KubernetesProvider()).account == "ada"


def test_a_layer_without_accounts_says_so() -> None:
    place = target.Target("here", "hosts")

    assert sessions.acting(place, "", hosts.HostsProvider()) is place
    with pytest.raises(errors.ConfigInvalid, match="nobody can act as ada on here"):
        sessions.acting(place, "ada", hosts.HostsProvider())
