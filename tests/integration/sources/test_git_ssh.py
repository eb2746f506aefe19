"""Repositories over SSH, from a real sshd: host keys are verified, keys are ours alone."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from tests import peers
from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import opening
from undrift.testing import git_server


class Sshd:
    """A real sshd on loopback that lets one key in."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir()
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("host", "other", "user", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
            )
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        shutil.copy(folder / "user", folder / "right")
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nPermitRootLogin yes\n"
            "KbdInteractiveAuthentication no\nLogLevel VERBOSE\nMaxStartups 100\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if os.getuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = (self.folder / "log").open("wb")
        command = [str(peers.require_peer("sshd")), "-D", "-e", "-f", str(self.folder / "config")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        log.close()
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail((self.folder / "log").read_text())

    def stop(self) -> None:
        """As a host that is switched off: connections end too."""
        if self.process:
            everybody = (
                psutil.Process(self.process.pid).children(recursive=True)
                if self.process.poll() is None
                else []
            )
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            for one in everybody:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()

    def known(self, key: str = "host") -> source.Credential:
        path = self.folder / f"known_hosts_{key}"
        public = " ".join((self.folder / f"{key}.pub").read_text().split()[:2])
        path.write_text(f"[127.0.0.1]:{self.port} {public}\n")
        return source.Credential(file=str(path))

    def put(self, name: str, content: str) -> None:
        """Give a file the content of another."""
        shutil.copy(self.folder / content, self.folder / name)

    def authentication(self, key: str = "user", host: str = "host") -> source.Authentication:
        found = source.Credential(file=str(self.folder / key))
        return source.Authentication(ssh_key=found, known_hosts=self.known(host))


@pytest.fixture
def sshd(tmp_path: pathlib.Path) -> Iterator[Sshd]:
    peers.require_peer("ssh")
    server = Sshd(tmp_path / "sshd")
    server.start()
    yield server
    server.stop()


def ssh_url(sshd: Sshd, repository: git_server.GitRepository) -> str:
    return f"ssh://127.0.0.1:{sshd.port}{repository.path}"


async def test_a_repository_over_ssh(desk: conftest.Desk, pool: opening.SourcePool, sshd: Sshd) -> None:
    desk.repository.commit({"x": "1"})
    desk.repository.tag("v1.0.0", message="One")
    url = ssh_url(sshd, desk.repository)
    for reference in (source.GitReference(branch="main"), source.GitReference(semver="^1")):
        opened = pool.open(conftest.declare(url, reference=reference, authentication=sshd.authentication()))
        assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"
    desk.repository.commit({"x": "2"})
    main = pool.open(conftest.declare(url, authentication=sshd.authentication()))
    assert (await main.fetch(await main.resolve(), ".")).files["x"].content == b"2"


async def test_a_wrong_or_unknown_host_key_is_refused(
    desk: conftest.Desk, pool: opening.SourcePool, sshd: Sshd
) -> None:
    desk.repository.commit({"x": "1"})
    url = ssh_url(sshd, desk.repository)
    opened = pool.open(conftest.declare(url, authentication=sshd.authentication(host="other")))
    with pytest.raises(errors.HostKeyRefused):
        await opened.resolve()
    nobody = source.Authentication(ssh_key=source.Credential(file=str(sshd.folder / "user")))
    with pytest.raises(errors.HostKeyRefused):
        await pool.open(conftest.declare(url, authentication=nobody)).resolve()


async def test_a_key_that_nobody_let_in_or_that_is_none(
    desk: conftest.Desk, pool: opening.SourcePool, sshd: Sshd, tmp_path: pathlib.Path
) -> None:
    desk.repository.commit({"x": "1"})
    url = ssh_url(sshd, desk.repository)
    sshd.put("garbage", "authorized_keys")
    for key in ("stranger", "garbage"):
        opened = pool.open(conftest.declare(url, authentication=sshd.authentication(key)))
        with pytest.raises(errors.SourceDenied):
            await opened.resolve()


async def test_an_ssh_server_that_is_away_or_has_no_such_repository(
    desk: conftest.Desk, pool: opening.SourcePool, sshd: Sshd
) -> None:
    desk.repository.commit({"x": "1"})
    absent = f"ssh://127.0.0.1:{sshd.port}/no/such/repository.git"
    with pytest.raises(errors.SourceError) as caught:
        await pool.open(conftest.declare(absent, authentication=sshd.authentication())).resolve()
    assert "does not appear to be a git repository" in str(caught.value)
    opened = pool.open(conftest.declare(ssh_url(sshd, desk.repository), authentication=sshd.authentication()))
    revision = await opened.resolve()
    sshd.stop()
    with pytest.raises(errors.SourceUnavailable):
        await opened.resolve()
    sshd.start()
    assert await opened.resolve() == revision


def connections(sshd: Sshd) -> int:
    return (sshd.folder / "log").read_text().count("Accepted publickey")


async def test_polls_share_a_connection_that_is_gone_when_we_are(
    desk: conftest.Desk, new_pool: conftest.NewPool, sshd: Sshd
) -> None:
    desk.repository.commit({"x": "1"})
    pool = new_pool()
    opened = pool.open(conftest.declare(ssh_url(sshd, desk.repository), authentication=sshd.authentication()))
    await opened.fetch(await opened.resolve(), ".")
    for _ in range(5):
        await opened.resolve()
    assert connections(sshd) == 1
    masters = [one for one in psutil.process_iter(["cmdline"]) if f"{sshd.port}" in str(one.info["cmdline"])]
    await pool.close()
    psutil.wait_procs(masters, timeout=5)
    assert not [one for one in masters if one.is_running() and one.name() == "ssh"]


async def test_another_key_is_another_connection(
    desk: conftest.Desk, pool: opening.SourcePool, sshd: Sshd
) -> None:
    """A connection that is kept does not let in a key that is none, nor past a host key that changed."""
    desk.repository.commit({"x": "1"})
    found = sshd.authentication()
    opened = pool.open(conftest.declare(ssh_url(sshd, desk.repository), authentication=found))
    await opened.resolve()
    sshd.put("user", "stranger")
    with pytest.raises(errors.SourceDenied):
        await opened.resolve()
    sshd.put("user", "right")
    await opened.resolve()
    sshd.known("other")
    sshd.put("known_hosts_host", "known_hosts_other")
    with pytest.raises(errors.HostKeyRefused):
        await opened.resolve()
