"""Addresses of repositories and artifacts, of submodules and proxies; where credentials are found."""

import pathlib

import pytest

from undrift import errors
from undrift.lib import proxies
from undrift.model import source
from undrift.sources import connecting, credentials
from undrift.sources.git import addresses, submodules
from undrift.sources.oci import registry


@pytest.mark.parametrize(
    "url, scheme, host, path",
    [
        ("https://example.com/a/b.git", "https", "example.com", "/a/b.git"),
        ("https://example.com:8443/a", "https", "example.com:8443", "/a"),
        ("ssh://git@example.com:2222/a.git", "ssh", "example.com:2222", "/a.git"),
        ("git@example.com:a/b.git", "ssh", "example.com", "a/b.git"),
        ("file:///srv/a%20b.git", "file", "", "/srv/a b.git"),
        ("/srv/../srv/a", "file", "", "/srv/a"),
        ("http://127.0.0.1:1/a", "http", "127.0.0.1:1", "/a"),
    ],
)
def test_addresses_of_repositories(url: str, scheme: str, host: str, path: str) -> None:
    assert addresses.parse_url(url) == addresses.Address(url, scheme, host, path)


@pytest.mark.parametrize(
    "url, said",
    [
        ("http://example.com/a", "not encrypted"),
        ("https://ada:pw@example.com/a", "holds a credential"),
        ("https://ada@example.com/a", "holds a credential"),
        ("ssh://ada:pw@example.com/a", "holds a credential"),
        ("https://example.com", "not the address"),
        ("ext::sh -c evil", "not the address"),
        ("--upload-pack=evil", "not the address"),
        ("relative/path", "not the address"),
        ("file://elsewhere/a", "not the address"),
    ],
)
def test_addresses_that_are_refused(url: str, said: str) -> None:
    with pytest.raises(errors.ConfigInvalid, match=said) as caught:
        addresses.parse_url(url)
    assert "pw" not in f"{caught.value} {vars(caught.value)}"


def test_plain_http_is_taken_where_asked_for() -> None:
    assert addresses.parse_url("http://example.com/a", insecure=True).scheme == "http"


@pytest.mark.parametrize(
    "parent, url, absolute",
    [
        ("https://example.com/a/b.git", "../c.git", "https://example.com/a/c.git"),
        ("https://example.com/a/b.git", "./c.git", "https://example.com/a/b.git/c.git"),
        ("git@example.com:a/b.git", "../c.git", "git@example.com:a/c.git"),
        ("ssh://git@example.com/a/b.git", "../../c.git", "ssh://git@example.com/c.git"),
        ("/srv/a.git", "../b.git", "/srv/b.git"),
        ("/srv/a.git", "https://example.com/x.git", "https://example.com/x.git"),
    ],
)
def test_addresses_of_submodules(parent: str, url: str, absolute: str) -> None:
    assert submodules.absolute(addresses.parse_url(parent), url) == absolute


def test_a_submodule_signs_in_on_the_same_server_only() -> None:
    signed = source.Authentication(token=source.Credential(env="T"), ca=source.Credential(env="C"))
    parent = source.Source("a", source.SourceKind.GIT, "https://example.com/a", authentication=signed)
    assert submodules.declare(parent, "https://example.com/b").authentication == signed
    for url in ("https://example.org/b", "https://example.com:444/b", "ssh://example.com/b"):
        assert submodules.declare(parent, url).authentication == source.Authentication()
    for url in ("/etc", "file:///etc", "http://example.com/b", "ext::evil"):
        with pytest.raises(errors.ArtifactRefused):
            submodules.declare(parent, url)


def test_addresses_of_artifacts() -> None:
    assert registry.parse_url("oci://ghcr.io/a/b-c", insecure=False) == registry.Address(
        "oci://ghcr.io/a/b-c", "ghcr.io", "a/b-c", "https"
    )
    assert registry.parse_url("oci://127.0.0.1:5000/a", insecure=True).scheme == "http"
    assert registry.parse_url("oci://127.0.0.1:5000/a", insecure=False).scheme == "https"
    for url in (
        "oci://h",
        "oci://h/",
        "oci://h/A",
        "oci://h/a:tag",
        "oci://u:p@h/a",
        "https://h/a",
        "oci://h/a@sha256:1",
    ):
        with pytest.raises(errors.ConfigInvalid):
            registry.parse_url(url, insecure=False)


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "internal.example,10.0.0.1")
    assert proxies.proxy_for("https://example.com/a") == "http://proxy:3128"
    assert proxies.proxy_for("http://example.com/a") is None
    assert proxies.proxy_for("https://git.internal.example/a") is None
    assert proxies.proxy_for("https://10.0.0.1/a") is None


def test_an_authority_that_is_no_certificate() -> None:
    assert connecting.context_for("", insecure=False) is None
    with pytest.raises(errors.CredentialMissing, match="authority"):
        connecting.context_for("not a certificate", insecure=False)


async def test_credentials_are_read_anew_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    secrets = credentials.EnvironmentSecrets()
    place = tmp_path / "token"
    for value in ("first", "second"):
        monkeypatch.setenv("TOKEN", value)
        place.write_text(f"{value}\n")
        assert await secrets.resolve(source.Credential(env="TOKEN")) == value
        assert await secrets.resolve(source.Credential(file=str(place))) == value


@pytest.mark.parametrize(
    "content, why", [(b"", "empty"), (b" \n", "empty"), (b"\xff", "not text"), (b"x" * 2**21, "larger")]
)
async def test_a_file_that_holds_no_credential(tmp_path: pathlib.Path, content: bytes, why: str) -> None:
    place = tmp_path / "token"
    place.write_bytes(content)
    with pytest.raises(errors.CredentialMissing, match=why):
        await credentials.EnvironmentSecrets().resolve(source.Credential(file=str(place)))


async def test_a_variable_that_holds_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    for name, why in (("EMPTY", "it is empty"), ("UNSET_VARIABLE", "it is not set")):
        with pytest.raises(errors.CredentialMissing, match=f"{name}.*{why}"):
            await credentials.EnvironmentSecrets().resolve(source.Credential(env=name))
