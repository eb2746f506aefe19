"""A real registry of container images and artifacts."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import pathlib
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from tests import peers

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.cncf.flux.content.v1.tar+gzip"


class Registry:
    """A `docker-registry` on loopback, with or without a password; pushing is done by hand, byte by byte."""

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        password: str = "",
        auth: dict[str, Any] | None = None,
        tls: tuple[pathlib.Path, pathlib.Path] | None = None,
        ca: pathlib.Path | None = None,
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.folder = folder
        self.password = password
        self.auth = auth
        self.tls = tls
        self.ca = ca
        self.name = "apps/web"
        self.token = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.host},
        }
        if self.tls:
            config["http"]["tls"] = {"certificate": str(self.tls[0]), "key": str(self.tls[1])}
        if self.auth:
            config["auth"] = self.auth
        elif self.password:
            # bcrypt of "secret", as `htpasswd -B` makes it
            hashed = "$2b$05$wGcF.tfAmkhJ7YHnlvzdXOzn3ru2eIuJTf6pbZJy8VGrs7TVSoGsm"
            (self.folder / "htpasswd").write_text(f"ada:{hashed}\n")
            config["auth"] = {"htpasswd": {"realm": "here", "path": str(self.folder / "htpasswd")}}
        (self.folder / "config.yml").write_text(json.dumps(config))
        program = peers.require_peer("docker-registry")
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [program, "serve", str(self.folder / "config.yml")], stdout=log, stderr=log
        )
        log.close()
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        pytest.fail((self.folder / "log").read_text())

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()

    def ask(self, method: str, path: str, data: bytes | None = None, kind: str = "") -> Mapping[str, str]:
        url = (
            path
            if path.startswith("http")
            else f"{'https' if self.tls else 'http'}://{self.host}/v2/{self.name}/{path}"
        )
        headers = {"Content-Type": kind or "application/octet-stream"}
        if self.password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"ada:{self.password}".encode()).decode()
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(url, data, headers, method=method)
        context = ssl.create_default_context(cafile=self.ca) if self.tls else None
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return dict(answer.headers)

    def blob(self, content: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        place = self.ask("POST", "blobs/uploads/", b"")["Location"]
        self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content)
        return digest

    def push(
        self, tag: str, *layers: tuple[bytes, dict[str, Any]], annotations: dict[str, str] | None = None
    ) -> str:
        described = [
            {"digest": self.blob(one), "size": len(one), "mediaType": LAYER, **more} for one, more in layers
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": self.blob(b"{}"),
                "size": 2,
            },
            "layers": described,
            "annotations": annotations or {},
        }
        return self.ask("PUT", f"manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)[
            "Docker-Content-Digest"
        ]

    def image(self, tag: str, created: str = "", content: str = "") -> str:
        """Push an image without files (or again with other `content`); its digest."""
        about = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        config = json.dumps({**about, **({"created": created} if created else {}), "author": content or tag})
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.blob(config.encode()),
                "size": len(config),
            },
            "layers": [],
        }
        return self.manifest(tag, manifest)

    def manifest(self, tag: str, manifest: Mapping[str, Any]) -> str:
        """Push a manifest; its digest."""
        answer = self.ask(
            "PUT", f"manifests/{tag}", json.dumps(manifest).encode(), str(manifest["mediaType"])
        )
        return answer["Docker-Content-Digest"]

    @property
    def reference(self) -> str:
        """The image, without tag."""
        return f"{self.host}/{self.name}"

    @property
    def url(self) -> str:
        return f"oci://{self.host}/{self.name}"
