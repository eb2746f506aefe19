"""An application's repository and a GitOps repository, both real, for what CI runs."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Mapping

from tests import peers

BIN = pathlib.Path(sys.executable).parent
IMAGE = "registry.example/petclinic:2.0"
STAGES = ("staging", "production")
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: petclinic, namespace: petclinic-{stage}}}
spec:
  selector: {{matchLabels: {{app: petclinic}}}}
  template:
    metadata: {{labels: {{app: petclinic}}}}
    spec:
      containers:
      - name: application
        image: registry.example/petclinic:1.0
        resources: {{limits: {{memory: 64Mi}}, requests: {{cpu: 10m, memory: 64Mi}}}}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """`application` is a checkout, `gitops` a bare repository with one commit."""

    root: pathlib.Path
    application: pathlib.Path
    gitops: pathlib.Path

    def run(
        self,
        *command: str | pathlib.Path,
        cwd: pathlib.Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program where nothing of this machine's settings is known."""
        return subprocess.run(
            command,
            cwd=cwd or self.application,
            env={**environment(self.root), **(env or {})},
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    def git(self, *arguments: str, cwd: pathlib.Path | None = None) -> str:
        """What Git says to Ada."""
        done = self.run("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def undrift(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run undrift in the application's checkout."""
        return self.run(BIN / "undrift", *arguments)

    def tip(self) -> str:
        """The newest commit of the GitOps repository."""
        return self.git("rev-parse", "main", cwd=self.gitops).strip()

    def published(self, stage: str) -> str:
        """The manifest of a stage in the GitOps repository."""
        return self.git("show", f"main:{stage}/petclinic/deployment.yaml", cwd=self.gitops)


def environment(root: pathlib.Path) -> dict[str, str]:
    """Variables with which programs find ours first, and no settings of whoever runs the tests: as on a runner, Git
    does not know who commits.
    """
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(root),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def made(root: pathlib.Path) -> Place:
    """A repository with manifests of two stages and no `undrift.yaml`, and an empty GitOps repository."""
    peers.require_peer("git")
    place = Place(root, root / "petclinic", root / "gitops.git")
    for stage in STAGES:
        folder = place.application / "k8s" / stage
        folder.mkdir(parents=True)
        (folder / "deployment.yaml").write_text(MANIFEST.format(stage=stage), encoding="utf-8")
    place.git("init", "-q", "-b", "main")
    place.git("add", "-A")
    place.git("commit", "-qm", "Begin")
    seed = root / "seed"
    seed.mkdir()
    place.git("init", "-q", "-b", "main", cwd=seed)
    place.git("commit", "-q", "--allow-empty", "-m", "First", cwd=seed)
    place.git("clone", "-q", "--bare", str(seed), str(place.gitops), cwd=root)
    return place


def delivered(root: pathlib.Path) -> Place:
    """The same with the `undrift.yaml` that `undrift init` writes, every stage published directly."""
    place = made(root)
    done = place.undrift("init", "--gitops", f"file://{place.gitops}")
    assert done.returncode == 0, done.stderr
    file = place.application / "undrift.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("#forge: gitea", "forge: none").replace("publish: pull-request", "publish: direct"),
        encoding="utf-8",
    )
    place.git("add", "-A")
    place.git("commit", "-qm", "Deliver #1")
    return place


def heeding() -> None:
    """Between fork and exec: Ctrl-C is heeded, also where whoever runs the tests in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
