"""A container without an engine: an image unpacked into a root file system, and networks with a wall between them.

The agent's network has one neighbour, which is what the cluster and Git look like from there; every packet that did not
come in answer to one of its own is dropped, and counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.e2e import pods

NEIGHBOUR = "10.96.0.1"
AGENT = "10.96.0.100"
_NEW_NETWORK = 0x40000000
# `/var/run` of the image is a link to `/run`, which would lead out of it.
_ACCOUNT = pods.ACCOUNT.removeprefix("/var")
_WALL = """\
table inet wall {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    meta l4proto { tcp, udp } counter drop
  }
}
"""
_INSIDE = """\
set -e
mount --bind {root} {root}
mount --bind {state} {root}/var/lib/undrift
mount -t proc proc {root}/proc
mount --bind /dev {root}/dev
mount -t tmpfs -o mode=1777 tmp {root}/dev/shm
mount -t tmpfs -o mode=1777 tmp {root}/tmp
mount -t tmpfs run {root}/run
mkdir -p {root}{account}
cp {given}/* {root}{account}/
mount -o remount,bind,ro {root}
exec chroot {root} setpriv --reuid={uid} --regid={gid} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


class Image:
    """An OCI layout, unpacked into a folder. Format: opencontainers/image-spec, image-layout.md and config.md."""

    def __init__(self, layout: pathlib.Path, root: pathlib.Path) -> None:
        self.root = root
        root.chmod(0o755)
        index = json.loads((layout / "index.json").read_text())
        self.digest = str(index["manifests"][0]["digest"])
        manifest = json.loads(self._blob(layout, self.digest).read_text())
        self.config: dict[str, Any] = json.loads(
            self._blob(layout, manifest["config"]["digest"]).read_text()
        )["config"]
        for layer in manifest["layers"]:
            packed = self._blob(layout, layer["digest"])
            subprocess.run(
                ["tar", "--extract", "--numeric-owner", "--directory", str(root), "--file", str(packed)],
                check=True, timeout=120,
            )  # fmt: skip

    @staticmethod
    def _blob(layout: pathlib.Path, digest: str) -> pathlib.Path:
        return layout / "blobs" / digest.replace(":", "/")

    def command(
        self, state: pathlib.Path, account: pathlib.Path, arguments: Sequence[str], more: Mapping[str, str]
    ) -> list[str]:
        """How a container runtime starts it: as its user, with its environment, on a file system that it cannot change."""
        uid, gid = self.config["User"].split(":")
        state.mkdir(exist_ok=True)
        os.chown(state, int(uid), int(gid))
        inside = _INSIDE.format(
            root=self.root, state=state, account=_ACCOUNT, given=account, uid=uid, gid=gid
        )
        environment = [*self.config["Env"], *(f"{name}={value}" for name, value in more.items())]
        started = ["env", "-i", *environment, *self.config["Entrypoint"], *arguments]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside, "sh", *started]


class Walled:
    """Two networks: `inside` is the agent's, `outside` its only neighbour's. `doors` lead from there to loopback."""

    def __init__(self, doors: Mapping[int, int]) -> None:
        self._names = [f"undrift-{os.getpid()}-{side}" for side in ("in", "out")]
        self._listening: list[socket.socket] = []
        inside, outside = self._names
        for name in self._names:
            _ip("netns", "add", name)
        _ip("link", "add", "eth0", "netns", inside, "type", "veth", "peer", "name", "eth0", "netns", outside)
        for name, address in ((inside, AGENT), (outside, NEIGHBOUR)):
            _ip("-n", name, "address", "add", f"{address}/16", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
        self.run("nft", "-f", "-", given=_WALL)
        for port, to in doors.items():
            listening = _listen(outside, port)
            self._listening.append(listening)
            threading.Thread(target=_forward, args=(listening, to), daemon=True).start()

    @property
    def prefix(self) -> list[str]:
        """Put before a command, it runs inside."""
        return ["ip", "netns", "exec", self._names[0]]

    def run(self, *command: str, given: str = "") -> str:
        """Run something inside."""
        done = subprocess.run(
            [*self.prefix, *command], input=given, check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    def knock(self, port: int) -> bool:
        """Whether somebody outside gets in."""

        connect = f"import socket; socket.create_connection(({AGENT!r}, {port}), 0.3)"
        outside = ["ip", "netns", "exec", self._names[1], sys.executable, "-c", connect]
        return subprocess.run(outside, capture_output=True, timeout=30, check=False).returncode == 0

    def dropped(self) -> int:
        """How many packets were refused."""
        told = json.loads(self.run("nft", "-j", "list", "ruleset"))["nftables"]
        parts = [part for one in told for part in one.get("rule", {}).get("expr", ())]
        return sum(int(part["counter"]["packets"]) for part in parts if "counter" in part)

    def close(self) -> None:
        """Take the networks away."""
        for one in self._listening:
            one.shutdown(socket.SHUT_RDWR)
            one.close()
        for name in self._names:
            _ip("netns", "delete", name)


@contextlib.contextmanager
def walled(doors: Mapping[int, int]) -> Iterator[Walled]:
    """Networks for the time of a block."""
    made = Walled(doors)
    try:
        yield made
    finally:
        made.close()


def _listen(name: str, port: int) -> socket.socket:
    """A socket in another network: it stays in that of the thread that made it."""
    found: list[socket.socket] = []

    def there() -> None:
        with pathlib.Path("/run/netns", name).open("rb") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
        found.append(socket.create_server((NEIGHBOUR, port)))

    thread = threading.Thread(target=there)
    thread.start()
    thread.join(10)
    return found[0]


def _forward(listening: socket.socket, port: int) -> None:
    """Connect whoever comes with a port of our own loopback."""
    with contextlib.suppress(OSError):
        while True:
            comer, _ = listening.accept()
            threading.Thread(target=_serve, args=(comer, port), daemon=True).start()


def _serve(comer: socket.socket, port: int) -> None:
    with comer, socket.create_connection(("127.0.0.1", port), timeout=10) as served:
        served.settimeout(None)
        back = threading.Thread(target=_pump, args=(served, comer), daemon=True)
        back.start()
        _pump(comer, served)
        back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)
