"""An artifact in a real registry as a source."""

import asyncio
import base64
import datetime
import gzip
import http.server
import io
import json
import os
import pathlib
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

from tests import registries
from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import opening


@pytest.fixture
def registry(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[registries.Registry]:
    made = registries.Registry(tmp_path / "registry", password=getattr(request, "param", ""))
    made.start()
    yield made
    made.stop()


def archive(files: Mapping[str, str | bytes | tarfile.TarInfo]) -> tuple[bytes, dict[str, Any]]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            raw = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return gzip.compress(packed.getvalue()), {}


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def declare(url: str, **parts: Any) -> source.Source:
    parts = {"reference": source.GitReference(tag="v1"), "insecure": True, **parts}
    return conftest.declare(url, kind=source.SourceKind.OCI, **parts)


async def test_an_artifact_is_resolved_compared_and_fetched(
    registry: registries.Registry, pool: opening.SourcePool
) -> None:
    annotations = {
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "org.opencontainers.image.revision": "main@sha1:abc",
    }
    digest = registry.push(
        "v1", archive({"./web/a é.yaml": "1", "db/x": "1", "web/run": "#!"}), annotations=annotations
    )
    opened = pool.open(declare(registry.url))
    first = await opened.resolve()
    assert (str(first), first.message, first.time) == (f"v1@{digest}", "main@sha1:abc", 1767323045.0)
    before = await opened.digests(first, ["web", "db", ".", "absent", "db/x"])
    assert before.keys() == {"web", "db", ".", "db/x"}
    artifact = await opened.fetch(first, "web")
    assert artifact.digest == before["web"]
    assert {name: file.content for name, file in artifact.files.items()} == {"a é.yaml": b"1", "run": b"#!"}
    registry.push("v1", archive({"./web/a é.yaml": "1", "db/x": "2", "web/run": "#!"}))
    second = await opened.resolve()
    after = await opened.digests(second, list(before))
    assert {path for path in before if before[path] != after[path]} == {"db", ".", "db/x"}
    with pytest.raises(errors.PathMissing):
        await opened.fetch(second, "absent")


async def test_layers_lie_above_one_another_and_single_files_are_files(
    registry: registries.Registry, pool: opening.SourcePool
) -> None:
    title = {"mediaType": "text/plain", "annotations": {"org.opencontainers.image.title": "notes.txt"}}
    registry.push("v1", archive({"a": "1", "b": "1"}), archive({"b": "2"}), (b"hello", title))
    opened = pool.open(declare(registry.url))
    found = await opened.fetch(await opened.resolve(), ".")
    assert {name: file.content for name, file in found.files.items()} == {
        "a": b"1",
        "b": b"2",
        "notes.txt": b"hello",
    }


async def test_ranges_digests_and_latest(registry: registries.Registry, pool: opening.SourcePool) -> None:
    digests = {tag: registry.push(tag, archive({"x": tag})) for tag in ("1.0.0", "1.2.0", "2.0.0", "latest")}
    for reference, shown in [
        (source.GitReference(semver="^1"), f"1.2.0@{digests['1.2.0']}"),
        (source.GitReference(commit=digests["1.0.0"]), digests["1.0.0"]),
        (source.GitReference(branch="main"), f"latest@{digests['latest']}"),
    ]:
        assert str(await pool.open(declare(registry.url, reference=reference)).resolve()) == shown
    with pytest.raises(errors.ReferenceMissing, match="in the range"):
        await pool.open(declare(registry.url, reference=source.GitReference(semver="^7"))).resolve()
    with pytest.raises(errors.ReferenceMissing, match=r"did you mean 1\.0\.0"):
        await pool.open(declare(registry.url, reference=source.GitReference(tag="1.0.O"))).resolve()


@pytest.mark.parametrize(
    "layer, said",
    [
        (archive({"a": link("a", "/etc/passwd")}), "leads out"),
        (archive({"../a": "1"}), "leads out"),
        (archive({"/a": "1"}), "leads out"),
        (archive({"a": link("a", "b", tarfile.CHRTYPE)}), "is no file"),
        (archive({"a": link("a", "b", tarfile.LNKTYPE)}), "not there"),
        ((b"no archive at all", {}), "no tar archive"),
        ((gzip.compress(b"x" * 2000)[:-20], {}), "cut off|damaged"),
        ((gzip.compress(bytes(20_000_000)), {}), "too large"),
        (archive({"a": os.urandom(300_000)}), "too large"),
    ],
)
async def test_what_may_not_be_used_is_refused(
    registry: registries.Registry, new_pool: conftest.NewPool, layer: tuple[bytes, dict[str, Any]], said: str
) -> None:
    registry.push("v1", layer)
    pool = new_pool(opening.Limits(freshness=0, total=2_000_000, file=200_000))
    opened = pool.open(declare(registry.url))
    revision = await opened.resolve()
    with pytest.raises(errors.ArtifactRefused, match=said):
        await opened.fetch(revision, ".")


async def test_a_layer_that_was_changed_in_the_registry_is_refused(
    registry: registries.Registry, pool: opening.SourcePool
) -> None:
    registry.push("v1", archive({"a": "1"}))
    opened = pool.open(declare(registry.url))
    revision = await opened.resolve()
    for data in (registry.folder / "data").rglob("data"):
        if data.read_bytes().startswith(b"\x1f\x8b"):
            content = bytearray(data.read_bytes())
            content[4] ^= 1  # the time in the header of gzip: it can still be unpacked
            data.write_bytes(bytes(content))
    with pytest.raises(errors.ArtifactRefused, match="not what its digest says"):
        await opened.fetch(revision, ".")


@pytest.mark.parametrize("registry", ["secret"], indirect=True)
async def test_a_registry_that_asks_who_we_are(
    registry: registries.Registry, pool: opening.SourcePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push("v1", archive({"a": "1"}))
    with pytest.raises(errors.SourceDenied, match="names no credentials"):
        await pool.open(declare(registry.url)).resolve()
    monkeypatch.setenv("USER_OF_REGISTRY", "ada")
    monkeypatch.setenv("PASSWORD_OF_REGISTRY", "secret")
    signed = source.Authentication(
        source.Credential("USER_OF_REGISTRY"), source.Credential("PASSWORD_OF_REGISTRY")
    )
    opened = pool.open(declare(registry.url, authentication=signed))
    assert (await opened.fetch(await opened.resolve(), ".")).files["a"].content == b"1"
    monkeypatch.setenv("PASSWORD_OF_REGISTRY", "revoked-one")
    other = pool.open(declare(registry.url, authentication=signed))
    with pytest.raises(errors.SourceDenied) as caught:
        await other.resolve()
    assert "revoked-one" not in repr(vars(caught.value))


class TokenServer(http.server.ThreadingHTTPServer):
    """Gives tokens to ada, as the token servers of public registries do; remembers what it was asked."""

    daemon_threads = True

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            name, name, self.key.public_key(), 1, now, now + datetime.timedelta(days=1)
        )
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = builder.add_extension(basic, critical=True).sign(self.key, hashes.SHA256())
        self.chain = folder / "tokens.pem"
        self.chain.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.asked: list[str] = []

    def token(self, actions: list[str]) -> str:
        raw = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        access = [{"type": "repository", "name": "apps/web", "actions": actions}]
        now = int(time.time())
        claims = {"iss": "tokens", "sub": "ada", "aud": "here", "nbf": now - 60, "iat": now, "exp": now + 300}
        parts = [encode({"alg": "ES256", "typ": "JWT", "x5c": [raw]}), encode({**claims, "access": access})]
        r, s = utils.decode_dss_signature(self.key.sign(".".join(parts).encode(), ec.ECDSA(hashes.SHA256())))
        return ".".join([*parts, flat(r.to_bytes(32, "big") + s.to_bytes(32, "big"))])


class TokenHandler(http.server.BaseHTTPRequestHandler):
    server: TokenServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        right = "Basic " + base64.b64encode(b"ada:secret").decode()
        allowed = self.headers.get("Authorization") == right
        body = json.dumps({"token": self.server.token(["pull"])}).encode() if allowed else b"{}"
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def flat(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def encode(part: dict[str, Any]) -> str:
    return flat(json.dumps(part).encode())


@pytest.fixture
def tokens(tmp_path: pathlib.Path) -> Iterator[TokenServer]:
    with TokenServer(tmp_path) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


async def test_a_registry_that_sends_us_for_a_token(
    tmp_path: pathlib.Path, tokens: TokenServer, pool: opening.SourcePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flow of public registries: 401, the token server with our password, again with the token."""
    realm = f"http://127.0.0.1:{tokens.server_address[1]}/token"
    auth = {
        "token": {"realm": realm, "service": "here", "issuer": "tokens", "rootcertbundle": str(tokens.chain)}
    }
    registry = registries.Registry(tmp_path / "registry", auth=auth)
    registry.start()
    try:
        registry.token = tokens.token(["pull", "push"])
        registry.push("v1", archive({"a": "1"}))
        with pytest.raises(errors.SourceDenied):
            await pool.open(declare(registry.url)).resolve()
        monkeypatch.setenv("TOKEN_OF_REGISTRY", "secret")
        monkeypatch.setenv("USER_OF_REGISTRY", "ada")
        credential = source.Credential("TOKEN_OF_REGISTRY")
        signed = source.Authentication(username=source.Credential("USER_OF_REGISTRY"), password=credential)
        opened = pool.open(declare(registry.url, authentication=signed))
        assert (await opened.fetch(await opened.resolve(), ".")).files["a"].content == b"1"
        assert len(tokens.asked) == 2  # nobody's, and ours, which is used for all that follows
        assert "scope=repository:apps/web:pull" in tokens.asked[1]
    finally:
        registry.stop()


async def test_a_registry_that_is_away_and_comes_back(
    registry: registries.Registry, pool: opening.SourcePool
) -> None:
    registry.push("v1", archive({"a": "1"}))
    opened = pool.open(declare(registry.url))
    revision = await opened.resolve()
    registry.stop()
    with pytest.raises(errors.SourceUnavailable):
        await opened.resolve()
    registry.start()
    assert await opened.resolve() == revision


async def test_many_applications_share_one_pull(
    registry: registries.Registry, pool: opening.SourcePool
) -> None:
    registry.push("v1", archive({f"{number}/x": str(number) for number in range(50)}))
    opened = pool.open(declare(registry.url))
    revision = await opened.resolve()
    found = await asyncio.gather(*(opened.fetch(revision, str(number)) for number in range(50)))
    assert [one.files["x"].content for one in found] == [str(number).encode() for number in range(50)]


@pytest.mark.parametrize(
    "url", ["oci://host", "oci://user@host/name", "https://host/name", "oci://host/Name:tag"]
)
def test_an_address_that_is_none(pool: opening.SourcePool, url: str) -> None:
    with pytest.raises(errors.ConfigInvalid):
        pool.open(declare(url))
