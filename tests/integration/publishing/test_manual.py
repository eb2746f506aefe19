"""A stage that is promoted by hand gets nothing unless somebody names it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from undrift.testing import git_server

DELIVERY = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {{name: petclinic}}
spec:
  gitopsRepository: {{url: "{url}", forge: none}}
  source: {{manifests: k8s}}
  validators: []
  stages:
  - {{name: staging}}
  - {{name: production, promote: manual, publish: {way}}}
"""


@pytest.mark.parametrize("way", ["direct", "pull-request"])
def test_a_manual_stage_waits_for_its_name(tmp_path: pathlib.Path, way: str) -> None:
    gitops = git_server.GitRepository(tmp_path / "gitops.git")
    gitops.commit({"README.md": "hello\n"})
    application = git_server.GitRepository(tmp_path / "app.git")
    application.commit(
        {"undrift.yaml": DELIVERY.format(url=gitops.file_url, way=way), "k8s/a.yaml": "a: 1\n"}, "Begin"
    )
    subprocess.run(
        ["git", "clone", "-q", application.file_url, str(tmp_path / "app")], check=True, timeout=60
    )

    def publish(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "undrift", "publish", *arguments],
            cwd=tmp_path / "app",
            env={**os.environ, "GIT_COMMITTER_NAME": "CI", "GIT_COMMITTER_EMAIL": "ci@example.org"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    waiting = publish()
    assert "production       waiting    it is promoted by hand" in waiting
    assert not any(name.startswith("production/") for name in gitops.files())

    named = publish("--stage", "production")
    assert "production       published" in named
    branch = "main" if way == "direct" else "undrift/petclinic/production"
    assert "production/petclinic/a.yaml" in gitops.files(branch)
