"""What only GitHub has: apps, owners with new names, plans without drafts, merges that need not wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conformance.forges import relay
from tests.conformance.forges.servers import github
from tests.conformance.forges.stands import github as stands
from undrift import errors
from undrift.forges import connecting
from undrift.model import forge

HEAD = "undrift/shop/production"
SPEC = forge.PullRequestSpec(HEAD, "main", "title", "body")


@pytest.fixture
async def stand() -> AsyncIterator[stands.GitHubStand]:
    async with stands.opened(None) as made:
        yield made
        await made.forge.close_session()


def server(stand: stands.GitHubStand) -> github.GitHub:
    return cast("github.GitHub", stand.server)


async def test_an_owner_with_a_new_name_is_found_by_the_old_one(stand: stands.GitHubStand) -> None:
    await stand.branch(HEAD)
    server(stand).owner, server(stand).former = "acme-corp", "acme"

    # GitHub sends us to itself; the relay is another host.
    await stand.forge.close_session()
    forge_itself = connecting.connect(
        f"{stand.server.url}/acme/gitops.git", "github", "", {"UNDRIFT_TOKEN": stand.secrets[0]}
    )
    assert forge_itself is not None
    made = await forge_itself.create(SPEC)

    assert await forge_itself.find_open(HEAD, "main") == made
    await forge_itself.close_session()


async def test_a_plan_without_drafts_gets_what_it_can(stand: stands.GitHubStand) -> None:
    await stand.branch(HEAD)
    server(stand).allows_drafts = False

    made = await stand.forge.create(forge.PullRequestSpec(HEAD, "main", "title", "body", draft=True))

    assert not made.draft


async def test_what_may_be_merged_now_is_merged_at_once(stand: stands.GitHubStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    server(stand).clean = True

    assert await stand.forge.enable_auto_merge(made, "squash")

    assert (await stand.forge.pull_request(made.number)).state is forge.PullRequestState.MERGED


async def test_what_moved_meanwhile_is_not_merged(stand: stands.GitHubStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    server(stand).clean = True
    await stand.push(HEAD)

    assert not await stand.forge.enable_auto_merge(made, "squash")

    assert (await stand.forge.pull_request(made.number)).state is forge.PullRequestState.OPEN


async def test_a_repository_without_auto_merge(stand: stands.GitHubStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    server(stand).allows_auto = False

    assert not await stand.forge.enable_auto_merge(made, "merge")


async def test_approvals_of_people_outside_do_not_count(stand: stands.GitHubStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    server(stand).outsiders.add(stand.fellow)
    await stand.review(made.number, approve=True)

    (review,) = await stand.forge.reviews(made.number)

    assert (review.login, review.approved) == (stand.fellow, False)


async def test_a_token_of_a_job_keeps_one_comment_though_it_has_no_user(stand: stands.GitHubStand) -> None:
    await stand.branch(HEAD)
    made = await stand.forge.create(SPEC)
    server(stand).is_app = True

    await stand.forge.upsert_comment(made.number, "<!-- m -->", "<!-- m -->\none")
    await stand.forge.upsert_comment(made.number, "<!-- m -->", "<!-- m -->\ntwo")

    assert await stand.comments(made.number) == ["<!-- m -->\ntwo"]


class Installations:
    """Gives out tokens of an App for signed claims; the second one is good for an hour, the first is not."""

    def __init__(self) -> None:
        self.given = 0
        self.claims: list[str] = []

    async def exchange(self, request: web.Request) -> web.Response:
        self.claims.append(request.headers["Authorization"])
        self.given += 1
        ends = "2001-01-01T00:00:00Z" if self.given == 1 else "2999-01-01T00:00:00Z"
        return web.json_response({"token": f"ghs_{self.given}", "expires_at": ends}, status=201)

    async def repository(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer ghs_{self.given}":
            return web.json_response({"message": "Bad credentials"}, status=401)
        return web.json_response({"default_branch": "main"})


async def test_an_app_signs_in_with_a_claim_and_renews_its_token() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    tokens = Installations()
    app = web.Application()
    app.router.add_post("/api/v3/app/installations/42/access_tokens", tokens.exchange)
    app.router.add_get("/api/v3/repos/acme/gitops", tokens.repository)
    async with relay.serve(app) as url:
        environ = {
            "UNDRIFT_GITHUB_APP_ID": "7",
            "UNDRIFT_GITHUB_INSTALLATION_ID": "42",
            "UNDRIFT_GITHUB_APP_KEY": pem,
        }
        found = connecting.connect(f"{url}/acme/gitops", "github", "", environ)
        assert found is not None

        assert [await found.default_branch() for _ in range(3)] == ["main"] * 3
        assert tokens.given == 2
        tokens.given += 1  # revoked: the next answer is 401
        assert await found.default_branch() == "main"
        await found.close_session()

        login = await connecting.git_login_of_app(f"{url}/acme/gitops", "github", "", environ)
        assert login == ("x-access-token", f"ghs_{tokens.given}")
    assert all(claim.startswith("Bearer eyJ") for claim in tokens.claims)


async def test_a_key_that_is_none() -> None:
    environ = {
        "UNDRIFT_GITHUB_APP_ID": "7",
        "UNDRIFT_GITHUB_INSTALLATION_ID": "42",
        "UNDRIFT_GITHUB_APP_KEY": "secret-but-no-key",
    }
    found = connecting.connect("http://127.0.0.1:9/acme/gitops", "github", "", environ)
    assert found is not None

    with pytest.raises(errors.CredentialMissing) as caught:
        await found.default_branch()

    assert "secret-but" not in f"{caught.value!r} {vars(caught.value)}"
    await found.close_session()
