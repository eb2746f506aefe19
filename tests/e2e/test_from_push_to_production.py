"""The page docs/tutorial/publishing.md, done word by word: a real forge, a real cluster, agent and CI half together."""

from __future__ import annotations

import base64
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import peers, planes
from tests.e2e import tutorial
from undrift.testing import control_plane, gitea_server

PAGE = "tutorial/publishing.md"
PATIENCE = 90.0


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    with planes.started() as made:
        yield made


@pytest.fixture(scope="module")
def forge() -> Iterator[gitea_server.GiteaServer]:
    with gitea_server.GiteaServer(peers.require_gitea()) as server:
        for name in ("acme/gitops", "acme/petclinic"):
            server.repository(name)
            server.allow(name, "bot")
        yield server


class Story:
    """Whoever follows the page."""

    def __init__(
        self, root: pathlib.Path, server: gitea_server.GiteaServer, plane: control_plane.ControlPlane
    ) -> None:
        self.root, self.server, self.plane = root, server, plane
        self.sections = tutorial.sections(PAGE)
        self.agent: subprocess.Popen[bytes] | None = None
        token = server.person("bot").token
        header = base64.b64encode(f"bot:{token}".encode()).decode()
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "UNDRIFT_"))
            },
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{server.url}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {header}",
            "UNDRIFT_TOKEN": token,
            "UNDRIFT_USERNAME": "bot",
            "UNDRIFT_GIT_TOKEN": token,
            "UNDRIFT_AUTHOR": "ada",
        }
        for role in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{role}_NAME": "Ada Example", f"GIT_{role}_EMAIL": "ada@example.org"}
        for name in ("gitops", "petclinic"):
            self.run(f"git clone --quiet {server.url}/acme/{name}.git {root / name}", root)

    def follow(self, heading: str) -> None:
        """Do what a section says; what commands print is what the page shows."""
        [title] = [one for one in self.sections if one.startswith(heading)]
        for block in self.sections[title]:
            body = self._adapted(block.body)
            if block.language == "yaml":
                path = self.root / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body, encoding="utf-8")
                continue
            for line, shown in tutorial.Block(block.language, block.title, body).commands():
                if block.title == "agent":
                    self._start(line)
                    continue
                said = self.run(line, self.root / block.title).splitlines()
                told = "\n".join(said)
                assert not shown or len(shown) == len(said), f"{line} said:\n{told}"
                for one, other in zip(shown, said if shown else [], strict=True):
                    assert tutorial.alike(one, other), f"the page shows\n{one}\nand {line} said\n{other}"

    def _adapted(self, text: str) -> str:
        return text.replace("https://forge.example", self.server.url).replace(
            "/home/ada/.kube/config", str(self.plane.kubeconfig())
        )

    def run(self, line: str, folder: pathlib.Path) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout

    def _start(self, line: str) -> None:
        with (self.root / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen(
                line.split(),
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        path = self.root / "agent.log"
        return path.read_text(encoding="utf-8", errors="replace")[-3000:] if path.exists() else ""

    def stop(self) -> None:
        if self.agent is not None:
            self.agent.terminate()
            try:
                self.agent.wait(30)
            except subprocess.TimeoutExpired:
                self.agent.kill()

    def until(self, find: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if find():
                return
            time.sleep(0.2)
        raise AssertionError(f"{what} did not come true; the agent said:\n{self.log()}")

    # --- the cluster and the forge ---------------------------------------------------------------------

    def image(self, namespace: str) -> str:
        """The image that runs in a namespace once all its replicas do; "" before."""
        found = self.plane.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
        if not found or found.get("status", {}).get("readyReplicas", 0) != found["spec"]["replicas"]:
            return ""
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def replicas(self, namespace: str) -> int:
        return int(
            self.plane.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")["spec"]["replicas"]
        )

    def runs(self, namespace: str, tag: str) -> None:
        image = f"registry.example/petclinic:{tag}"
        self.until(lambda: self.image(namespace) == image, f"{image} in {namespace}")

    def proposal(self, stage: str) -> dict[str, Any]:
        """The open pull request of a stage."""
        found = self.server.call("GET", "repos/acme/gitops/pulls?state=open")
        [one] = [each for each in found if each["head"]["ref"] == f"undrift/petclinic/{stage}"]
        return dict(one)

    def merge(self, stage: str, method: str) -> None:
        self.server.merge("acme/gitops", self.proposal(stage)["number"], method)

    def statuses(self, stage: str) -> dict[str, str]:
        sha = self.proposal(stage)["head"]["sha"]
        told = self.server.call("GET", f"repos/acme/gitops/commits/{sha}/status")
        return {one["context"]: one["status"] for one in told["statuses"] or ()}


@pytest.fixture
def story(
    tmp_path: pathlib.Path, forge: gitea_server.GiteaServer, plane: control_plane.ControlPlane
) -> Iterator[Story]:
    made = Story(tmp_path, forge, plane)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.timeout(600)
def test_from_push_to_production(story: Story) -> None:
    story.follow("1.")
    story.follow("2.")

    story.follow("3.")  # publishing, and promotion once staging is well
    story.runs("petclinic-staging", "1.0.0")
    assert story.plane.get("/api/v1/namespaces/petclinic-staging")["metadata"]["labels"]["stage"] == "staging"
    assert story.image("petclinic-eu") == ""
    assert "petclinic" in story.proposal("prod-eu")["title"]
    assert story.statuses("prod-eu")["undrift/previous-stage"] == "success"
    story.merge("prod-eu", "squash")
    story.merge("prod-us", "merge")
    story.runs("petclinic-eu", "1.0.0")
    story.runs("petclinic-us", "1.0.0")

    story.follow("4.")
    story.runs("petclinic-staging", "1.1.0")
    assert "1.0.0" in story.proposal("prod-eu")["body"]
    story.merge("prod-eu", "rebase")
    story.runs("petclinic-eu", "1.1.0")
    assert story.replicas("petclinic-eu") == 3
    assert story.image("petclinic-us").endswith(":1.0.0")

    page = story.sections[next(one for one in story.sections if one.startswith("5."))]
    story.sections["5a"], story.sections["5b"] = page[:1], page[1:]
    story.follow("5a")
    story.merge("prod-eu", "merge")
    story.runs("petclinic-eu", "1.0.0")
    assert story.replicas("petclinic-eu") == 2
    story.follow("5b")
