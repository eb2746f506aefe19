"""Protected branches, required statuses, drafts, many pull requests, webhooks: on a real Gitea."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import pathlib
import subprocess

import pytest
from aiohttp import web

from tests import peers
from tests.conformance.forges import relay
from tests.conformance.forges.stands import gitea as stands
from undrift import errors
from undrift.forges import connecting
from undrift.model import forge
from undrift.testing import gitea_server

HEAD = "undrift/shop/production"
SPEC = forge.PullRequestSpec(HEAD, "main", "shop 1.5.0", "body")
RENDER = forge.Status("undrift/render", forge.StatusState.SUCCESS, "3 files", "https://ci.example/7")


async def protect(stand: stands.GiteaStand, **rules: object) -> None:
    await asyncio.to_thread(stand.server.protect, stand.repository, "main", **rules)


async def until_merged(stand: stands.GiteaStand, number: int) -> forge.PullRequest:
    """Gitea merges in the background."""
    for _ in range(300):
        found = await stand.forge.pull_request(number)
        if found.state is not forge.PullRequestState.OPEN:
            return found
        await asyncio.sleep(0.2)
    pytest.fail("it was never merged")


async def test_a_required_status_lets_nothing_be_merged_before_it_is_there(stand: stands.GiteaStand) -> None:
    await protect(stand, enable_status_check=True, status_check_contexts=["undrift/render"])
    sha = await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)

    with pytest.raises(gitea_server.GiteaError, match="405"):
        await stand.merge(made.number, "merge")
    await stand.forge.set_status(sha, RENDER)
    await stand.merge(made.number, "merge")

    assert (await stand.forge.pull_request(made.number)).state is forge.PullRequestState.MERGED


async def test_auto_merge_waits_for_a_status(stand: stands.GiteaStand) -> None:
    await protect(stand, enable_status_check=True, status_check_contexts=["undrift/render"])
    sha = await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)

    assert await stand.forge.enable_auto_merge(made, "squash")
    assert await stand.forge.enable_auto_merge(made, "squash")
    assert (await stand.forge.pull_request(made.number)).state is forge.PullRequestState.OPEN
    await stand.forge.set_status(sha, RENDER)

    merged = await until_merged(stand, made.number)
    assert merged.state is forge.PullRequestState.MERGED
    assert len(merged.merged_sha) == 40


async def test_auto_merge_waits_for_an_approval(stand: stands.GiteaStand) -> None:
    await protect(stand, required_approvals=1)
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)

    assert await stand.forge.enable_auto_merge(made, "merge")
    assert (await stand.forge.pull_request(made.number)).state is forge.PullRequestState.OPEN
    await stand.review(made.number, approve=True)

    merged = await until_merged(stand, made.number)
    assert merged.state is forge.PullRequestState.MERGED


async def test_a_draft_is_not_merged_and_stays_ready_once_a_person_says_so(stand: stands.GiteaStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(forge.PullRequestSpec(HEAD, "main", "shop 1.5.0", "body", draft=True))
    assert not await stand.forge.enable_auto_merge(made, "merge")

    await stand.call("PATCH", f"pulls/{made.number}", {"title": "shop 1.5.0"}, who=stand.fellow)

    ready = await stand.forge.pull_request(made.number)
    assert (ready.draft, ready.title) == (False, "shop 1.5.0")
    assert not (await stand.forge.update(ready, title="shop 1.6.0")).draft


async def test_who_may_not_push_approves_nothing(stand: stands.GiteaStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    await asyncio.to_thread(stand.server.person, "stranger")

    word = {"event": "APPROVED", "body": "fine"}
    await stand.call("POST", f"pulls/{made.number}/reviews", word, who="stranger")
    await stand.review(made.number, approve=True)

    found = {one.login: one.approved for one in await stand.forge.reviews(made.number)}
    assert found == {"stranger": False, stand.fellow: True}


async def test_an_approval_list_of_the_branch_counts(stand: stands.GiteaStand) -> None:
    """Gitea itself says whose approval counts: with a list, only of those on it."""
    await protect(
        stand,
        required_approvals=1,
        enable_approvals_whitelist=True,
        approvals_whitelist_username=[gitea_server.ADMIN],
    )
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)

    await stand.review(made.number, approve=True)

    assert [one.approved for one in await stand.forge.reviews(made.number)] == [False]


async def test_teams_are_asked(stand: stands.GiteaStand) -> None:
    owner = stand.repository.partition("/")[0]
    team = {"name": "reviewers", "permission": "read", "units": ["repo.code", "repo.pulls"]}

    def prepare() -> None:
        try:
            made = stand.server.call("POST", f"orgs/{owner}/teams", team)
        except gitea_server.GiteaError:
            made = stand.server.call("GET", f"orgs/{owner}/teams/search?q=reviewers")["data"][0]
        stand.server.call("PUT", f"teams/{made['id']}/repos/{stand.repository}")

    await asyncio.to_thread(prepare)
    await stand.branch(HEAD)

    made = await stand.forge.create(
        forge.PullRequestSpec(HEAD, "main", "t", "b", reviewers=("team:reviewers",))
    )

    data = await stand.call("GET", f"pulls/{made.number}")
    assert [one["name"] for one in data["requested_reviewers_teams"]] == ["reviewers"]


async def test_a_label_of_the_organization_is_not_made_again(stand: stands.GiteaStand) -> None:
    owner = stand.repository.partition("/")[0]
    name = f"shared-{stand.repository[-8:]}"
    await asyncio.to_thread(
        stand.server.call, "POST", f"orgs/{owner}/labels", {"name": name, "color": "#00aabb"}
    )
    await stand.branch(HEAD)

    made = await stand.forge.create(forge.PullRequestSpec(HEAD, "main", "t", "b", labels=(name, "gitops")))

    assert sorted(made.labels) == sorted([name, "gitops"])
    assert [one["name"] for one in await stand.call("GET", "labels")] == ["gitops"]


@pytest.mark.timeout(300)
async def test_more_than_fifty_pull_requests(stand: stands.GiteaStand, tmp_path: pathlib.Path) -> None:
    """More than Gitea's own largest page; the server of the tests gives ten at a time."""
    git = peers.require_peer("git")
    names = [f"undrift/app-{number}/production" for number in range(51)]
    token = stand.server.people[gitea_server.ADMIN].token
    url = f"{stand.server.url}/{stand.repository}.git"

    def push() -> None:
        def run(*arguments: str, stdin: bytes = b"") -> str:
            done = subprocess.run(
                [git, *arguments],
                cwd=tmp_path,
                input=stdin,
                capture_output=True,
                check=False,
                env=environ,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout.decode().strip()

        environ = {
            **os.environ,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: token {token}",
        }
        run("init", "--quiet", "--bare", ".")
        run("fetch", "--quiet", url, "main:main")
        blob = run("hash-object", "-w", "--stdin", stdin=b"a: 1\n")
        tree = run("mktree", stdin=f"100644 blob {blob}\ta.yaml\n".encode())
        commit = run("commit-tree", tree, "-p", "main", "-m", "publish")
        run("push", "--quiet", url, *(f"{commit}:refs/heads/{name}" for name in names))

    await asyncio.to_thread(push)
    for name in names[:-1]:
        await stand.opened(name, "main", name)
    made = await stand.forge.create(forge.PullRequestSpec(names[-1], "main", names[-1], "b"))

    assert made.number == len(names)
    for name in (names[0], names[25], names[-1]):
        found = await stand.forge.find_open(name, "main")
        assert found is not None
        assert found.title == name


async def test_those_that_came_at_once_leave_one_and_no_trace_of_our_marker(stand: stands.GiteaStand) -> None:
    await stand.branch(HEAD)
    marked = forge.PullRequestSpec(HEAD, "main", "title", "<!-- undrift:v1 tree=1a2b -->")

    made = await asyncio.gather(*(stand.forge.create(marked) for _ in range(4)))

    assert len({one.number for one in made}) == 1
    for closed in await stand.forge.find_closed(HEAD, "main"):
        assert "undrift:v1" not in closed.body


async def test_branches_with_all_that_git_allows(stand: stands.GiteaStand) -> None:
    """A base with a slash in it, and a head with what has a meaning in addresses."""
    base, head = "release/1.0", "undrift/shop#1/50%/ü+x"
    await stand.call("POST", "branches", {"new_branch_name": base, "old_branch_name": "main"})
    await stand.branch("begun")
    await stand.call("POST", "branches", {"new_branch_name": head, "old_branch_name": "begun"})

    made = await stand.forge.create(forge.PullRequestSpec(head, base, "t", "b"))
    assert await stand.forge.find_open(head, base) == made
    await stand.shut(made.number)

    assert [one.number for one in await stand.forge.find_closed(head, base)] == [made.number]


async def test_a_repository_with_a_new_name_is_found_by_the_old_one(stand: stands.GiteaStand) -> None:
    await stand.branch(HEAD)
    name = stand.repository.partition("/")[2]
    await stand.call("PATCH", "", {"name": f"{name}-renamed"})
    environ = {"UNDRIFT_TOKEN": stand.secrets[0]}
    old = connecting.connect(f"{stand.server.url}/{stand.repository}.git", "gitea", "", environ)
    assert old is not None

    made = await old.create(SPEC)

    assert (await old.find_open(HEAD, "main")) == made
    await old.close_session()


async def test_git_pushes_with_the_same_token(stand: stands.GiteaStand, tmp_path: pathlib.Path) -> None:
    git = peers.require_peer("git")
    login = connecting.git_login("gitea", {"UNDRIFT_TOKEN": stand.secrets[0]})
    assert login is not None
    await stand.call("PATCH", "", {"private": True})
    askpass = tmp_path / "askpass"
    askpass.write_text(
        '#!/bin/sh\ncase "$1" in User*) echo "$LOGIN_USER";; *) echo "$LOGIN_PASSWORD";; esac\n'
    )
    askpass.chmod(0o755)
    environ = {
        **os.environ,
        "GIT_ASKPASS": str(askpass),
        "LOGIN_USER": login[0],
        "LOGIN_PASSWORD": login[1],
    }

    def ask() -> subprocess.CompletedProcess[bytes]:
        url = f"{stand.server.url}/{stand.repository}.git"
        arguments = [str(git), "ls-remote", url, "refs/heads/main"]
        return subprocess.run(arguments, env=environ, capture_output=True, timeout=60, check=False)

    done = await asyncio.to_thread(ask)

    assert done.returncode == 0, done.stderr
    assert b"refs/heads/main" in done.stdout


async def test_a_token_that_may_only_read_is_said(stand: stands.GiteaStand) -> None:
    await stand.branch(HEAD)

    def weak() -> str:
        reader = gitea_server.ADMIN
        asked = {"name": f"weak-{stand.repository[-8:]}", "scopes": ["read:repository"]}
        person = stand.server.people[reader]
        keyless = gitea_server.Person(person.name, person.password, "")
        stand.server.people["keyless"] = keyless
        return str(stand.server.call("POST", f"users/{reader}/tokens", asked, who="keyless")["sha1"])

    token = await asyncio.to_thread(weak)
    found = connecting.connect(
        f"{stand.server.url}/{stand.repository}",
        "gitea",
        "",
        {"UNDRIFT_TOKEN": token, "UNDRIFT_USERNAME": "bot"},
    )
    assert found is not None

    with pytest.raises(errors.ForgeDenied) as caught:
        await found.create(SPEC)

    assert "answered 403 to POST" in caught.value.what
    assert "token from $UNDRIFT_TOKEN, user bot" in caught.value.why
    assert "write:repository" in caught.value.hint
    assert token not in f"{caught.value!r}{vars(caught.value)}"
    await found.close_session()


async def test_a_webhook_is_signed(stand: stands.GiteaStand) -> None:
    """What a receiver may rely on: HMAC-SHA256 of the body, in `X-Gitea-Signature`."""
    heard: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()

    async def hear(request: web.Request) -> web.Response:
        body = await request.read()
        await heard.put((request.headers["X-Gitea-Event"], request.headers["X-Gitea-Signature"], body))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hear)
    async with relay.serve(app) as url:
        config = {"url": f"{url}/hook", "content_type": "json", "secret": "shared"}
        hook = {"type": "gitea", "active": True, "events": ["pull_request"], "config": config}
        await stand.call("POST", "hooks", hook)
        await stand.branch(HEAD)
        made = await stand.forge.create(SPEC)

        async with asyncio.timeout(60):
            event, signature, body = await heard.get()

    assert event == "pull_request"
    assert json.loads(body)["number"] == made.number
    assert hmac.compare_digest(signature, hmac.new(b"shared", body, hashlib.sha256).hexdigest())
