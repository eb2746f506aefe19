"""Who we say we are, on a real API server: certificates, OpenID Connect, proxies, and kubeconfigs kept in Secrets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import datetime
import json
import pathlib
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests import certificates, peers
from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import secret, target
from undrift.providers.kubernetes import client, kubeconfig, provider, settings
from undrift.testing import control_plane

NAMESPACES = "/api/v1/namespaces"
PAST = datetime.timedelta(hours=-1)


@dataclasses.dataclass
class Place:
    """A control plane without controllers that believes an authority, and tokens as its configuration says."""

    plane: control_plane.ControlPlane
    authority: certificates.Authority
    authentication: pathlib.Path

    def connection(self, **parts: Any) -> kubeconfig.Connection:
        """How it is reached."""
        ca = kubeconfig.Material(str(self.plane.certificate))
        return kubeconfig.Connection(server=self.plane.url, ca=ca, **parts)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    programs = peers.require_control_plane()
    with tempfile.TemporaryDirectory(prefix="undrift-cp-") as name:
        folder = pathlib.Path(name)
        authority = certificates.Authority()
        authentication = folder / "authentication.json"
        authentication.write_text(json.dumps(believing()))
        plane = control_plane.ControlPlane(folder / "plane", programs)
        plane.options = [
            f"--client-ca-file={authority.write(folder / 'ca.pem')}",
            f"--authentication-config={authentication}",
        ]
        try:
            plane.start(controllers=False)
            yield Place(plane, authority, authentication)
        finally:
            plane.stop()


def believing(*issuers: dict[str, Any]) -> dict[str, Any]:
    """The API server's configuration of whose tokens it believes; it is read again when it changes."""
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": list(issuers),
    }


async def asked(given: kubeconfig.Connection) -> str:
    """The kind that comes back; raises what the client raises."""
    api = client.Client(given)
    try:
        return str((await api.get(NAMESPACES))["kind"])
    finally:
        await api.close()
        # A connection that the server refused says goodbye in its own time.
        await asyncio.sleep(0.1)


def pair(found: certificates.Pair) -> dict[str, kubeconfig.Material]:
    return {
        "certificate": kubeconfig.Material(content=secret.Secret(found.certificate)),
        "key": kubeconfig.Material(content=secret.Secret(found.key)),
    }


async def test_a_client_certificate(place: Place) -> None:
    """Name and groups are the certificate's."""
    good = place.connection(**pair(place.authority.client("ada", "system:masters")))
    nobody = place.connection(**pair(place.authority.client("bob")))

    assert await asked(good) == "NamespaceList"
    with pytest.raises(errors.TargetDenied, match="reading") as caught:
        await asked(nobody)
    assert 'User "bob" cannot list' in caught.value.why


async def test_a_certificate_that_ran_out_and_was_replaced(place: Place, tmp_path: pathlib.Path) -> None:
    """It is refused, loudly; and as soon as the files are new ones they are used, by the same client."""
    paths = place.authority.client("ada", "system:masters", until=PAST).write(tmp_path, "me")
    files = [kubeconfig.Material(str(path)) for path in paths]
    api = client.Client(place.connection(certificate=files[0], key=files[1]))
    try:
        with pytest.raises(errors.TargetDenied) as caught:
            await api.get(NAMESPACES)
        place.authority.client("ada", "system:masters").write(tmp_path, "me")
        found = (await api.get(NAMESPACES))["kind"]
    finally:
        await api.close()

    assert "does not accept our credentials" in caught.value.why
    assert found == "NamespaceList"


async def test_a_certificate_that_nobody_vouches_for(place: Place) -> None:
    stranger = certificates.Authority().client("ada", "system:masters")
    with pytest.raises(errors.UndriftError) as caught:
        await asked(place.connection(**pair(stranger)))
    assert isinstance(caught.value, (errors.TargetDenied, errors.TargetUnavailable))


class Issuer:
    """An OpenID Connect issuer with TLS: its keys, and new tokens for refresh tokens."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.url = ""
        self.renewed: list[str] = []

    def token(self, until: float) -> str:
        """A signed ID token for `ada`."""
        claims = {
            "iss": self.url,
            "aud": "undrift",
            "sub": "ada",
            "exp": int(until),
            "iat": int(time.time()) - 10,
        }
        text = b".".join(
            _encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "k"}, claims)
        )
        signature = self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return (text + b"." + _encoded(signature)).decode()

    async def discovery(self, _: web.Request) -> web.Response:
        return web.json_response({
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint": f"{self.url}/token",
            "authorization_endpoint": f"{self.url}/auth",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })  # fmt: skip

    async def keys(self, _: web.Request) -> web.Response:
        numbers = self.key.public_key().public_numbers()
        modulus, exponent = (
            _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()
            for value in (numbers.n, numbers.e)
        )
        one = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k", "n": modulus, "e": exponent}
        return web.json_response({"keys": [one]})

    async def renew(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.renewed.append(str(form["refresh_token"]))
        if form["refresh_token"] != "again" or form["client_secret"] != "hunter2":
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"id_token": self.token(time.time() + 3600), "refresh_token": "again"})


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


@pytest.fixture
async def issuer(place: Place, tmp_path: pathlib.Path) -> AsyncIterator[Issuer]:
    """One that the API server believes."""
    made = Issuer()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*place.authority.server().write(tmp_path, "issuer"))
    application = web.Application()
    application.router.add_get("/.well-known/openid-configuration", made.discovery)
    application.router.add_get("/keys", made.keys)
    application.router.add_post("/token", made.renew)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", control_plane.free_port(), ssl_context=context)
    await site.start()
    made.url = site.name.rstrip("/")
    issuers = {
        "issuer": {
            "url": made.url,
            "audiences": ["undrift"],
            "certificateAuthority": place.authority.pem.decode(),
        },
        "claimMappings": {"username": {"claim": "sub", "prefix": ""}},
    }
    place.authentication.write_text(json.dumps(believing(issuers)))
    role = {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    await asyncio.to_thread(place.plane.request, "POST", path, {"metadata": {"name": "ada"}, **role})
    yield made
    await runner.cleanup()
    await asyncio.to_thread(place.plane.request, "DELETE", f"{path}/ada")


async def test_an_openid_connect_token_is_renewed_when_it_runs_out(place: Place, issuer: Issuer) -> None:
    """One that lasts is used as it is; a refresh token that is refused is told, and shown nowhere."""
    ca = kubeconfig.Material(content=secret.Secret(place.authority.pem))

    def oidc(refresh: str, until: float) -> kubeconfig.Connection:
        parts = kubeconfig.Oidc(
            issuer.url,
            "undrift",
            secret.Secret("hunter2"),
            secret.Secret(issuer.token(until)),
            secret.Secret(refresh),
            ca,
        )
        return place.connection(oidc=parts)

    async with asyncio.timeout(90):
        # The API server takes a while to learn of the issuer.
        while True:
            with contextlib.suppress(errors.TargetDenied):
                assert await asked(oidc("unused", time.time() + 3600)) == "NamespaceList"
                break
            await asyncio.sleep(0.5)
    before = list(issuer.renewed)
    renewed = await asked(oidc("again", time.time() - 60))
    with pytest.raises(errors.TargetDenied, match="does not renew our token") as caught:
        await asked(oidc("stolen-refresh-token", time.time() - 60))

    assert (renewed, issuer.renewed[len(before) :]) == ("NamespaceList", ["again", "stolen-refresh-token"])
    assert "stolen" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


@pytest.fixture
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that carries connections on, and notes where to."""
    carried: list[str] = []
    ends: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        carried.append(head.split(" ")[1])
        host, _, port = carried[-1].partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        ends.extend((writer, far_writer))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(1 << 16):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", carried
    server.close()
    for end in ends:
        end.close()
        with contextlib.suppress(ConnectionError):
            await end.wait_closed()


async def test_through_a_proxy(place: Place, proxy: tuple[str, list[str]]) -> None:
    url, carried = proxy
    [token] = place.plane.tokens.values()

    assert await asked(place.connection(proxy=url, token=secret.Secret(token))) == "NamespaceList"
    assert carried == [f"127.0.0.1:{place.plane.port}"]


def kept(place: Place, name: str, content: dict[str, Any], key: str = "value") -> None:
    """Keep a kubeconfig in a Secret of the plane itself."""
    path = "/api/v1/namespaces/default/secrets"
    with contextlib.suppress(OSError):
        place.plane.request("DELETE", f"{path}/{name}")
    text = base64.b64encode(json.dumps(content).encode()).decode()
    place.plane.request("POST", path, {"metadata": {"name": name}, "data": {key: text}})


def config_of(place: Place, user: dict[str, Any]) -> dict[str, Any]:
    ca = base64.b64encode(place.plane.certificate.read_bytes()).decode()
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": place.plane.url, "certificate-authority-data": ca}}],
        "users": [{"name": "u", "user": user}],
    }


def borrower(place: Place, name: str, **more: Any) -> target.Target:
    holder = {"kubeconfig": str(place.plane.kubeconfig())}
    return target.Target(
        "made", "kubernetes", settings={"kubeconfig": {"secret": f"default/{name}", "in": holder, **more}}
    )


async def test_a_kubeconfig_that_another_cluster_keeps(place: Place) -> None:
    """The cluster that one application makes is the target of the next; until it is there, that waits."""
    [token] = place.plane.tokens.values()
    with pytest.raises(errors.TargetUnavailable, match="Secret default/prod-kubeconfig does not exist"):
        await settings.connection(borrower(place, "prod-kubeconfig"), worlds.Files())

    kept(place, "prod-kubeconfig", config_of(place, {"token": token}))
    found = await settings.connection(borrower(place, "prod-kubeconfig"), worlds.Files())
    assert await asked(found) == "NamespaceList"


async def test_credentials_in_a_secret_that_were_replaced(place: Place) -> None:
    """What is refused is read anew by whoever connects next, while others still hold the old connection."""
    [token] = place.plane.tokens.values()
    kept(place, "rotated", config_of(place, {"token": token}))
    made, declared = provider.KubernetesProvider(), borrower(place, "rotated")
    watching = await made.connect(declared, worlds.Files())
    shared = next(iter(made._clusters.values()))
    assert shared._opened is not None
    shared._opened.cluster.api._connection = place.connection(token=secret.Secret("withdrawn"))
    shared._opened.cluster.api._identity = type(shared._opened.cluster.api._identity)(
        shared._opened.cluster.api._connection
    )

    with pytest.raises(errors.TargetDenied):
        await shared._opened.cluster.api.get(NAMESPACES)
    again = await made.connect(declared, worlds.Files())
    facts = await again.discover()
    await watching.close()
    await again.close()

    assert facts.values["version"]
    assert not made._clusters


@pytest.mark.parametrize(
    "user, key, says, hint",
    [
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh"}},
            "value",
            "program to run",
            "",
        ),
        ({"tokenFile": "/etc/passwd"}, "value", "file to read", ""),
        ({"client-certificate": "/etc/a", "client-key": "/etc/b"}, "value", "file to read", ""),
        ({"token": "x"}, "vale", "", "there are: vale"),
    ],
)
async def test_what_a_secret_may_not_say(
    place: Place, user: dict[str, Any], key: str, says: str, hint: str
) -> None:
    """Who can write it must not be able to run programs where the agent is, nor to read its files."""
    kept(place, "bad", config_of(place, user), key)
    with pytest.raises(errors.ConfigInvalid) as caught:
        await settings.connection(borrower(place, "bad"), worlds.Files())
    assert says in caught.value.why
    assert hint in caught.value.hint or "did you mean" in caught.value.hint
