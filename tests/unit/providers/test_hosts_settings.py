"""What the settings of a Target may say of a host over SSH: everything that is wrong is told at once."""

from typing import Any

import pytest

from undrift import errors
from undrift.model import source, target
from undrift.providers.hosts import settings

KEYS = "web1 ssh-ed25519 AAAA"


def read(**given: Any) -> settings.Settings:
    return settings.read(target.Target("web", "hosts", settings=given))


def wrong(**given: Any) -> set[str]:
    with pytest.raises((errors.ConfigInvalid, errors.Several)) as caught:
        read(**given)
    return {part.what.split("settings.")[1].split(" ")[0] for part in caught.value.parts}


def test_a_whole_way_is_read() -> None:
    found = read(
        address="web1",
        port=2222,
        user="deploy",
        identity={"file": "/key"},
        certificate={"env": "CERTIFICATE"},
        hostKeys=KEYS,
        sudo={"password": {"env": "SUDO"}},
        jump={"address": "gate", "agent": "/agent", "hostKeys": {"file": "/known_hosts"}},
        connectTimeout=3,
    ).remote

    assert found is not None
    assert str(found.login) == "web1:2222"
    assert found.login.certificate == source.Credential(env="CERTIFICATE")
    assert (found.sudo, found.sudo_password) == (True, source.Credential(env="SUDO"))
    assert found.login.jump is not None
    assert found.login.jump.agent == "/agent"
    assert found.login.jump.host_keys == source.Credential(file="/known_hosts")


def test_without_an_address_it_is_the_agents_own_machine() -> None:
    assert read(root="/srv").remote is None
    assert wrong(user="deploy", sudo=True) == {"user", "sudo"}


def test_everything_wrong_is_told_at_once() -> None:
    assert wrong(
        address="two words",
        port=0,
        identity={"flie": "x"},
        jump={"adress": "x"},
        sudo="yes",
        connectTimeout=0,
        agent="here",
        manager="supervisor",
    ) >= {
        "address",
        "port",
        "identity",
        "hostKeys",
        "jump.adress",
        "jump.hostKeys",
        "sudo",
        "connectTimeout",
        "agent",
    }


def test_there_has_to_be_something_to_sign_in_with_and_a_key_of_the_host() -> None:
    assert wrong(address="web1", hostKeys=KEYS) == {"identity"}
    assert wrong(address="web1", identity={"file": "/key"}) == {"hostKeys"}
    assert wrong(address="web1", hostKeys=KEYS, password={"env": "P"}, certificate={"env": "C"}) == {
        "certificate"
    }
