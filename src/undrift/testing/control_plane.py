"""A real Kubernetes control plane on loopback: etcd, API server, controller manager, scheduler and simulated nodes.

    with control_plane.ControlPlane(folder, control_plane.find()) as plane:
        ...  # plane.kubeconfig() is the path of a kubeconfig of its administrator

What `make peers` built is used; nothing is downloaded here. Each piece can be killed, stopped and started
again, as on a bad day.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import pwd
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

ROOT = pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "undrift-testbed"
_PROGRAMS = {
    "etcd": ("etcd",),
    "kubernetes": ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"),
    "kwok": ("kwok", "stages.yaml", "storage-class.yaml"),
}
_PATIENCE = 90.0
_OVERLOOKED = 10.0
"""A Pod that kwok has not moved by then never will be: it came while kwok began to watch. Another one is tried."""
_ADMIN = "admin"
_PODS = "/api/v1/namespaces/default/pods"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
_FIRST = "first"


class ControlPlaneError(Exception):
    """A piece did not start; the message ends with what it wrote last."""


@dataclasses.dataclass(frozen=True, slots=True)
class Programs:
    """Where each program is, by its name."""

    paths: Mapping[str, pathlib.Path]

    def __getitem__(self, name: str) -> str:
        return str(self.paths[name])


def find(root: pathlib.Path = ROOT) -> Programs | None:
    """The programs that were built last, or None when some are missing."""
    found: dict[str, pathlib.Path] = {}
    for folder, names in _PROGRAMS.items():
        whole = [place for place in _newest(root, folder) if all((place / name).is_file() for name in names)]
        if not whole:
            return None
        found |= {name: whole[0] / name for name in names}
    return Programs(found)


def _newest(root: pathlib.Path, folder: str) -> list[pathlib.Path]:
    """What was built of one module, the newest first; what is being built has another name."""
    places = [place for place in root.glob(f"{folder}-*") if place.suffix != ".part"]
    return sorted(places, key=lambda place: place.stat().st_mtime, reverse=True)


def find_tool(name: str, root: pathlib.Path = ROOT) -> pathlib.Path | None:
    """A tool that was built beside the control plane (`kubectl`, `helm`), or None."""
    places = [path for path in root.glob(f"*/{name}") if path.parent.suffix != ".part"]
    return max(places, key=lambda path: path.stat().st_mtime) if places else None


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Piece:
    """One program of the control plane."""

    def __init__(self, name: str, command: Sequence[str], log: pathlib.Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, its output going to its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGKILL is a crash, SIGSTOP a hang."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, *, at_once: bool = True) -> None:
        """End it and wait until it is gone."""
        if self.process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL if at_once else signal.SIGTERM)
        self.process.wait(_PATIENCE)
        self.process = None

    def failed(self) -> ControlPlaneError:
        """The error that says what it wrote last."""
        with contextlib.suppress(OSError):
            return ControlPlaneError(f"{self.name}: {self.log.read_text('utf-8', 'replace')[-2000:]}")
        return ControlPlaneError(self.name)


class ControlPlane:
    """A cluster of its own in `folder`. `users` are names beside the administrator's, each with a token."""

    def __init__(self, folder: pathlib.Path, programs: Programs, users: Sequence[str] = ()) -> None:
        self.folder = folder
        self.programs = programs
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.tokens = {name: secrets.token_hex(16) for name in (_ADMIN, *users)}
        self.pieces: dict[str, Piece] = {}
        self.options: list[str] = []
        """More options for the API server, to be set before `start`."""
        self.controller_options = ["--kube-api-qps=1000", "--kube-api-burst=2000"]
        """Options for controller manager and scheduler: tests do not wait for their usual 20 requests a second."""

    @property
    def certificate(self) -> pathlib.Path:
        """The certificate of the API server, which signs itself."""
        return self.folder / "certs" / "apiserver.crt"

    @property
    def api_server(self) -> Piece:
        """The API server alone."""
        return self.pieces["kube-apiserver"]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, controllers: bool = True) -> None:
        """Start everything and wait until it answers. Without `controllers` nothing happens by itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._keys()
        self._start("etcd", self._etcd())
        self._start("kube-apiserver", self._api_server())
        self.wait_ready()
        if controllers:
            self._start("kube-controller-manager", self._controller_manager())
            self._start("kube-scheduler", self._controller("kube-scheduler"))
            self._start("kwok", self._kwok())
            self._furnish()

    def stop(self) -> None:
        """End everything, the last one first."""
        for piece in reversed(list(self.pieces.values())):
            piece.stop()

    def kubeconfig(self, user: str = _ADMIN) -> pathlib.Path:
        """A kubeconfig of one of the users."""
        path = self.folder / f"{user}.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority": str(self.certificate)},
                }
            ],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
        }
        path.write_text(json.dumps(document))
        path.chmod(0o600)
        return path

    def kubectl(self, *arguments: str, given: str = "", user: str = _ADMIN) -> str:
        """Run the real kubectl and return what it printed."""
        done = subprocess.run(
            [self.programs["kubectl"], f"--kubeconfig={self.kubeconfig(user)}", *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
            env={"HOME": str(self.folder), "PATH": os.defpath},
        )
        if done.returncode:
            raise ControlPlaneError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """One request as the administrator; returns the answer's data. Raises `urllib.error.HTTPError`."""
        made = urllib.request.Request(  # noqa: S310 - our own address
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.tokens[_ADMIN]}", "Content-Type": content},
            method=method,
        )
        trust = ssl.create_default_context(cafile=str(self.certificate))
        with urllib.request.urlopen(made, timeout=30, context=trust) as answer:  # noqa: S310 - see above
            text = answer.read()
            return json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def get(self, path: str) -> Any:
        """What is at a path, or None when nothing is."""
        try:
            return self.request("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:  # noqa: PLR2004 - not found
                return None
            raise

    def wait_ready(self) -> None:
        """Until the API server says that it is ready."""
        self._wait(self.api_server, lambda: self.request("GET", "/readyz") == "ok")

    def _wait(self, piece: Piece, done: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if piece.process is None or piece.process.poll() is not None:
                raise piece.failed()
            with contextlib.suppress(OSError, urllib.error.URLError):
                if done():
                    return
            time.sleep(0.1)
        raise piece.failed()

    def _start(self, name: str, command: Sequence[str]) -> None:
        if name not in self.pieces:
            self.pieces[name] = Piece(name, [self.programs[name], *command], self.folder / f"{name}.log")
        self.pieces[name].start()

    def _keys(self) -> None:
        private, public = self.folder / "sa.key", self.folder / "sa.pub"
        if not private.exists():
            for command in (
                ["openssl", "genrsa", "-out", str(private), "2048"],
                ["openssl", "rsa", "-in", str(private), "-pubout", "-out", str(public)],
            ):
                subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)
        lines = [
            f'{token},{name},{name},"{"system:masters" if name == _ADMIN else "users"}"'
            for name, token in self.tokens.items()
        ]
        (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")

    def _etcd(self) -> list[str]:
        self.etcd = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        return [
            f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={self.etcd}", f"--advertise-client-urls={self.etcd}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]  # fmt: skip

    def _api_server(self) -> list[str]:
        return [
            f"--etcd-servers={self.etcd}", f"--secure-port={self.port}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", f"--cert-dir={self.folder / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder / 'tokens.csv'}", "--endpoint-reconciler-type=none",
            "--allow-privileged", *self.options,
        ]  # fmt: skip

    def _controller(self, name: str) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig()}", "--leader-elect=false", f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1", f"--cert-dir={self.folder / name}",
            *self.controller_options,
        ]  # fmt: skip

    def _controller_manager(self) -> list[str]:
        return [
            *self._controller("kube-controller-manager"),
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            f"--root-ca-file={self.certificate}",
        ]

    def _kwok(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig()}", "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--node-lease-duration-seconds=40", f"--server-address=127.0.0.1:{free_port()}",
            f"--config={self.programs['stages.yaml']}",
        ]  # fmt: skip

    def _furnish(self) -> None:
        """A node that simulated Pods run on."""
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "node-1", "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"capacity": {"cpu": "64", "memory": "256Gi", "pods": "10000"}},
        }
        with contextlib.suppress(urllib.error.HTTPError):
            self.request("POST", "/api/v1/nodes", node)
        self.wait_working()

    def wait_working(self) -> None:
        """Until every piece does its part, as after an outage: controllers come back later than the API server."""
        self._wait(self.pieces["kwok"], self._rolls_out)
        self.request("DELETE", f"{_DEPLOYMENTS}/{_FIRST}", {"propagationPolicy": "Background"})

    def _rolls_out(self) -> bool:
        """Whether a Deployment gets a Pod, and that its account, its node and its status."""
        found = self.get(f"{_DEPLOYMENTS}/{_FIRST}")
        labels = {"app": f"undrift-{_FIRST}"}
        if found is None:
            template = {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            }
            spec = {"selector": {"matchLabels": labels}, "template": template}
            self.request("POST", _DEPLOYMENTS, {"metadata": {"name": _FIRST}, "spec": spec})
            return False
        if found["status"].get("availableReplicas"):
            return True
        for pod in self.request("GET", f"{_PODS}?labelSelector=app%3D{labels['app']}")["items"]:
            if _age(pod) > _OVERLOOKED:
                self.request("DELETE", f"{_PODS}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
        return False


def _age(found: Mapping[str, Any]) -> float:
    """Seconds since something was made, by its creation time."""
    made = datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    return (datetime.datetime.now(datetime.UTC) - made).total_seconds()
