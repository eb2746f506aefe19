"""A real PostgreSQL for the time of the tests: own data folder, loopback, a free port, stopped by its pid."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

from tests import peers


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


def _someone() -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as nobody."""
    if os.getuid() != 0:
        return []
    return [str(peers.require_peer("setpriv")), "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a running server without its database name."""
    initdb, postgres = peers.require_peer("initdb"), peers.require_peer("postgres")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="undrift-pg-", dir="/tmp"))
    as_user = _someone()
    if as_user:
        owner = pwd.getpwnam("nobody")
        os.chown(folder, owner.pw_uid, -1)
    data = folder / "data"
    subprocess.run(
        [*as_user, str(initdb), "-D", str(data), "-U", "undrift", "-A", "trust", "-N", "--locale=C"],
        check=True,
        capture_output=True,
        timeout=60,
        cwd=folder,
    )
    port = _free_port()
    process = subprocess.Popen(
        [
            *as_user,
            str(postgres),
            "-D",
            str(data),
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            str(folder),
            "-F",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        _wait(port)
        yield f"postgresql://undrift@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int) -> None:
    psql = peers.require_peer("psql")
    end = time.monotonic() + 20
    asked = [
        str(psql),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "undrift",
        "-d",
        "postgres",
        "-c",
        "select 1",
    ]
    while subprocess.run(asked, check=False, capture_output=True, timeout=10).returncode:
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)


def create(url: str, name: str) -> str:
    """A new database on the server, and its URL."""
    psql = peers.require_peer("psql")
    subprocess.run(
        [str(psql), f"{url}/postgres", "-c", f"create database {name}"],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return f"{url}/{name}"
