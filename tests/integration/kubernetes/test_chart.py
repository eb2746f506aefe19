"""Our own chart says the same as `undrift bootstrap`, and refuses what it cannot use."""

from __future__ import annotations

import pathlib
import subprocess

import undrift
from tests import peers
from undrift.lib import yaml
from undrift.model import agent, target
from undrift.providers.kubernetes import installing, provider

CHART = pathlib.Path(__file__).parents[3] / "charts" / "undrift"
REPOSITORY = "https://git.example.com/gitops.git"


def template(*more: str) -> subprocess.CompletedProcess[str]:
    helm = str(peers.require_tool("helm"))
    return subprocess.run(
        [helm, "template", "undrift", str(CHART), "--namespace", "undrift", *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_makes_what_bootstrap_makes() -> None:
    """But for the namespace, which is the installer's."""
    given = agent.Installation(
        image=f"ghcr.io/undrift/undrift:{undrift.__version__}",
        repository=REPOSITORY,
        branch="main",
        path="undrift",
        agent="main",
    )
    wanted = {one["kind"]: one for one in installing.documents(given)}
    del wanted["Namespace"]
    [role] = yaml.documents(provider.KubernetesProvider().rights("undrift", target.NO_FACTS, {}))
    wanted["ClusterRole"] = {**role.data, "rules": []}

    done = template("--set", f"repository={REPOSITORY}")

    assert done.returncode == 0, done.stderr
    assert {one.data["kind"]: one.data for one in yaml.documents(done.stdout)} == wanted


def test_it_says_what_is_missing() -> None:
    done = template()

    assert done.returncode
    assert "set repository: the Git repository with the configuration" in done.stderr
