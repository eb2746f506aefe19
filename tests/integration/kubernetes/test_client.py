"""The client: who we say we are, whom we believe, and patience with a server that has too much to do."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import pathlib
import ssl
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from undrift import errors
from undrift.model import secret
from undrift.providers.kubernetes import client, kubeconfig
from undrift.testing import control_plane

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NAMESPACES = "/api/v1/namespaces"


@pytest.fixture
def connection(plane: control_plane.ControlPlane) -> kubeconfig.Connection:
    return kubeconfig.Connection(server=plane.url, ca=kubeconfig.Material(str(plane.certificate)))


def plugin(folder: pathlib.Path, status: str, *, after: str = "") -> str:
    """A program that notes each call and gives a credential."""
    path = folder / "login"
    body = (
        f'{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {status}}}'
    )
    path.write_text(
        f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> {folder}/calls\n{after}\ncat <<E\n{body}\nE\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def served(given: kubeconfig.Connection) -> str:
    """The kind that comes back; raises what the client raises."""
    api = client.Client(given)
    try:
        return str((await api.get(NAMESPACES))["kind"])
    finally:
        await api.close()


async def test_a_token_file_is_read_again(
    plane: control_plane.ControlPlane, connection: kubeconfig.Connection, tmp_path: pathlib.Path
) -> None:
    """A token that was replaced is used as soon as the old one is refused."""
    token = tmp_path / "token"
    token.write_text("old and invalid")
    api = client.Client(dataclasses.replace(connection, token_file=str(token)))
    try:
        with pytest.raises(errors.TargetDenied):
            await api.get(NAMESPACES)
        token.write_text(plane.tokens["admin"] + "\n")

        assert (await api.get(NAMESPACES))["kind"] == "NamespaceList"
    finally:
        await api.close()


async def test_a_program_gives_the_credential(
    plane: control_plane.ControlPlane, connection: kubeconfig.Connection, tmp_path: pathlib.Path
) -> None:
    """Asked once while it lasts, and told about the cluster where it wants to know."""
    later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat()
    status = json.dumps({"token": plane.tokens["admin"], "expirationTimestamp": later})
    program = kubeconfig.Exec(plugin(tmp_path, status), cluster_info=True)
    api = client.Client(dataclasses.replace(connection, exec=program))
    try:
        for _ in range(3):
            assert (await api.get(NAMESPACES))["kind"] == "NamespaceList"
    finally:
        await api.close()

    [told] = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert told["spec"]["cluster"]["server"] == plane.url
    assert told["spec"]["interactive"] is False


async def test_a_clock_that_is_a_day_ahead(
    plane: control_plane.ControlPlane,
    connection: kubeconfig.Connection,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every credential seems to have run out: each is asked for anew and used, once a request, not for ever."""
    in_an_hour = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat()
    status = f'{{"token": "{plane.tokens["admin"]}", "expirationTimestamp": "{in_an_hour}"}}'
    program = kubeconfig.Exec(plugin(tmp_path, status))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 86_400)
    api = client.Client(dataclasses.replace(connection, exec=program))
    try:
        for _ in range(2):
            assert (await api.get(NAMESPACES))["kind"] == "NamespaceList"
    finally:
        await api.close()

    assert len((tmp_path / "calls").read_text().splitlines()) <= 4


@pytest.mark.parametrize(
    "status, after, says",
    [
        ("{}", "", "neither a token nor a certificate"),
        ("nonsense", "", "no ExecCredential"),
        ("{}", "exit 3", "ended with 3"),
        ('{"token": "x", "expirationTimestamp": "soon"}', "", "no time"),
    ],
)
async def test_a_program_that_gives_none(
    status: str, after: str, says: str, connection: kubeconfig.Connection, tmp_path: pathlib.Path
) -> None:
    program = kubeconfig.Exec(plugin(tmp_path, status, after=after))

    with pytest.raises(errors.TargetDenied) as caught:
        await served(dataclasses.replace(connection, exec=program))

    assert says in caught.value.why


async def test_a_program_that_is_not_installed(connection: kubeconfig.Connection) -> None:
    program = kubeconfig.Exec("no-such-login", hint="install it from example.com")

    with pytest.raises(errors.TargetDenied) as caught:
        await served(dataclasses.replace(connection, exec=program))

    assert caught.value.hint == "install it from example.com"


async def test_impersonation(plane: control_plane.ControlPlane, connection: kubeconfig.Connection) -> None:
    """What we may is what they may."""
    admin = dataclasses.replace(connection, token=secret.Secret(plane.tokens["admin"]))

    with pytest.raises(errors.TargetDenied) as caught:
        await served(dataclasses.replace(admin, impersonate="nobody"))
    everything = dataclasses.replace(
        admin, impersonate="somebody", impersonate_groups=("a", "system:masters")
    )

    assert 'User "nobody" cannot list' in caught.value.why
    assert await served(everything) == "NamespaceList"


async def test_a_server_that_nobody_vouches_for(
    plane: control_plane.ControlPlane, connection: kubeconfig.Connection
) -> None:
    """Nothing is sent to it."""
    with pytest.raises(errors.TargetDenied) as caught:
        await served(dataclasses.replace(connection, ca=kubeconfig.Material()))
    with pytest.raises(errors.TargetDenied):
        await served(dataclasses.replace(connection, server_name="somebody.else"))

    assert "cannot be trusted" in caught.value.what


async def test_nobody_listens(connection: kubeconfig.Connection) -> None:
    nowhere = dataclasses.replace(connection, server=f"https://127.0.0.1:{control_plane.free_port()}")

    with pytest.raises(errors.TargetUnavailable, match="cannot be reached"):
        await served(nowhere)


@pytest.fixture
async def moody(tmp_path: pathlib.Path) -> AsyncIterator[tuple[kubeconfig.Connection, list[Handler]]]:
    """A TLS server that answers each request with the next of a list."""
    pair = [str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")]
    subject = ["-subj", "/CN=moody", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        pair[0],
        "-out",
        pair[1],
    ]
    subprocess.run([*command, *subject], check=True, capture_output=True, timeout=60)  # noqa: ASYNC221 - set up only
    answers: list[Handler] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        return await answers.pop(0)(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair[1], pair[0])
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    yield kubeconfig.Connection(server=f"https://127.0.0.1:{port}", ca=kubeconfig.Material(pair[1])), answers
    await runner.cleanup()


def says(code: int, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "message": "said so"}, status=code, headers=headers)

    return answer


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_a_server_that_has_too_much_to_do_is_asked_again(
    moody: tuple[kubeconfig.Connection, list[Handler]],
) -> None:
    """For reads and writes; a bad moment is only waited for when nothing is written."""
    given, answers = moody
    answers += [says(429, **{"Retry-After": "0"})] * 3 + [says(503), says(200)]
    api = client.Client(given)
    try:
        await api.get("/any")
        answers += [says(429, **{"Retry-After": "0"}), says(200)]
        await api.send(client.Request("PATCH", "/any", "changing it", body=b"{}"))
        answers += [says(500)]
        with pytest.raises(errors.TargetUnavailable, match="changing it"):
            await api.send(client.Request("PATCH", "/any", "changing it", body=b"{}"))
    finally:
        await api.close()
    assert not answers


async def test_an_answer_that_never_comes_is_not_taken_for_a_refusal(
    moody: tuple[kubeconfig.Connection, list[Handler]],
) -> None:
    """A write whose answer is lost may have been made."""
    given, answers = moody
    answers += [hangs_up]
    api = client.Client(given)
    try:
        with pytest.raises(errors.OutcomeUnknown):
            await api.send(client.Request("PATCH", "/any", "changing it", body=b"{}"))
    finally:
        await api.close()


async def test_no_more_than_so_many_requests_are_under_way(
    moody: tuple[kubeconfig.Connection, list[Handler]],
) -> None:
    """A hundred are asked for at once, and the server never sees more than four."""
    given, answers = moody
    under_way, most = 0, 0

    async def counted(_: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.json_response({})

    answers += [counted] * 100
    api = client.Client(given, connections=4)
    try:
        await asyncio.gather(*(api.get("/any") for _ in range(100)))
    finally:
        await api.close()
    assert (most, api.counts["GET"]) == (4, 100)
