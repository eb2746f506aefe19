"""The image that CI runs jobs in: made without an engine, it has every tool, and publishes charts and overlays."""

from __future__ import annotations

import fcntl
import os
import pathlib
import subprocess

import pytest

from tests import peers
from tests.e2e import container
from undrift.testing import control_plane

ROOT = pathlib.Path(__file__).parents[2]
BASE = control_plane.ROOT / "image-base-bookworm.tar"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: staging}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: application
        image: %s
        resources: {limits: {memory: 64Mi}, requests: {cpu: 10m, memory: 64Mi}}
"""
DELIVERY = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {name: shop}
spec:
  gitopsRepository: {url: "file:///work/gitops.git", forge: none}
  source: %s
  images: [{name: %s, newTag: "1"}]
  stages: [{name: staging}]
"""
SOURCES = {
    "helm": {
        "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
        "chart/values.yaml": "image: {repository: registry.example/shop, tag: '1'}\n",
        "chart/templates/app.yaml": DEPLOYMENT % '"{{ .Values.image.repository }}:{{ .Values.image.tag }}"',
        "undrift.yaml": DELIVERY % ("{helm: {chart: chart}}", "image"),
    },
    "kustomize": {
        "base/kustomization.yaml": "resources: [app.yaml]\n",
        "base/app.yaml": DEPLOYMENT % "registry.example/shop:1",
        "overlays/staging/kustomization.yaml": "namespace: staging\nresources: [../../base]\n",
        "undrift.yaml": DELIVERY % ('{kustomize: "overlays/{stage}"}', "application"),
    },
}

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="root file systems are made by root"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> container.Image:
    """`scripts/image --ci`, unpacked."""
    for name in ("buildah", "mmdebstrap"):
        peers.require_peer(name)
    control_plane.ROOT.mkdir(parents=True, exist_ok=True)
    with (control_plane.ROOT / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            [ROOT / "scripts" / "image", "--ci"],
            env={**os.environ, "UNDRIFT_IMAGE_BASE": str(BASE)},
            capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return container.Image(ROOT / "build" / "image-ci", tmp_path_factory.mktemp("root"))


def run(image: container.Image, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What a runner does with a job: a shell, as the image's user, in a checkout."""
    environment = [*image.config["Env"], *(f"{name}={value}" for name, value in more.items())]
    return subprocess.run(
        ["chroot", str(image.root), "env", "-i", *environment, *image.config["Cmd"], "-euc", script],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_it_runs_any_job_as_root_with_every_tool(image: container.Image) -> None:
    assert image.config["User"] == "0:0"
    assert not image.config.get("Entrypoint")
    assert not image.config.get("Volumes")
    done = run(
        image,
        "undrift --version; git --version; helm version; kubectl kustomize --help; sops --version; bash --version",
    )

    assert done.returncode == 0, done.stderr
    assert image.config["Labels"]["org.opencontainers.image.version"] in done.stdout


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_it_publishes_from_a_checkout_of_somebody_else(image: container.Image, source: str) -> None:
    """The checkout belongs to another user than the one who runs the job, as on most runners."""
    place = image.root / "work"
    subprocess.run(["rm", "-rf", str(place)], check=True)
    for name, text in SOURCES[source].items():
        file = place / "application" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    person = {
        f"GIT_{who}_{what}": "ada@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    made = run(
        image,
        "cd /work; git init -qb main seed; git -C seed commit -qm First --allow-empty; git clone -q --bare seed gitops.git;"
        "cd application; git init -qb main; git add -A; git commit -qm Begin; chown -R 1000:1000 .",
        **person,
    )
    assert made.returncode == 0, made.stderr

    name = {"helm": "image", "kustomize": "application"}[source]
    done = run(
        image, f"cd /work/application; undrift publish --image {name}=registry.example/shop:2 --sequence 1"
    )
    assert done.returncode == 0, done.stderr
    shown = run(image, "cd /work/gitops.git; git grep -h image: main -- staging/shop")
    assert "registry.example/shop:2" in shown.stdout, done.stdout
