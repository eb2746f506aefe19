"""Who made something and who approved it, as a real Gitea tells; and what it lists."""

from __future__ import annotations

import asyncio
import base64
import os
import pathlib
import secrets
import subprocess
import sys
from typing import Any

from tests.conformance.forges.stands import gitea as stands
from undrift import interfaces
from undrift.forges import abilities
from undrift.model import delivery, forge, publication
from undrift.publishing import vouching
from undrift.testing import gitea_server

STAGE = delivery.Stage(
    "production",
    delivery.Recipe("plain", "k8s"),
    way=delivery.Way.PULL_REQUEST,
    gate=delivery.Gate(approvals=1),
)
REVISION = publication.AppRevision("a" * 40, "ops/shop", "Ada", 0.0, "Change it", "Change it")


def lister(host: interfaces.Forge) -> abilities.Lister:
    assert isinstance(host, abilities.Lister)
    return host


def voucher(host: interfaces.Forge) -> abilities.Voucher:
    assert isinstance(host, abilities.Voucher)
    return host


async def commit(stand: stands.GiteaStand, branch: str, who: str, **more: Any) -> str:
    """A file on a branch, written by somebody."""
    await asyncio.to_thread(stand.server.allow, stand.repository, who)
    content = base64.b64encode(secrets.token_hex(4).encode()).decode()
    asked = {"content": content, "message": "change", "branch": branch, **more}
    made = await stand.call("POST", f"contents/{secrets.token_hex(4)}.yaml", asked, who=who)
    return str(made["commit"]["sha"])


async def approve(stand: stands.GiteaStand, number: int, who: str) -> None:
    await stand.call("POST", f"pulls/{number}/reviews", {"event": "APPROVED", "body": "yes"}, who=who)


async def test_open_pull_requests_of_branches_are_listed(stand: stands.GiteaStand) -> None:
    """The oldest first; not those of forks, to other branches, or that are closed."""
    for name in ("first", "second", "third", "elsewhere"):
        await stand.branch(name)
    numbers = [await stand.opened(name, "main", name) for name in ("second", "first", "third")]
    await stand.opened("elsewhere", "first", "to another branch")
    await stand.shut(numbers[2])
    owner = f"fork-{secrets.token_hex(3)}"
    await asyncio.to_thread(stand.server.person, owner)
    await stand.call("POST", "forks", {}, who=owner)
    name = stand.repository.partition("/")[2]
    content = {"content": "YQ==", "message": "theirs", "branch": "main", "new_branch": "theirs"}
    at = f"repos/{owner}/{name}/contents/x.yaml"
    await asyncio.to_thread(stand.server.call, "POST", at, content, who=owner)
    await stand.call(
        "POST", "pulls", {"head": f"{owner}:theirs", "base": "main", "title": "of a fork"}, who=owner
    )

    found = await lister(stand.forge).open_pull_requests("main")

    assert [one.number for one in found] == numbers[:2]
    assert [one.head for one in found] == ["second", "first"]
    assert all(len(one.sha) == 40 for one in found)


async def test_whose_a_commit_is(stand: stands.GiteaStand) -> None:
    """The account of the address in it, and whoever opened the pull request that it came by."""
    await stand.branch("topic")
    own = await commit(stand, "topic", "ada")
    stranger = {"name": "Nobody Known", "email": "nobody@example.net"}
    foreign = await commit(stand, "topic", "ada", author=stranger, committer=stranger)
    host = voucher(stand.forge)

    assert await host.makers_of(own) == {"ada"}
    assert await host.makers_of(foreign) == frozenset()
    assert await host.makers_of("0" * 40) == frozenset()
    assert await vouching.vouched(stand.forge, (own,)) == frozenset({"ada"})
    assert await vouching.vouched(stand.forge, (own, foreign)) is None

    await stand.branch("lent")
    lent = await commit(
        stand, "lent", "ada", author={"name": "Grace", "email": f"{stand.fellow}@example.org"}
    )
    made = await stand.call("POST", "pulls", {"head": "lent", "base": "main", "title": "t"}, who="ada")
    await stand.merge(int(made["number"]), "squash")
    squashed = (await stand.forge.pull_request(int(made["number"]))).merged_sha
    assert await host.makers_of(lent) == {
        stand.fellow
    }  # so it says; who brought it is known of what was merged
    assert "ada" in await host.makers_of(squashed)


async def test_only_others_approvals_of_this_head_count(stand: stands.GiteaStand) -> None:
    """The author's own does not count, another's does, and one of an older head is stale; the head says so each time."""
    await stand.branch("undrift/web/production")
    spec = forge.PullRequestSpec("undrift/web/production", "main", "web to production", "b")
    made = await stand.forge.create(spec)
    await asyncio.to_thread(stand.server.allow, stand.repository, "ada")

    async def said(made_by: frozenset[str] | None = frozenset({"ada"})) -> tuple[str, str]:
        now = await stand.forge.pull_request(made.number)
        await vouching.mark(stand.forge, now, STAGE, REVISION, made_by)
        return (await stand.statuses(now.sha))[vouching.CONTEXT]

    assert await said() == ("pending", "there are 0 of 1 approvals")
    await approve(stand, made.number, "ada")
    assert await said() == ("pending", "there are 0 of 1 approvals; ada made it, and does not count")
    state, text = await said(None)
    assert (state, text.partition(",")[0]) == ("failure", "nobody can tell who made aaaaaaaa")
    await approve(stand, made.number, stand.fellow)
    assert await said() == ("success", "enough people approved: 1 asked for")

    await commit(stand, "undrift/web/production", gitea_server.ADMIN)
    state, text = await said()
    assert state == "pending"
    assert f"{stand.fellow} approved something older" in text


DELIVERY = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {{name: web}}
spec:
  gitopsRepository: {{url: "{url}", forge: gitea}}
  source: {{manifests: k8s}}
  validators: []
  stages:
  - {{name: staging}}
  - {{name: production, publish: pull-request, approvals: 1, requires: [{{stage: staging}}]}}
"""


class Story:
    """An application whose commits are Ada's, its checkout in CI, and the repository it is published to."""

    def __init__(self, stand: stands.GiteaStand, root: pathlib.Path) -> None:
        self.stand, self.server, self.root = stand, stand.server, root
        self.gitops = stand.repository
        application = f"{stand.repository}-app"
        url = self.server.repository(application)
        for name in (stand.bot, "ada", stand.fellow):
            self.server.allow(application, name)
            self.server.allow(self.gitops, name)
        text = DELIVERY.format(url=f"{self.server.url}/{self.gitops}.git")
        for path, content in (("undrift.yaml", text), ("k8s/a.yaml", "a: 1\n")):
            self.server.commit(application, "main", path, content, who="ada")
        subprocess.run(["git", "clone", "-q", url, str(root / "app")], check=True, timeout=60)

    def run(self, *arguments: str) -> str:
        """A command of ours, as CI runs it: nothing in its variables says who made it."""
        ours = {name: text for name, text in os.environ.items() if not name.startswith(("UNDRIFT_", "GIT"))}
        token = self.server.person(self.stand.bot).token
        told = {"UNDRIFT_TOKEN": token, "UNDRIFT_USERNAME": self.stand.bot, "UNDRIFT_FORGE": "gitea"}
        names = {"GIT_COMMITTER_NAME": "CI", "GIT_COMMITTER_EMAIL": "ci@example.org"}
        done = subprocess.run(
            [sys.executable, "-m", "undrift", *arguments],
            cwd=self.root / "app",
            env={**ours, **told, **names},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def proposal(self) -> dict[str, Any]:
        [found] = self.server.call("GET", f"repos/{self.gitops}/pulls?state=open")
        return dict(found)

    def said(self) -> tuple[str, str]:
        sha = self.proposal()["head"]["sha"]
        told = self.server.call("GET", f"repos/{self.gitops}/commits/{sha}/status")["statuses"]
        [one] = [each for each in told if each["context"] == vouching.CONTEXT]
        return one["status"], one["description"]

    def approve(self, who: str) -> None:
        at = f"repos/{self.gitops}/pulls/{self.proposal()['number']}/reviews"
        self.server.call("POST", at, {"event": "APPROVED", "body": "yes"}, who=who)


async def test_the_pull_request_of_a_stage_says_whether_enough_others_approved(
    stand: stands.GiteaStand, tmp_path: pathlib.Path
) -> None:
    """`undrift promote` asks the application's forge who made the revision, and says so at the pull request's head."""

    def follow() -> None:
        story = Story(stand, tmp_path)
        story.run("publish", "--stage", "staging")
        story.run("promote", "--to", "production", "--hotfix", "the night is short")
        assert story.said() == ("pending", "there are 0 of 1 approvals")
        story.approve("ada")
        story.run("promote")
        assert story.said() == ("pending", "there are 0 of 1 approvals; ada made it, and does not count")
        story.approve(stand.fellow)
        story.run("promote")
        assert story.said() == ("success", "enough people approved: 1 asked for")

    await asyncio.to_thread(follow)
