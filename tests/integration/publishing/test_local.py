"""`undrift apply --local`: what CI would publish, onto a cluster or a folder of one's own, and nothing anywhere else."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import planes
from tests.integration.publishing import places
from undrift.lib import yaml
from undrift.testing import control_plane

DELIVERY = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {{name: petclinic}}
spec:
  gitopsRepository: {{url: "file://{gitops}", forge: none}}
  source: {source}
  stages:
  - {stage}
  local: {local}
"""
HOST = """\
apiVersion: undrift.dev/hosts/v1
kind: Host
spec:
  files:
  - {path: /srv/page, content: "hello"}
  - {path: /srv/more, content: "more"}
"""
MANIFEST = """\
apiVersion: v1
kind: Namespace
metadata: {name: petclinic-staging}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: petclinic, namespace: petclinic-staging}
spec:
  replicas: 2
  selector: {matchLabels: {app: petclinic}}
  template:
    metadata: {labels: {app: petclinic}}
    spec:
      containers:
      - name: application
        image: registry.example/petclinic:1.0
        resources: {limits: {memory: 64Mi}, requests: {cpu: 10m, memory: 64Mi}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: petclinic-staging}
data: {colour: red}
"""


def delivered(
    root: pathlib.Path, content: str, *, local: str = "{}", stage: str = "{name: staging}"
) -> places.Place:
    """An application of one file in `app/`, not committed: the work tree is what counts."""
    place = places.made(root)
    (place.application / "app").mkdir()
    (place.application / "app" / "all.yaml").write_text(content)
    text = DELIVERY.format(
        gitops=place.gitops,
        source="{manifests: app}" if "apps/v1" in content else "{files: app}",
        stage=stage,
        local=local,
    )
    (place.application / "undrift.yaml").write_text(text)
    return place


def applied(place: places.Place, *arguments: str, **env: str) -> dict[str, Any]:
    done = place.run(places.BIN / "undrift", "apply", "--local", "-o", "json", *arguments, env=env)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def actions(found: dict[str, Any]) -> dict[str, str]:
    return {one["resource"]: one["action"] for one in found["changes"]}


# --- a folder that stands for a host -------------------------------------------------------------------


def test_a_folder_stands_for_a_host(tmp_path: pathlib.Path) -> None:
    place = delivered(tmp_path, HOST)
    before = place.git("status", "--porcelain"), place.tip()
    root = tmp_path / "sandbox"

    first = applied(place, "--root", str(root))

    assert (first["stage"], first["place"], set(actions(first).values())) == (
        "staging",
        str(root),
        {"create"},
    )
    assert (root / "srv" / "page").read_text() == "hello"
    assert applied(place, "--root", str(root))["changes"] == []

    path = place.application / "app" / "all.yaml"
    path.write_text(
        HOST.replace('"hello"', '"again"').replace('  - {path: /srv/more, content: "more"}\n', "")
    )
    assert sorted(actions(applied(place, "--root", str(root))).values()) == ["delete", "update"]
    assert ((root / "srv" / "page").read_text(), (root / "srv" / "more").exists()) == ("again", False)

    assert set(actions(applied(place, "--root", str(root), "--delete")).values()) == {"delete"}
    assert not (root / "srv" / "page").exists()
    path.write_text(HOST)
    assert (place.git("status", "--porcelain"), place.tip()) == before, "nothing is written to Git"


def until(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)


def test_it_applies_again_when_a_file_changes(tmp_path: pathlib.Path) -> None:
    place = delivered(tmp_path, HOST)
    path = place.application / "app" / "all.yaml"
    page = place.application / ".undrift" / "local" / "srv" / "page"
    process = subprocess.Popen(
        [places.BIN / "undrift", "apply", "--local", "--watch"],
        cwd=place.application,
        env=places.environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=places.heeding,  # noqa: PLW1509 - no thread of ours runs here
    )
    try:
        until(page.exists, process)
        path.write_text("kind: [")
        assert process.stderr is not None
        assert "error UD" in process.stderr.readline(), (
            "what is wrong is told, and the next change waited for"
        )
        path.write_text(HOST.replace('"hello"', '"again"'))
        until(lambda: page.read_text() == "again", process)
    finally:
        # what it writes itself, into the checkout, would be a change to an apply that never ends
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert said.count("staging on ") == 2, said
    assert ".undrift" not in place.git("status", "--porcelain")


def test_there_is_no_other_way_than_local(tmp_path: pathlib.Path) -> None:
    done = delivered(tmp_path, HOST).undrift("apply")
    assert (done.returncode, "needs --local" in done.stderr) == (64, True)


# --- a cluster -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    with planes.started() as made:
        yield made


@pytest.fixture
def kubeconfig(plane: control_plane.ControlPlane, tmp_path: pathlib.Path) -> str:
    """One with contexts kind-test and production, both of which lead to the cluster."""
    found = json.loads(plane.kubeconfig().read_text())
    [context] = found["contexts"]
    found["contexts"] = [{**context, "name": name} for name in ("kind-test", "production")]
    found["current-context"] = "kind-test"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(found))
    return str(path)


def test_a_cluster_of_ones_own(
    tmp_path: pathlib.Path, plane: control_plane.ControlPlane, kubeconfig: str
) -> None:
    """P18: what is applied is what is rendered, and what the Delivery declares to be other locally."""
    place = delivered(
        tmp_path,
        MANIFEST,
        stage="{name: staging, namespace: petclinic-staging}",
        local="{set: [{path: spec.replicas, value: 1}]}",
    )
    tip = place.tip()

    first = applied(place, KUBECONFIG=kubeconfig)
    assert (first["place"], first["ending"], set(actions(first).values())) == (
        "kind-test",
        "applied",
        {"create"},
    )
    rendered = place.undrift("render")
    assert rendered.returncode == 0, rendered.stderr
    wanted = {one["kind"]: one for one in documents(rendered.stdout)}
    wanted["Deployment"]["spec"]["replicas"] = 1
    assert len(actions(first)) == len(wanted) == 3
    for kind, path in (
        ("Deployment", "/apis/apps/v1/namespaces/petclinic-staging/deployments/petclinic"),
        ("ConfigMap", "/api/v1/namespaces/petclinic-staging/configmaps/settings"),
    ):
        live = plane.get(path)
        assert holds(live, {key: value for key, value in wanted[kind].items() if key != "apiVersion"})
        assert "undrift-local" in json.dumps(live["metadata"]), "no agent takes it for its own"

    assert applied(place, KUBECONFIG=kubeconfig)["changes"] == []
    assert set(actions(applied(place, "--delete", KUBECONFIG=kubeconfig)).values()) == {"delete"}
    assert place.tip() == tip


def documents(text: str) -> list[dict[str, Any]]:
    return [one.data for one in yaml.documents(text) if isinstance(one.data, dict) and "kind" in one.data]


def holds(live: Any, wanted: Any) -> bool:
    """Whether all that is wanted is so."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(holds(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and all(holds(a, b) for a, b in zip(live, wanted, strict=True))
    return bool(live == wanted)


def test_a_context_that_is_not_named_is_refused(
    tmp_path: pathlib.Path, plane: control_plane.ControlPlane, kubeconfig: str
) -> None:
    place = delivered(
        tmp_path,
        MANIFEST.replace("petclinic-staging", "elsewhere"),
        stage="{name: staging, namespace: elsewhere}",
    )
    done = place.run(
        places.BIN / "undrift", "apply", "--local", "--context", "production", env={"KUBECONFIG": kubeconfig}
    )
    assert done.returncode == 3
    assert "error UD921: context production may not be touched" in done.stderr
    names = [one["metadata"]["name"] for one in plane.get("/api/v1/namespaces")["items"]]
    assert "elsewhere" not in names
