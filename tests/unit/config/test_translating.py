"""The order of defaults: the document, its generator, its Project, its Agent, the product."""

import pytest

from tests.unit.config import declaring
from undrift.model import application

AGENT = """apiVersion: undrift.dev/v1
kind: Agent
metadata: {name: main}
spec:
  interval: 1m
  workers: 3
  retention: 30d
  defaults:
    interval: 10m
    deletionPolicy: orphan
    policy:
      mode: approval
      deletionLimit: {count: 3}
      windows: [{kind: deny, from: "22:00", to: "06:00"}]
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {name: servers}
spec: {provider: hosts}
---
apiVersion: undrift.dev/v1
kind: Project
metadata: {name: shop}
spec: {deletionPolicy: delete, targets: [servers], sources: []}
"""


async def declared(spec: str = "") -> application.Application:
    return (await declaring.read_well(AGENT + declaring.application("web", spec))).applications["web"]


async def test_an_agent_has_defaults_for_what_nobody_says() -> None:
    found = await declared()

    assert found.interval == 600
    assert found.deletion_policy is application.DeletionPolicy.ORPHAN
    assert found.policy.mode is application.Mode.APPROVAL
    assert found.policy.deletion_limit == application.DeletionLimit(3, 30)
    assert len(found.policy.windows) == 1
    assert found.policy.retry == application.Retry()


async def test_a_document_says_it_field_by_field() -> None:
    found = await declared(
        "interval: 1m, policy: {mode: automatic, deletionLimit: {percent: 5}, prune: false}"
    )

    assert found.interval == 60
    assert found.policy.mode is application.Mode.AUTOMATIC
    assert found.policy.deletion_limit == application.DeletionLimit(3, 5)
    assert not found.policy.prune
    assert len(found.policy.windows) == 1


async def test_what_is_said_counts_even_where_it_is_the_default() -> None:
    found = await declared("interval: 5m, policy: {windows: []}")

    assert found.interval == 300
    assert found.policy.windows == ()


@pytest.mark.parametrize(
    "spec, policy",
    [
        ("", "orphan"),
        ("project: shop", "delete"),
        ("project: shop, deletionPolicy: approve", "approve"),
    ],
)
async def test_who_says_what_happens_at_the_end(spec: str, policy: str) -> None:
    assert (await declared(spec)).deletion_policy.value == policy


async def test_agents_projects_and_targets_arrive() -> None:
    found = await declaring.read_well(AGENT)

    agent = found.agents["main"]
    assert (agent.interval, agent.workers, agent.retention) == (60, 3, 30 * 86400)
    assert found.projects["shop"].targets == ("servers",)
    assert found.projects["shop"].sources == ()
    assert found.projects["default"] == application.DEFAULT_PROJECT
    assert found.targets["servers"].agent == "main"
    assert found.targets["servers"].file == "undrift.yaml"


async def test_the_default_project_can_be_declared() -> None:
    text = "---\napiVersion: undrift.dev/v1\nkind: Project\nmetadata: {name: default}\nspec: {targets: [x]}\n"

    assert (await declaring.read_well(AGENT + text)).projects["default"].targets == ("x",)


async def test_sources_and_notifiers_arrive() -> None:
    found = await declaring.read_well("""apiVersion: undrift.dev/v1
kind: Source
metadata: {name: charts}
spec:
  url: ssh://git@git.example.org/charts
  semver: ^1.2
  interval: 2m
  timeout: 5s
  authentication: {sshKey: {file: /etc/key}, knownHosts: {env: HOSTS}}
  verification: {what: either, allowedSigners: "ada@example.org ssh-ed25519 AAAA"}
  allowForcePush: true
  submodules: true
  lfs: true
---
apiVersion: undrift.dev/v1
kind: Source
metadata: {name: app}
spec:
  url: https://git.example.org/charts
  commit: 4b825dc642cb6eb9a060e54bf8d69288fbee4904
  authentication: {githubApp: {appId: "1", installationId: "2", privateKey: {file: /key}}, ca: {file: /ca}}
---
apiVersion: undrift.dev/v1
kind: Source
metadata: {name: manifests}
spec: {kind: oci, url: "oci://registry.example.org/manifests", tag: latest}
---
apiVersion: undrift.dev/v1
kind: Notifier
metadata: {name: chat}
spec: {kind: slack, url: {env: CHAT_URL}, events: [DriftFound, Failed], applications: ["web-*"]}
""")
    charts = found.sources["charts"]
    assert (charts.reference.semver, str(charts.reference)) == ("^1.2", "^1.2")
    assert (charts.interval, charts.timeout) == (120, 5)
    assert charts.authentication.ssh_key is not None
    assert charts.authentication.ssh_key.file == "/etc/key"
    assert charts.verification is not None
    assert charts.verification.what == "either"
    assert charts.allow_force_push
    assert charts.submodules
    assert charts.lfs
    app = found.sources["app"].authentication.github_app
    assert app is not None
    assert (app.app_id, app.installation_id, app.private_key.file) == ("1", "2", "/key")
    assert found.sources["manifests"].kind.value == "oci"
    chat = found.notifiers["chat"]
    assert (chat.kind, chat.url.env, chat.events) == ("slack", "CHAT_URL", ("DriftFound", "Failed"))
    assert chat.applications == ("web-*",)
