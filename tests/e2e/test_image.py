"""The container image: made without an engine, it runs as a kubelet would run it, and nobody can reach it."""

from __future__ import annotations

import fcntl
import os
import pathlib
import subprocess
import urllib.parse
from collections.abc import Iterator

import pytest

from tests import certificates, peers, planes
from tests.e2e import container, pods
from tests.e2e import world as worlds
from undrift.testing import control_plane, git_http, git_server

ROOT = pathlib.Path(__file__).parents[2]
LAYOUT = ROOT / "build" / "image"
BASE = control_plane.ROOT / "image-base-bookworm.tar"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="root file systems and networks are made by root"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> container.Image:
    """`scripts/image`, unpacked."""
    for name in ("buildah", "mmdebstrap", "nft", "ip"):
        peers.require_peer(name)
    control_plane.ROOT.mkdir(parents=True, exist_ok=True)
    with (control_plane.ROOT / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            [ROOT / "scripts" / "image"],
            env={**os.environ, "UNDRIFT_IMAGE_BASE": str(BASE)},
            capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return container.Image(LAYOUT, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    """Gone before tests that have no time to lose."""
    with planes.started() as made:
        made.kubectl("apply", "-f", made.programs["storage-class.yaml"])
        yield made


def test_it_says_what_it_is(image: container.Image) -> None:
    """It is nobody, knows its version, and has what renders."""
    labels = image.config["Labels"]
    assert image.config["User"] == "65532:65532"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"

    def said(*command: str) -> str:
        environment = [one for one in image.config["Env"] if not one.startswith("HOME=")]
        inside = ["chroot", "--userspec=65532:65532", str(image.root), "env", "-i", *environment, *command]
        return subprocess.run(inside, check=True, capture_output=True, text=True, timeout=60).stdout

    assert labels["org.opencontainers.image.version"] in said("undrift", "--version")
    for tool in (["git", "--version"], ["helm", "version"], ["kubectl", "kustomize", "--help"]):
        assert said(*tool)


def test_it_converges_heals_and_reports_where_nobody_gets_in(
    image: container.Image, plane: control_plane.ControlPlane, world: worlds.World
) -> None:
    """As nobody, on a read-only file system, in a network whose every inbound connection is dropped."""
    pods.declare(world)
    authority = certificates.Authority()
    pair = authority.server(container.NEIGHBOUR)
    (world.root / "git.pem").write_bytes(pair.key + pair.certificate)
    only = git_http.Behaviour(users={"x-access-token": "open sesame"})
    with git_server.GitServer(world.root, only, world.root / "git.pem") as git:
        port = urllib.parse.urlsplit(git.url).port
        assert port
        with container.walled({443: plane.port, 8443: port}) as network:
            url = f"https://{container.NEIGHBOUR}:8443/repository.git"
            done = pods.bootstrap(world, plane, repository=url)
            assert done.returncode == 0, done.stderr + done.stdout
            world.push("bootstrap")
            given = {
                "KUBERNETES_SERVICE_HOST": container.NEIGHBOUR,
                "KUBERNETES_SERVICE_PORT": "443",
                "UNDRIFT_GIT_CA": authority.pem.decode(),
                "UNDRIFT_GIT_TOKEN": "open sesame",
            }
            account = pods.account(world.root / "account", plane)
            world.start([*network.prefix, *image.command(world.state, account, pods.arguments(plane), given)])

            for name in ("undrift", "shop"):
                world.until(lambda name=name: pods.is_well(world, name), 90)  # type: ignore[misc]  # bound on purpose
            path = "/api/v1/namespaces/default/configmaps/shop"
            plane.request("PATCH", path, {"data": {"greeting": "hacked"}}, "application/merge-patch+json")
            world.until(lambda: pods.greeting(plane) == "hello")
            world.write("shop/shop.yaml", pods.SHOP.replace("hello", "good morning"))
            commit = world.push("another greeting")
            world.settled("shop", commit)

            assert pods.greeting(plane) == "good morning"
            assert any(
                row["reason"] == "drift" for one in world.client.history("shop") for row in one["results"]
            )
            before = network.dropped()
            assert not [port for port in (22, 80, 443, 8080, 9090) if network.knock(port)]
            assert network.dropped() > before
            assert world.stop() == 0
