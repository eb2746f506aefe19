"""Signing in: what is let in, what is refused, and that no credential is ever seen."""

import base64
import datetime
import http.client
import http.server
import ipaddress
import json
import pathlib
import shutil
import threading
import time
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import opening
from undrift.testing import git_server

PASSWORD = "s3cret-hunter2"


def told(error: BaseException) -> str:
    """Everything that an error could tell anybody."""
    return f"{error!r} {error} {vars(error)} {error.__cause__!r} {error.__context__!r}"


def by_token() -> source.Authentication:
    return source.Authentication(token=source.Credential(env="GIT_TOKEN"))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("GIT_TOKEN", PASSWORD)
    return monkeypatch


@pytest.mark.parametrize("way", ["token", "password", "file"])
async def test_who_signs_in_is_let_in(
    desk: conftest.Desk,
    pool: opening.SourcePool,
    environment: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    way: str,
) -> None:
    desk.repository.commit({"x": "1"})
    desk.behaviour.users.update({"ada": PASSWORD, "x-access-token": PASSWORD})
    (tmp_path / "password").write_text(PASSWORD + "\n")
    environment.setenv("GIT_USER", "ada")
    user, password = source.Credential(env="GIT_USER"), source.Credential(file=str(tmp_path / "password"))
    ways = {
        "token": by_token(),
        "password": source.Authentication(username=user, password=source.Credential(env="GIT_TOKEN")),
        "file": source.Authentication(username=user, password=password),
    }
    opened = pool.open(conftest.declare(desk.repository.url, authentication=ways[way]))
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"


async def test_a_revoked_credential_is_said_and_a_new_one_is_used_at_once(
    desk: conftest.Desk, pool: opening.SourcePool, environment: pytest.MonkeyPatch
) -> None:
    desk.repository.commit({"x": "1"})
    desk.behaviour.users["x-access-token"] = PASSWORD
    opened = pool.open(conftest.declare(desk.repository.url, authentication=by_token()))
    revision = await opened.resolve()
    desk.behaviour.users["x-access-token"] = "rotated-value"
    with pytest.raises(errors.SourceDenied) as denied:
        await opened.resolve()
    assert "ran out" in denied.value.hint
    with pytest.raises(errors.SourceDenied) as fetching:
        await opened.fetch(revision, ".")
    for caught in (denied, fetching):
        assert PASSWORD not in told(caught.value)
        assert base64.b64encode(f"x-access-token:{PASSWORD}".encode()).decode() not in told(caught.value)
    environment.setenv("GIT_TOKEN", "rotated-value")
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"


async def test_a_credential_is_shown_to_no_other_server(
    desk: conftest.Desk,
    pool: opening.SourcePool,
    environment: pytest.MonkeyPatch,
    elsewhere: tuple[git_server.GitServer, list[str]],
) -> None:
    """A server that is trusted with it begins to send everybody to another one, between a poll and a fetch."""
    other, shown = elsewhere
    desk.repository.commit({"x": "1"})
    desk.behaviour.users["x-access-token"] = PASSWORD
    opened = pool.open(conftest.declare(desk.repository.url, authentication=by_token()))
    revision = await opened.resolve()
    desk.behaviour.redirect = other.url

    with pytest.raises(errors.SourceError) as caught:
        await opened.fetch(revision, ".")

    assert shown
    assert set(shown) == {""}
    assert PASSWORD not in told(caught.value)


@pytest.mark.parametrize(
    "credential",
    [source.Credential(env="NO_SUCH_VARIABLE"), source.Credential(file="/no/such/file"), source.Credential()],
)
async def test_a_credential_that_is_not_there_is_named(
    desk: conftest.Desk, pool: opening.SourcePool, credential: source.Credential
) -> None:
    desk.repository.commit({"x": "1"})
    opened = pool.open(
        conftest.declare(desk.repository.url, authentication=source.Authentication(token=credential))
    )
    with pytest.raises(errors.CredentialMissing, match=credential.env or credential.file or "names no place"):
        await opened.resolve()


async def test_no_credential_is_kept_or_shown_on_the_machine(
    desk: conftest.Desk, pool: opening.SourcePool, environment: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """While git runs, no argument of any process holds it; afterwards no file of the cache does."""
    desk.repository.commit({"x": "1"})
    desk.behaviour.users["x-access-token"] = PASSWORD
    desk.behaviour.delay = 0.1
    encoded = base64.b64encode(f"x-access-token:{PASSWORD}".encode())
    seen: list[bytes] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            for place in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(place.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    opened = pool.open(conftest.declare(desk.repository.url, authentication=by_token()))
    await opened.fetch(await opened.resolve(), ".")
    stop.set()
    watcher.join()
    assert any(b"fetch\0--quiet" in line for line in seen)
    assert not [line for line in seen if PASSWORD.encode() in line or encoded in line]
    kept = b"".join(path.read_bytes() for path in desk.cache.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in kept
    assert encoded not in kept


@pytest.mark.parametrize("url", ["https://ada:hunter2@example.com/x", "https://token@example.com/x"])
def test_a_credential_in_a_url_is_refused_without_repeating_it(pool: opening.SourcePool, url: str) -> None:
    with pytest.raises(errors.ConfigInvalid) as caught:
        pool.open(conftest.declare(url))
    assert "hunter2" not in told(caught.value)
    assert "token@" not in told(caught.value)


async def test_sources_that_sign_in_differently_share_nothing(
    desk: conftest.Desk, pool: opening.SourcePool, environment: pytest.MonkeyPatch
) -> None:
    """Whoever may not read the repository does not get at what was fetched for somebody else."""
    desk.repository.commit({"x": "1"})
    desk.behaviour.users["x-access-token"] = PASSWORD
    insider = pool.open(conftest.declare(desk.repository.url, authentication=by_token()))
    revision = await insider.resolve()
    await insider.fetch(revision, ".")
    outsider = pool.open(conftest.declare(desk.repository.url))
    with pytest.raises(errors.SourceDenied):
        await outsider.fetch(revision, ".")


class Authority:
    """A certificate authority and a server's certificate for 127.0.0.1."""

    def __init__(self, folder: pathlib.Path, host: str = "127.0.0.1") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "our own")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1)
        )
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        plain = serialization.NoEncryption()
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(pem)
        self.server = folder / "server.pem"
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        self.server.write_bytes(private + pem)


@pytest.fixture
def secure(tmp_path: pathlib.Path) -> Iterator[tuple[git_server.GitRepository, Authority]]:
    authority = Authority(tmp_path)
    with git_server.GitServer(tmp_path / "served", certificate=authority.server) as server:
        repository = server.repository("apps.git")
        repository.commit({"x": "1"})
        yield repository, authority


async def test_a_server_with_a_certificate_of_our_own_authority(
    secure: tuple[git_server.GitRepository, Authority], pool: opening.SourcePool
) -> None:
    repository, authority = secure
    ca = source.Authentication(ca=source.Credential(file=str(authority.ca)))
    opened = pool.open(conftest.declare(repository.url, authentication=ca))
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"
    with pytest.raises(errors.HostKeyRefused) as caught:
        await pool.open(conftest.declare(repository.url)).resolve()
    assert "ca" in caught.value.hint
    careless = pool.open(conftest.declare(repository.url, insecure=True))
    assert (await careless.fetch(await careless.resolve(), ".")).files["x"].content == b"1"


async def test_git_itself_refuses_a_certificate_too(
    secure: tuple[git_server.GitRepository, Authority], new_pool: conftest.NewPool, tmp_path: pathlib.Path
) -> None:
    """The certificate changes between our poll and git's fetch: git looks for itself."""
    repository, authority = secure
    good = tmp_path / "given.pem"
    shutil.copy(authority.ca, good)
    ca = source.Authentication(ca=source.Credential(file=str(good)))
    opened = new_pool().open(conftest.declare(repository.url, authentication=ca))
    revision = await opened.resolve()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(Authority(other).ca, good)
    with pytest.raises(errors.HostKeyRefused):
        await opened.fetch(revision, ".")


class Forge(http.server.ThreadingHTTPServer):
    """The one endpoint of GitHub that an app signs in at: verifies the claim, gives a token that is let in."""

    daemon_threads = True

    def __init__(self, desk: conftest.Desk, key: rsa.RSAPublicKey) -> None:
        super().__init__(("127.0.0.1", 0), ForgeHandler)
        self.desk, self.key = desk, key
        self.given: list[str] = []
        self.life = 3600.0
        self.status = 201


class ForgeHandler(http.server.BaseHTTPRequestHandler):
    server: Forge

    def do_POST(self) -> None:
        forge = self.server
        head, claims, signature = self.headers["Authorization"].removeprefix("Bearer ").split(".")
        status = forge.status
        try:
            forge.key.verify(
                plain(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            told = json.loads(plain(claims))
            assert told["iss"] == "12345"
            assert told["iat"] < time.time() < told["exp"] <= told["iat"] + 600
            assert self.path == "/app/installations/678/access_tokens"
        except (InvalidSignature, AssertionError):
            status = 401
        token = f"ghs_{len(forge.given)}"
        ends = datetime.datetime.fromtimestamp(time.time() + forge.life, datetime.UTC)
        body = json.dumps({"token": token, "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode()
        if status == 201:
            forge.given.append(token)
            forge.desk.behaviour.users.clear()
            forge.desk.behaviour.users["x-access-token"] = token
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def plain(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.fixture
def forge(desk: conftest.Desk, tmp_path: pathlib.Path) -> Iterator[Forge]:
    key = rsa.generate_private_key(65537, 2048)
    form, nothing = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    (tmp_path / "app.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, nothing))
    with Forge(desk, key.public_key()) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def by_app(forge: Forge, key: pathlib.Path, app_id: str = "12345") -> source.Authentication:
    url = f"http://127.0.0.1:{forge.server_address[1]}"
    return source.Authentication(
        github_app=source.GitHubApp(app_id, "678", source.Credential(file=str(key)), url)
    )


async def test_a_github_app_gets_a_token_and_keeps_it_until_it_runs_out(
    desk: conftest.Desk, pool: opening.SourcePool, forge: Forge, tmp_path: pathlib.Path
) -> None:
    desk.repository.commit({"x": "1"})
    opened = pool.open(
        conftest.declare(desk.repository.url, authentication=by_app(forge, tmp_path / "app.pem"))
    )
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"
    assert forge.given == ["ghs_0"]
    desk.behaviour.users["x-access-token"] = "revoked"
    with pytest.raises(errors.SourceDenied):
        await opened.resolve()
    forge.life = 200  # less than is left unused
    await opened.resolve()
    await opened.resolve()
    assert forge.given == ["ghs_0", "ghs_1", "ghs_2"]


async def test_a_github_app_that_is_refused_is_said_so(
    desk: conftest.Desk, pool: opening.SourcePool, forge: Forge, tmp_path: pathlib.Path
) -> None:
    desk.repository.commit({"x": "1"})
    unknown = by_app(forge, tmp_path / "app.pem", "999")
    with pytest.raises(errors.SourceDenied, match="GitHub App 999"):
        await pool.open(conftest.declare(desk.repository.url, authentication=unknown)).resolve()
    (tmp_path / "bad.pem").write_text("no key")
    with pytest.raises(errors.CredentialMissing, match="private key"):
        await pool.open(
            conftest.declare(desk.repository.url, authentication=by_app(forge, tmp_path / "bad.pem"))
        ).resolve()
    forge.status = 503
    with pytest.raises(errors.SourceUnavailable, match="503"):
        await pool.open(
            conftest.declare(desk.repository.url, authentication=by_app(forge, tmp_path / "app.pem"))
        ).resolve()


class Proxy(http.server.ThreadingHTTPServer):
    """A forward proxy for plain HTTP that remembers what went through it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.passed: list[str] = []


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.forward()

    def do_POST(self) -> None:
        self.forward()

    def forward(self) -> None:
        self.server.passed.append(self.path)
        host, _, path = self.path.removeprefix("http://").partition("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = http.client.HTTPConnection(host, timeout=10)
        there.request(self.command, f"/{path}", body, dict(self.headers.items()))
        answer = there.getresponse()
        content = answer.read()
        there.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name in {"Content-Type", "Www-Authenticate"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


async def test_proxies_of_the_environment_are_used(
    desk: conftest.Desk, new_pool: conftest.NewPool, environment: pytest.MonkeyPatch
) -> None:
    desk.repository.commit({"x": "1"})
    with Proxy() as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        environment.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        opened = new_pool().open(conftest.declare(desk.repository.url))
        assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"
        assert [path for path in proxy.passed if path.endswith("git-upload-pack")]
        assert any("info/refs" in path for path in proxy.passed), "git goes through it too"
        environment.setenv("no_proxy", "127.0.0.1")
        proxy.passed.clear()
        other = new_pool(cache=desk.cache / "other").open(conftest.declare(desk.repository.url))
        assert (await other.fetch(await other.resolve(), ".")).files["x"].content == b"1"
        assert proxy.passed == []
        proxy.shutdown()
