"""Images in a real registry: its certificate, its pages, and its patience."""

from __future__ import annotations

import http.server
import json
import pathlib
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from tests import certificates, registries
from undrift import errors
from undrift.sources.oci import images


@pytest.fixture
def registry(tmp_path: pathlib.Path) -> Iterator[registries.Registry]:
    made = registries.Registry(tmp_path / "registry")
    made.name = "team/cache"
    made.start()
    yield made
    made.stop()


async def test_a_certificate_of_ones_own_authority(tmp_path: pathlib.Path) -> None:
    authority = certificates.Authority()
    files = authority.server().write(tmp_path, "server")
    ca = authority.write(tmp_path / "ca.pem")
    registry = registries.Registry(tmp_path / "registry", tls=files, ca=ca)
    registry.start()
    try:
        registry.image("1.0")
        for environ, trusted in (({}, False), ({"UNDRIFT_REGISTRY_CA": ca.read_text()}, True), ({"UNDRIFT_REGISTRY_CA_FILE": str(ca)}, True)):  # fmt: skip
            asked = images.Images(environ)
            try:
                if trusted:
                    assert await asked.tags(registry.reference) == ["1.0"]
                else:
                    with pytest.raises(errors.SourceError):
                        await asked.tags(registry.reference)
            finally:
                await asked.close()
    finally:
        registry.stop()


class Busy(http.server.ThreadingHTTPServer):
    """In front of a registry: the first requests are one too many; tags come in pages."""

    daemon_threads = True

    def __init__(self, behind: str, refusals: int, after: str) -> None:
        super().__init__(("127.0.0.1", 0), BusyHandler)
        self.behind = behind
        self.refusals = refusals
        self.after = after


class BusyHandler(http.server.BaseHTTPRequestHandler):
    server: Busy

    def do_GET(self) -> None:
        if self.server.refusals > 0:
            self.server.refusals -= 1
            self.send_response(429)
            self.send_header("Retry-After", self.server.after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with urllib.request.urlopen(f"http://{self.server.behind}{self.path}", timeout=10) as answer:
            body = answer.read()
        more = b""
        if "tags/list" in self.path:
            names = sorted(json.loads(body)["tags"])
            last = self.path.partition("last=")[2]
            page = [name for name in names if name > last][:2]
            body = json.dumps({"tags": page}).encode()
            more = page[-1].encode() if page and page[-1] != names[-1] else b""
        self.send_response(200)
        if more:
            path = self.path.partition("?")[0]
            self.send_header("Link", f'<{path}?n=2&last={more.decode()}>; rel="next"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def busy(registry: registries.Registry) -> Iterator[Busy]:
    with Busy(registry.host, 2, "0") as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


async def test_a_busy_registry_is_waited_for_and_all_pages_are_read(
    busy: Busy, registry: registries.Registry
) -> None:
    for number in range(5):
        registry.image(f"1.{number}")
    asked = images.Images({}, patience=5)
    try:
        image = f"127.0.0.1:{busy.server_address[1]}/team/cache"
        assert await asked.tags(image) == [f"1.{number}" for number in range(5)]
        assert busy.refusals == 0

        busy.refusals, busy.after = 1, "3600"
        with pytest.raises(errors.SourceUnavailable) as caught:
            await asked.tags(image)
        assert "429" in caught.value.why
    finally:
        await asked.close()
