"""Kubeconfigs: what is read of them, and what is refused."""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Any

import pytest

from undrift import errors
from undrift.providers.kubernetes import kubeconfig

PEM = base64.b64encode(b"PEM").decode()


def text(cluster: Any = None, user: Any = None, **more: Any) -> kubeconfig.Text:
    """A kubeconfig with one context."""
    whole = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://k:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        **more,
    }
    return kubeconfig.Text("config", json.dumps(whole), pathlib.Path("/etc/kube"))


def test_everything_in_it_is_read() -> None:
    """Paths are relative to the file, data wins over paths."""
    found = kubeconfig.read(
        [
            text(
                {
                    "certificate-authority": "ca.pem",
                    "tls-server-name": "api",
                    "proxy-url": "http://proxy:3128",
                },
                {
                    "client-certificate-data": PEM,
                    "client-certificate": "ignored.pem",
                    "client-key": "key.pem",
                    "tokenFile": "token",
                    "as": "deployer",
                    "as-groups": ["one", "two"],
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "command": "./login",
                        "args": ["--now"],
                        "env": [{"name": "A", "value": "b"}],
                        "provideClusterInfo": True,
                    },
                },
            )
        ]
    )

    assert (found.server, found.server_name, found.proxy) == ("https://k:6443", "api", "http://proxy:3128")
    assert (found.ca.path, found.key.path) == ("/etc/kube/ca.pem", "/etc/kube/key.pem")
    assert found.certificate.read("it") == b"PEM"
    assert (found.token_file, found.namespace) == ("/etc/kube/token", "n")
    assert (found.impersonate, found.impersonate_groups) == ("deployer", ("one", "two"))
    assert found.exec is not None
    assert (found.exec.command, found.exec.arguments) == ("/etc/kube/login", ("--now",))
    assert found.exec.variables == {"A": "b"}


def test_of_several_files_the_first_that_names_something_counts() -> None:
    first = text(contexts=[], users=[], **{"current-context": "c"})
    second = text({"server": "https://other"}, {"token": "opensesame"})

    found = kubeconfig.read([first, second])

    assert found.server == "https://k:6443"
    assert found.token is not None
    assert found.token.reveal() == "opensesame"
    assert "opensesame" not in repr(found)


@pytest.mark.parametrize(
    "given, context, says",
    [
        (text({"server": ""}), "", "has no server"),
        (text({"server": "http://k"}), "", "https"),
        (text({"insecure-skip-tls-verify": True}), "", "insecure-skip-tls-verify"),
        (text(), "prod", "no context called 'prod'"),
        (text(clusters=[]), "", "no cluster called 'k'"),
        (text(**{"current-context": ""}), "", "no current context"),
        (text({"certificate-authority-data": "%%%"}), "", "not base64"),
        (text(user={"client-certificate-data": PEM}), "", "belong together"),
        (text(user={"exec": {"apiVersion": "v1", "command": "x"}}), "", "exec.apiVersion"),
        (text(user={"exec": {}}), "", "no command"),
        (text(user={"auth-provider": {"name": "gcp"}}), "", "auth-provider 'gcp'"),
        (text(user={"auth-provider": {"name": "oidc", "config": {}}}), "", "idp-issuer-url"),
        (kubeconfig.Text("config", "{", None), "", "not YAML"),
        (kubeconfig.Text("config", "[]", None), "", "not a kubeconfig"),
    ],
)
def test_what_cannot_be_used_is_told(given: kubeconfig.Text, context: str, says: str) -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        kubeconfig.read([given], context)

    assert "config" in caught.value.what
    assert says in caught.value.why


def test_in_a_cluster() -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}

    found = kubeconfig.in_cluster(pathlib.Path("/mnt"), environ)

    assert (found.server, found.token_file) == ("https://[fd00::1]:6443", "/mnt/token")
    with pytest.raises(errors.ConfigInvalid):
        kubeconfig.in_cluster(pathlib.Path("/mnt"), {})
