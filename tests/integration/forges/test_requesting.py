"""Certificates, credential helpers, limits and silence, each for real."""

from __future__ import annotations

import contextlib
import pathlib
import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests import certificates, peers
from tests.conformance.forges import relay
from undrift import errors
from undrift.forges import connecting, credentials, requesting

NOBODY = credentials.TokenAccess(None, credentials.bearer)


async def greet(request: web.Request) -> web.Response:
    return web.json_response({"default_branch": "main", "asked": request.headers.get("Authorization", "")})


@contextlib.asynccontextmanager
async def over_tls(authority: certificates.Authority, folder: pathlib.Path) -> AsyncIterator[str]:
    certificate, key = authority.server().write(folder, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_get("/{tail:.*}", greet)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_an_authority_of_ones_own(tmp_path: pathlib.Path) -> None:
    authority = certificates.Authority()
    async with over_tls(authority, tmp_path) as url:
        pem = authority.write(tmp_path / "ca.pem")
        for trust in (
            {"UNDRIFT_GIT_CA": authority.pem.decode()},
            {"UNDRIFT_GIT_CA_FILE": str(pem)},
            {"SSL_CERT_FILE": str(pem)},
        ):
            found = connecting.connect(f"{url}/acme/shop", "gitea", "", {"UNDRIFT_TOKEN": "t", **trust})
            assert found is not None
            assert await found.default_branch() == "main"
            await found.close_session()


async def test_a_certificate_that_nobody_vouches_for(tmp_path: pathlib.Path) -> None:
    async with over_tls(certificates.Authority(), tmp_path) as url:
        found = connecting.connect(f"{url}/acme/shop", "gitea", "", {"UNDRIFT_TOKEN": "t"})
        assert found is not None
        with pytest.raises(errors.HostKeyRefused) as caught:
            await found.default_branch()
        await found.close_session()

    assert "UNDRIFT_GIT_CA" in caught.value.hint


async def test_what_git_knows_is_asked_for_last(tmp_path: pathlib.Path) -> None:
    git = peers.require_peer("git")
    store = tmp_path / "store"
    app = web.Application()
    app.router.add_get("/{tail:.*}", greet)
    async with relay.serve(app) as url:
        store.write_text(url.replace("://", "://bot:tok-of-git@") + "\n")
        environ = {
            "PATH": str(git.parent),
            "HOME": str(tmp_path),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": f"store --file={store}",
        }
        access = credentials.HelperAccess(f"{url}/acme/shop", environ, credentials.bearer)
        client = requesting.Client(url, access)

        assert (await client.get("x"))["asked"] == "Bearer tok-of-git"

        assert (access.whence, access.user, access.secrets()) == ("git credential", "bot", ("tok-of-git",))
        assert "tok-of-git" not in repr(vars(access))
        await client.close()


async def test_where_git_knows_nothing_we_come_as_nobody(tmp_path: pathlib.Path) -> None:
    peers.require_peer("git")
    app = web.Application()
    app.router.add_get("/{tail:.*}", greet)
    async with relay.serve(app) as url:
        access = credentials.HelperAccess(f"{url}/acme/shop", {"HOME": str(tmp_path)}, credentials.bearer)
        client = requesting.Client(url, access)

        assert (await client.get("x"))["asked"] == ""
        assert access.whence == ""
        await client.close()


async def test_an_answer_without_end_is_left() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                await answer.write(b"x" * 65536)
        return answer

    app = web.Application()
    app.router.add_get("/x", flood)
    async with relay.serve(app) as url:
        client = requesting.Client(url, NOBODY, "", requesting.Settings(limit=1 << 20))
        with pytest.raises(errors.ForgeRefused, match="larger than 1048576 bytes"):
            await client.get("x")
        await client.close()


async def test_silence_ends() -> None:
    async with relay.before("http://127.0.0.1:9") as door:
        door.trouble(wait=1.0, times=9)
        client = requesting.Client(door.url, NOBODY, "", requesting.Settings(timeout=0.05, patience=0.2))
        with pytest.raises(errors.ForgeUnavailable, match="no answer within"):
            await client.get("x")
        await client.close()


async def test_nobody_listens() -> None:
    client = requesting.Client("http://127.0.0.1:9", NOBODY, "", requesting.Settings(patience=0.1))

    with pytest.raises(errors.ForgeUnavailable, match=r"127\.0\.0\.1:9 does not do GET x now"):
        await client.get("x")

    await client.close()
