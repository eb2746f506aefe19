"""New images from a real registry into a real GitOps repository, by the command as CI runs it."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import signal
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests import registries
from tests.integration.publishing import places
from undrift.model import health, report, source
from undrift.sources import connecting, credentials
from undrift.sources.git import remote, shelf

DELIVERY = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {{name: petclinic}}
spec:
  gitopsRepository: {{url: "file://{gitops}", forge: none}}
  source: {{manifests: "k8s/{{stage}}"}}
  images:
  - {{name: application, newTag: "${{IMAGE_TAG}}"}}
  - {{name: cache, newTag: "{tag}"}}
  updates:
  - {update}
  stages:
  - {{name: staging, namespace: petclinic-staging}}
  - {{name: production, namespace: petclinic-production{more}}}
"""
CACHE = """\
      - name: cache
        image: {image}:7.4.1
        resources: {{limits: {{memory: 64Mi}}, requests: {{cpu: 10m, memory: 64Mi}}}}
"""


@pytest.fixture
def registry(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[registries.Registry]:
    made = registries.Registry(tmp_path / "registry", password=getattr(request, "param", ""))
    made.name = "team/cache"
    made.start()
    yield made
    made.stop()


class Shop:
    """An application with a cache from a registry, published at its first revision."""

    def __init__(self, root: pathlib.Path, registry: registries.Registry) -> None:
        self.place = places.made(root)
        self.image = registry.reference
        for stage in places.STAGES:
            path = self.place.application / "k8s" / stage / "deployment.yaml"
            path.write_text(path.read_text() + CACHE.format(image=self.image))

    def declare(self, update: str, *, tag: str = "7.4.1", more: str = "") -> None:
        """Commit the delivery."""
        text = DELIVERY.format(
            gitops=self.place.gitops, update=update.replace("IMAGE", self.image), tag=tag, more=more
        )
        (self.place.application / "undrift.yaml").write_text(text)
        self.commit("Declare")

    def commit(self, subject: str) -> None:
        self.place.git("add", "-A")
        self.place.git("commit", "-qm", subject, "--allow-empty")

    def publish(self, tag: str = "1.0", *more: str) -> None:
        done = self.place.run(places.BIN / "undrift", "publish", *more, env={"IMAGE_TAG": tag})
        assert done.returncode == 0, done.stderr

    def update(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.place.run(places.BIN / "undrift", "update", *arguments, env=env)

    def updated(self, *arguments: str, **env: str) -> dict[str, Any]:
        """What an update that went well says of the first stage."""
        done = self.update("-o", "json", *arguments, **env)
        assert done.returncode == 0, done.stderr + done.stdout
        stage: dict[str, Any] = json.loads(done.stdout)["stages"][0]
        return stage

    def images(self, stage: str = "staging", at: str = "main") -> list[str]:
        """The images of a stage's containers as they are published."""
        text = self.place.git("show", f"{at}:{stage}/petclinic/deployment.yaml", cwd=self.place.gitops)
        return [line.partition("image: ")[2].strip('"') for line in text.splitlines() if "image: " in line]

    def cache(self, stage: str = "staging", at: str = "main") -> str:
        return self.images(stage, at)[1].removeprefix(f"{self.image}")

    def noted(self, stage: str = "staging") -> dict[str, Any]:
        text = self.place.git("show", f"main:{stage}/petclinic/hydrator.metadata", cwd=self.place.gitops)
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture
def shop(tmp_path: pathlib.Path, registry: registries.Registry) -> Shop:
    registry.image("7.4.1")
    return Shop(tmp_path, registry)


def test_a_new_version_goes_to_the_stage_at_the_revision_that_it_has(
    shop: Shop, registry: registries.Registry
) -> None:
    shop.declare('{image: IMAGE, range: "^7.4"}')
    shop.publish()
    sha = shop.noted()["drySha"]
    shop.commit("Nobody published this")
    assert shop.updated()["outcome"] == "unchanged"
    for tag in ("7.4.5", "7.5.0-rc.1", "8.0.0", "latest"):
        registry.image(tag)

    would = shop.update("--dry-run", "--detailed-exitcode")
    assert would.returncode == 2, would.stderr
    assert "would be published" in would.stdout
    assert "7.4.1 → 7.4.5" in would.stdout
    assert shop.cache() == ":7.4.1"
    done = shop.updated()

    assert done["outcome"] == "published"
    assert done["images"] == [
        {"image": shop.image, "before": [f"{shop.image}:7.4.1"], "after": f"{shop.image}:7.4.5", "reason": ""}
    ]
    assert (shop.cache(), shop.cache("production")) == (":7.4.5", ":7.4.1")
    assert shop.images()[0] == "registry.example/petclinic:1.0"
    assert shop.noted()["drySha"] == sha
    tip = shop.place.tip()
    assert shop.updated()["outcome"] == "unchanged"
    assert shop.place.tip() == tip


def test_what_was_chosen_stays_when_ci_publishes_another_revision(
    shop: Shop, registry: registries.Registry
) -> None:
    shop.declare('{image: IMAGE, range: "^7.4"}')
    shop.publish()
    registry.image("7.4.5")
    shop.updated()

    shop.commit("Second")
    shop.publish("2.0")
    assert shop.images() == ["registry.example/petclinic:2.0", f"{shop.image}:7.4.5"]
    assert shop.cache("production") == ":7.4.1"

    shop.declare('{image: IMAGE, range: "^7.4"}', tag="7.4.7")
    shop.publish("2.0")
    assert shop.cache() == ":7.4.7"
    registry.image("7.4.6")
    assert shop.updated()["images"][0]["reason"] == "7.4.6 would be a step back from 7.4.7"


def test_what_ci_sets_itself_wins(shop: Shop, registry: registries.Registry) -> None:
    shop.declare("{image: IMAGE}")
    shop.publish()
    registry.image("7.4.5")
    shop.updated()

    shop.commit("Second")
    shop.publish("2.0", "--image", f"cache={shop.image}:7.4.2")

    assert shop.cache() == ":7.4.2"


def test_an_image_that_nothing_else_sets(shop: Shop, registry: registries.Registry) -> None:
    """Without an entry in `images` it is set wherever it is used, and stays so."""
    shop.declare("{image: IMAGE}")
    path = shop.place.application / "undrift.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "name: cache" not in line))
    shop.commit("Only watched")
    shop.publish()
    registry.image("7.4.5")

    assert shop.updated()["outcome"] == "published"
    assert shop.cache() == ":7.4.5"
    shop.commit("Second")
    shop.publish("2.0")
    assert shop.cache() == ":7.4.5"


def test_a_step_back_is_not_made(shop: Shop, registry: registries.Registry) -> None:
    registry.image("7.4.5")
    shop.declare("{image: IMAGE}", tag="7.4.9")
    shop.publish()

    [found] = shop.updated()["images"]

    assert (found["after"], found["reason"]) == ("", "7.4.5 would be a step back from 7.4.9")
    assert shop.cache() == ":7.4.9"


def test_a_tag_whose_digest_moved(shop: Shop, registry: registries.Registry) -> None:
    first = registry.image("stable", content="one")
    shop.declare("{image: IMAGE, follow: digest, range: stable}")
    shop.publish()
    assert shop.updated()["outcome"] == "published"
    assert shop.cache() == f":stable@{first}"
    assert shop.updated()["outcome"] == "unchanged"

    second = registry.image("stable", content="two")
    assert shop.updated()["outcome"] == "published"
    assert shop.cache() == f":stable@{second}"


def test_the_newest_build(shop: Shop, registry: registries.Registry) -> None:
    registry.image("build-a", "2026-03-01T00:00:00.123456789Z")
    registry.image("build-b", "2026-02-01T00:00:00Z")
    registry.image("build-c")
    registry.image("other", "2026-04-01T00:00:00Z")
    shop.declare('{image: IMAGE, follow: newest, tags: "^build-"}')
    shop.publish()
    assert shop.updated()["outcome"] == "published"
    assert shop.cache() == ":build-a"

    below = registry.image("amd64", "2026-05-01T00:00:00Z")
    about = {"mediaType": registries.MANIFEST, "digest": below, "size": 1}
    index = "application/vnd.oci.image.index.v1+json"
    platform = {"os": "linux", "architecture": "amd64"}
    size = len(fetched(registry, below))
    registry.manifest(
        "build-d",
        {"schemaVersion": 2, "mediaType": index, "manifests": [about | {"size": size, "platform": platform}]},
    )
    assert shop.updated()["outcome"] == "published"
    assert shop.cache() == ":build-d"


def fetched(registry: registries.Registry, digest: str) -> bytes:
    url = f"http://{registry.host}/v2/{registry.name}/manifests/{digest}"
    asked = urllib.request.Request(url, headers={"Accept": registries.MANIFEST})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return bytes(answer.read())


def test_the_last_by_name_and_no_other_way(shop: Shop, registry: registries.Registry) -> None:
    for tag in ("2026-01-02", "2026-01-10", "zebra"):
        registry.image(tag)
    shop.declare('{image: IMAGE, follow: alphabetical, tags: "^[0-9-]+$"}')
    shop.publish()
    shop.updated()
    assert shop.cache() == ":2026-01-10"


def test_a_registry_that_is_down_keeps_no_other_image_back(shop: Shop, registry: registries.Registry) -> None:
    shop.declare("{image: IMAGE}")
    path = shop.place.application / "undrift.yaml"
    path.write_text(
        path.read_text().replace(
            "  updates:\n", "  updates:\n  - {image: 127.0.0.1:9/team/away, follow: digest}\n"
        )
    )
    deployment = shop.place.application / "k8s" / "staging" / "deployment.yaml"
    deployment.write_text(
        deployment.read_text() + CACHE.format(image="127.0.0.1:9/team/away").replace("cache", "away", 1)
    )
    shop.commit("Two")
    shop.publish()
    registry.image("7.4.5")

    done = shop.update()

    assert done.returncode == 7, done.stdout
    assert "error UD201: the registry of 127.0.0.1:9/team/away does not answer" in done.stderr
    assert shop.cache() == ":7.4.5"
    told = json.loads(shop.update("-o", "json").stdout)
    assert [one["code"] for one in told["errors"]] == ["UD201"]


@pytest.mark.parametrize("registry", ["secret"], indirect=True)
def test_a_registry_that_asks_who_we_are(shop: Shop, registry: registries.Registry) -> None:
    shop.declare("{image: IMAGE}")
    shop.publish()
    registry.image("7.4.5")

    refused = shop.update()
    assert refused.returncode == 6
    assert "error UD202" in refused.stderr
    assert f"docker login {registry.host}" in refused.stderr
    elsewhere = {"UNDRIFT_REGISTRY_USERNAME": "ada", "UNDRIFT_REGISTRY_PASSWORD": "secret"}
    assert shop.update(**elsewhere, UNDRIFT_REGISTRY="registry.example").returncode == 6
    wrong = shop.update(
        **elsewhere | {"UNDRIFT_REGISTRY_PASSWORD": "hunter2"}, UNDRIFT_REGISTRY=registry.host
    )
    assert (wrong.returncode, "hunter2" in wrong.stderr + wrong.stdout) == (6, False)

    assert shop.updated(**elsewhere, UNDRIFT_REGISTRY=registry.host)["outcome"] == "published"
    assert shop.cache() == ":7.4.5"


@pytest.mark.parametrize("registry", ["secret"], indirect=True)
def test_who_docker_knows_and_its_helpers(
    shop: Shop, registry: registries.Registry, tmp_path: pathlib.Path
) -> None:
    shop.declare("{image: IMAGE}")
    shop.publish()
    registry.image("7.4.5")
    folder = tmp_path / ".docker"
    folder.mkdir()
    kept = {"auths": {registry.host: {"auth": base64.b64encode(b"ada:secret").decode()}}}
    (folder / "config.json").write_text(json.dumps(kept))
    assert shop.updated()["outcome"] == "published"

    registry.image("7.4.6")
    bin_ = tmp_path / "helpers"
    bin_.mkdir()
    helper = bin_ / "docker-credential-vault"
    helper.write_text(
        '#!/bin/sh\nread -r host\n[ "$1 $host" = "get '
        + registry.host
        + '" ] && echo \'{"Username": "ada", "Secret": "secret"}\'\n'
    )
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    (folder / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "vault"}}))
    path = f"{bin_}{os.pathsep}{places.environment(tmp_path)['PATH']}"
    assert shop.updated(PATH=path)["outcome"] == "published"
    assert shop.cache() == ":7.4.6"

    (folder / "config.json").write_text("{")
    broken = shop.update()
    assert (broken.returncode, "UD210" in broken.stderr) == (6, True)


def test_a_stage_with_pull_requests_gets_a_branch(shop: Shop, registry: registries.Registry) -> None:
    shop.declare("{image: IMAGE, stages: [production]}")
    shop.publish()
    shop.declare("{image: IMAGE, stages: [production]}", more=", publish: pull-request")
    branch = "undrift/petclinic/production"
    for tag in ("7.4.5", "7.4.6"):
        registry.image(tag)
        assert shop.updated()["outcome"] == "published"
        assert (shop.cache("production"), shop.cache("production", branch)) == (":7.4.1", f":{tag}")
    count = shop.place.git("rev-list", "--count", f"main..{branch}", cwd=shop.place.gitops)
    assert count.strip() == "1"
    head = shop.place.git("rev-parse", branch, cwd=shop.place.gitops)
    assert shop.updated()["outcome"] == "published", "it is still waiting to be merged"
    assert shop.place.git("rev-parse", branch, cwd=shop.place.gitops) == head


def test_a_stage_that_was_rolled_back_stays(shop: Shop, registry: registries.Registry) -> None:
    shop.declare("{image: IMAGE}")
    shop.publish()
    first = shop.place.git("rev-parse", "HEAD").strip()
    shop.commit("Second")
    shop.publish("2.0")
    back = shop.place.undrift(
        "rollback", "petclinic", "--stage", "staging", "--to", first, "--reason", "slow"
    )
    assert back.returncode == 0, back.stderr
    registry.image("7.4.5")

    found = shop.updated()

    assert found["outcome"] == "held"
    assert "slow" in found["reason"]
    assert shop.cache() == ":7.4.1"


def test_a_stage_where_nothing_is_published_waits(shop: Shop) -> None:
    shop.declare("{image: IMAGE}")
    found = shop.updated()
    assert (found["outcome"], found["reason"]) == (
        "waiting",
        "nothing is published here yet: undrift publish comes first",
    )


def test_an_image_that_nobody_uses_and_a_range_that_is_none(
    shop: Shop, registry: registries.Registry
) -> None:
    shop.declare("{image: IMAGEX}")
    shop.publish()
    done = shop.update()
    assert (done.returncode, f"did you mean {shop.image}?" in done.stderr) == (4, True), done.stderr

    shop.declare('{image: IMAGE, range: "seven"}')
    done = shop.update()
    assert (done.returncode, "'seven' is not a range of versions" in done.stderr) == (3, True), done.stderr


def test_it_looks_again_by_itself(shop: Shop, registry: registries.Registry) -> None:
    shop.declare("{image: IMAGE}")
    shop.publish()
    process = subprocess.Popen(
        [places.BIN / "undrift", "update", "--every", "1s", "-o", "json"],
        cwd=shop.place.application,
        env=places.environment(shop.place.root),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=places.heeding,  # noqa: PLW1509 - no thread of ours runs here
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["stages"][0]["outcome"] == "unchanged"
        registry.image("7.4.5")
        until = time.monotonic() + 60
        while json.loads(process.stdout.readline())["stages"][0]["outcome"] != "published":
            assert time.monotonic() < until
        assert shop.cache() == ":7.4.5"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        if process.stdout is not None:
            process.stdout.close()


# --- onward --------------------------------------------------------------------------------------------


async def healthy(shop: Shop) -> None:
    """An agent says that staging is applied and well, as it is published now."""
    now = time.time()
    tree = shop.place.git("rev-parse", "main:staging/petclinic", cwd=shop.place.gitops).strip()
    told = report.Report(
        application="petclinic-staging",
        agent="main",
        path="staging/petclinic",
        tree=tree,
        health=health.Status.HEALTHY,
        since=now - 100,
        observed=now,
        within=600.0,
        ending="in sync",
    )
    web = connecting.Web()
    declared = source.Source("ops", source.SourceKind.GIT, f"file://{shop.place.gitops}")
    place = remote.Remote(declared, credentials.EnvironmentSecrets(), web)
    agent = shelf.Shelf(place.access, "ops", report.REFS)
    seen = (await agent.read("main")).get("main")
    assert await agent.replace("main", {f"{told.application}.json": told.encode()}, seen) is not None
    await agent.close()
    await web.close()


async def test_promotion_takes_a_new_image_along(shop: Shop, registry: registries.Registry) -> None:
    """Also to a stage that has the revision already."""
    shop.declare("{image: IMAGE}", more=", requires: [{stage: staging}]")
    shop.publish()
    await healthy(shop)
    assert shop.place.undrift("promote").returncode == 0
    assert shop.cache("production") == ":7.4.1"
    registry.image("7.4.5")
    shop.updated()

    early = shop.place.undrift("promote")
    assert (early.returncode, "waiting" in early.stdout) == (0, True), early.stdout
    await healthy(shop)
    done = shop.place.undrift("promote")

    assert (done.returncode, "published" in done.stdout) == (0, True), done.stdout + done.stderr
    assert (shop.cache("production"), shop.images("production")[0]) == (
        ":7.4.5",
        "registry.example/petclinic:1.0",
    )
    tip = shop.place.tip()
    assert shop.place.undrift("promote").returncode == 0
    assert shop.place.tip() == tip
