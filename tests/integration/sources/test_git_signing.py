"""Only what the right people signed is taken; everything else is refused and said why."""

import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests import peers
from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import opening
from undrift.testing import git_server


@pytest.fixture
def short() -> Iterator[pathlib.Path]:
    """A folder with a short path: gpg-agent has a socket in it."""
    with tempfile.TemporaryDirectory(prefix="k", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield pathlib.Path(name)


@pytest.fixture(params=["ssh", "openpgp"])
def signer(request: pytest.FixtureRequest, short: pathlib.Path) -> git_server.Signer:
    return make(request.param, short / "ada")


def make(kind: str, home: pathlib.Path, who: str = "Ada") -> git_server.Signer:
    if kind == "ssh":
        peers.require_peer("ssh-keygen")
        return git_server.make_ssh_signer(home, f"{who.lower()}@example.com")
    peers.require_peer("gpg")
    return git_server.make_openpgp_signer(home, f"{who} <{who.lower()}@example.com>")


def trust(*signers: git_server.Signer, what: str = "commit") -> source.Verification:
    keys = tuple(one.public for one in signers if one.format == "openpgp")
    return source.Verification(what, keys, "".join(one.public for one in signers if one.format == "ssh"))


async def test_a_signed_commit_is_taken_and_its_signer_named(
    desk: conftest.Desk, pool: opening.SourcePool, signer: git_server.Signer
) -> None:
    desk.repository.commit({"x": "1"}, sign=signer)
    opened = pool.open(conftest.declare(desk.repository.url, verification=trust(signer)))
    revision = await opened.resolve()
    assert "ada@example.com" in revision.signer
    assert f"({signer.format} " in revision.signer
    assert (await opened.fetch(revision, ".")).files["x"].content == b"1"


async def test_an_unsigned_commit_is_refused_and_the_next_signed_one_taken(
    desk: conftest.Desk, pool: opening.SourcePool, signer: git_server.Signer
) -> None:
    desk.repository.commit({"x": "1"}, sign=signer)
    opened = pool.open(conftest.declare(desk.repository.url, verification=trust(signer)))
    await opened.resolve()
    commit = desk.repository.commit({"x": "2"}, "Sneak in", "Mallory <mallory@example.com>")
    for _ in range(2):
        with pytest.raises(errors.SignatureRefused, match="has no signature") as caught:
            await opened.resolve()
        assert commit[:12] in str(caught.value)
        assert caught.value.author == "Mallory <mallory@example.com>"
    desk.repository.commit({"x": "3"}, sign=signer)
    assert (await opened.resolve()).signer


async def test_a_stranger_is_refused(
    desk: conftest.Desk, pool: opening.SourcePool, signer: git_server.Signer, short: pathlib.Path
) -> None:
    stranger = make(signer.format, short / "mallory", "Mallory")
    desk.repository.commit({"x": "1"}, sign=stranger)
    opened = pool.open(conftest.declare(desk.repository.url, verification=trust(signer)))
    with pytest.raises(errors.SignatureRefused, match="does not name"):
        await opened.resolve()
    both = pool.open(conftest.declare(desk.repository.url, name="both", verification=trust(signer, stranger)))
    assert "mallory@example.com" in (await both.resolve()).signer


async def test_a_commit_that_was_changed_after_signing_is_refused(
    desk: conftest.Desk, pool: opening.SourcePool, signer: git_server.Signer
) -> None:
    desk.repository.commit({"x": "1"}, "Say something", sign=signer)
    raw = desk.repository.git("cat-file", "commit", "main") + "\n"
    forged = desk.repository.git(
        "hash-object",
        "-w",
        "-t",
        "commit",
        "--stdin",
        given=raw.replace("Say something", "Say another").encode(),
    )
    desk.repository.git("update-ref", "refs/heads/main", forged)
    opened = pool.open(conftest.declare(desk.repository.url, verification=trust(signer)))
    with pytest.raises(errors.SignatureRefused):
        await opened.resolve()


@pytest.mark.parametrize("what", ["tag", "either", "commit"])
async def test_a_signed_tag(
    desk: conftest.Desk, pool: opening.SourcePool, signer: git_server.Signer, what: str
) -> None:
    """The tag counts where tags do; a signature of the tag says nothing of commits where those are asked for."""
    desk.repository.commit({"x": "1"})
    desk.repository.tag("v1.0.0", sign=signer)
    reference = source.GitReference(semver="1.x")
    opened = pool.open(
        conftest.declare(desk.repository.url, reference=reference, verification=trust(signer, what=what))
    )
    if what == "commit":
        with pytest.raises(errors.SignatureRefused, match="the commit has no signature"):
            await opened.resolve()
    else:
        assert "ada@example.com" in (await opened.resolve()).signer


@pytest.mark.parametrize("message", ["", "Annotated"])
async def test_a_tag_without_signature_is_refused(
    desk: conftest.Desk, pool: opening.SourcePool, signer: git_server.Signer, message: str
) -> None:
    desk.repository.commit({"x": "1"}, sign=signer)
    desk.repository.tag("v1.0.0", message=message)
    reference = source.GitReference(tag="v1.0.0")
    tags = pool.open(
        conftest.declare(desk.repository.url, reference=reference, verification=trust(signer, what="tag"))
    )
    with pytest.raises(errors.SignatureRefused):
        await tags.resolve()
    either = pool.open(
        conftest.declare(desk.repository.url, reference=reference, verification=trust(signer, what="either"))
    )
    assert (await either.resolve()).signer


async def test_a_revoked_or_expired_key_is_refused(
    desk: conftest.Desk, pool: opening.SourcePool, short: pathlib.Path
) -> None:
    signer = make("openpgp", short / "ada")
    desk.repository.commit({"x": "1"}, sign=signer)
    gpg = [
        "gpg",
        "--homedir",
        str(signer.home),
        "--batch",
        "--yes",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]
    certificate = (
        (signer.home / "openpgp-revocs.d" / f"{signer.key}.rev").read_text().replace(":-----", "-----")
    )
    git_server.run([*gpg, "--import"], certificate.encode())
    revoked = git_server.run([*gpg, "--armor", "--export", signer.key]).decode()
    verification = source.Verification("commit", (revoked,))
    opened = pool.open(conftest.declare(desk.repository.url, verification=verification))
    with pytest.raises(errors.SignatureRefused, match="revoked"):
        await opened.resolve()


async def test_a_key_that_is_none_is_said_so(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    peers.require_peer("gpg")
    desk.repository.commit({"x": "1"})
    bad = source.Verification("commit", ("this is no key",))
    with pytest.raises(errors.SignatureRefused, match="cannot be read"):
        await pool.open(conftest.declare(desk.repository.url, verification=bad)).resolve()


async def test_the_machines_own_keys_and_settings_count_for_nothing(
    desk: conftest.Desk,
    pool: opening.SourcePool,
    short: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whom the agent's user trusts is not whom the source trusts."""
    signer, other = make("openpgp", short / "ada"), make("openpgp", short / "grace", "Grace")
    desk.repository.commit({"x": "1"}, sign=signer)
    monkeypatch.setenv("GNUPGHOME", str(signer.home))
    opened = pool.open(conftest.declare(desk.repository.url, verification=trust(other)))
    with pytest.raises(errors.SignatureRefused, match="does not name"):
        await opened.resolve()


async def test_a_verdict_is_not_asked_for_twice(
    desk: conftest.Desk, pool: opening.SourcePool, short: pathlib.Path
) -> None:
    signer = make("ssh", short / "ada")
    desk.repository.commit({"x": "1"}, sign=signer)
    opened = pool.open(conftest.declare(desk.repository.url, verification=trust(signer)))
    first = await opened.resolve()
    shutil.rmtree(desk.cache)
    assert await opened.resolve() is first


def test_nothing_of_gpg_is_left_running(short: pathlib.Path) -> None:
    make("openpgp", short / "ada")
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(short) not in listing
