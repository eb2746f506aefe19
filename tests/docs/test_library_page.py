"""The program on the page of the library is run, on a real repository."""

from __future__ import annotations

import pathlib
import subprocess
import sys

from tests.docs import pages
from undrift.testing import git_server

DELIVERY = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {{name: petclinic}}
spec:
  gitopsRepository: {{url: "{url}", forge: none}}
  source: {{manifests: k8s}}
  images: [{{name: web, newTag: "${{IMAGE_TAG}}"}}]
  stages: [{{name: staging}}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: "registry.example/petclinic:0", resources: {limits: {memory: 1Mi, cpu: 1}}}]}
"""


def test_the_program_on_the_page_runs(tmp_path: pathlib.Path) -> None:
    [program] = pages.blocks(pages.text("how-to/use-as-a-library.md"), "python")
    gitops = git_server.GitRepository(tmp_path / "gitops.git")
    gitops.commit({"README.md": "hello\n"})
    application = git_server.GitRepository(tmp_path / "app.git")
    application.commit({"undrift.yaml": DELIVERY.format(url=gitops.file_url), "k8s/web.yaml": POD}, "Begin")
    subprocess.run(
        ["git", "clone", "-q", application.file_url, str(tmp_path / "app")], check=True, timeout=60
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "app",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "staging ['web.yaml']", done.stdout
    assert "staging published" in done.stdout
    assert gitops.files() == ["README.md"]
