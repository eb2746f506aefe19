"""Charts from elsewhere: an HTTP repository, and a registry with its own authority and a password."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import json
import pathlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests import certificates, peers
from tests.integration.renderers import conftest
from undrift import errors
from undrift.renderers import helm as renderer

CHART = "apiVersion: v2\nname: web\nversion: 1.2.3\n"
TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {greeting: {{ .Values.greeting }}}\n"
APPLICATION = {"prod/values.yaml": "greeting: from a file\n"}
PASSWORD = "secret"
HASHED = "$2b$05$wGcF.tfAmkhJ7YHnlvzdXOzn3ru2eIuJTf6pbZJy8VGrs7TVSoGsm"


def helm(*arguments: str) -> None:
    done = subprocess.run(
        [str(peers.require_tool("helm")), *arguments], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def packed(tmp_path: pathlib.Path) -> pathlib.Path:
    """The chart, as a repository keeps it."""
    chart = tmp_path / "web"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(CHART)
    (chart / "values.yaml").write_text("greeting: hello\n")
    (chart / "templates" / "settings.yaml").write_text(TEMPLATE)
    helm("package", str(chart), "--destination", str(tmp_path / "charts"))
    return tmp_path / "charts" / "web-1.2.3.tgz"


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def repository(packed: pathlib.Path, asked: list[str]) -> Iterator[str]:
    """A chart repository over HTTP; `asked` is what it was asked for."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - its name there
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(packed.parent))
    ) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        helm("repo", "index", str(packed.parent), "--url", url)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield url
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("tools")
async def test_a_chart_of_a_repository_is_fetched_once(repository: str, asked: list[str]) -> None:
    """With the values of the application beside it."""
    render = conftest.keeping(renderer.HelmRenderer())

    for _ in range(2):
        found = await render(
            APPLICATION,
            "prod",
            chart="web",
            repository=repository,
            version="1.2.3",
            valueFiles=["values.yaml"],
        )
    assert found.documents[0].data["data"] == {"greeting": "from a file"}
    assert asked.count("/web-1.2.3.tgz") == 1


async def test_a_version_that_is_not_there(repository: str, render_helm: conftest.Render) -> None:
    with pytest.raises(errors.RenderFailed, match=r"web 9\.9\.9 cannot be fetched") as caught:
        await render_helm(APPLICATION, "prod", chart="web", repository=repository, version="9.9.9")
    assert repository in caught.value.hint


async def test_dependencies_are_fetched_where_that_is_allowed(
    repository: str, render_helm: conftest.Render
) -> None:
    umbrella = f"apiVersion: v2\nname: all\nversion: 0.1.0\ndependencies: [{{name: web, version: 1.2.3, repository: '{repository}'}}]\n"
    files = {"prod/Chart.yaml": umbrella, "prod/values.yaml": "web: {greeting: from above}\n"}

    with pytest.raises(errors.RenderFailed) as caught:
        await render_helm(files, "prod")
    found = await render_helm(files, "prod", remote=True)

    assert "renderer.remote" in caught.value.hint
    assert found.documents[0].data["data"] == {"greeting": "from above"}


class Registry:
    """`docker-registry` with TLS and a password."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        authority = certificates.Authority()
        self.ca = authority.write(folder / "ca.pem")
        certificate, key = authority.server().write(folder, "server")
        (folder / "htpasswd").write_text(f"ada:{HASHED}\n")
        config = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "auth": {"htpasswd": {"realm": "here", "path": str(folder / "htpasswd")}},
            "http": {
                "addr": self.host,
                "tls": {"certificate": str(certificate), "key": str(key)},
            },
        }
        (folder / "config.yml").write_text(json.dumps(config))
        login = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
        self.login = folder / "login.json"
        self.login.write_text(json.dumps({"auths": {self.host: {"auth": login}}}))

    @contextlib.contextmanager
    def running(self) -> Iterator[Registry]:
        program = peers.require_peer("docker-registry")
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "serve", str(self.folder / "config.yml")], stdout=log, stderr=log
            )
        try:
            self._wait()
            yield self
        finally:
            process.terminate()
            process.wait()

    def _wait(self) -> None:
        host, port = self.host.split(":")
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                return
            time.sleep(0.05)
        pytest.fail((self.folder / "log").read_text())


@pytest.fixture
def registry(packed: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry").running() as made:
        where = f"oci://{made.host}/charts"
        helm("push", str(packed), where, "--ca-file", str(made.ca), "--registry-config", str(made.login))
        yield made


async def test_a_chart_of_a_registry(
    registry: Registry, render_helm: conftest.Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its authority and the login are those of the agent's host."""
    monkeypatch.setenv("SSL_CERT_FILE", str(registry.ca))
    monkeypatch.setenv("HELM_REGISTRY_CONFIG", str(registry.login))
    where = f"oci://{registry.host}/charts"

    found = await render_helm(APPLICATION, "prod", chart="web", repository=where, version="1.2.3")

    assert found.documents[0].data["data"] == {"greeting": "hello"}
    assert found.documents[0].data["metadata"]["name"] == "web"


async def test_a_registry_that_does_not_know_us(
    registry: Registry, render_helm: conftest.Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one believed whose certificate nobody vouches for."""
    where = f"oci://{registry.host}/charts"
    with pytest.raises(errors.RenderFailed, match="cannot be fetched") as unknown:
        await render_helm(APPLICATION, "prod", chart="web", repository=where, version="1.2.3")
    monkeypatch.setenv("SSL_CERT_FILE", str(registry.ca))
    with pytest.raises(errors.RenderFailed, match="cannot be fetched") as denied:
        await render_helm(APPLICATION, "prod", chart="web", repository=where, version="1.2.3")

    assert "certificate" in unknown.value.why
    assert "401" in denied.value.why or "basic credential" in denied.value.why
