"""Real name servers: BIND, Knot and PowerDNS on loopback, each on a free port, stopped by its pid."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import pathlib
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.tsigkeyring
import dns.update

from tests import peers

KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ZONE_FILE = """\
$TTL 300
@ IN SOA ns1.{zone}. root.{zone}. 1 3600 600 604800 300
@ IN NS ns1.{zone}.
ns1 IN A 127.0.0.1
"""
_BIND = """\
key "undrift" {{ algorithm hmac-sha256; secret "{key}"; }};
options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key"; recursion no; dnssec-validation no;
  notify no; allow-transfer {{ key undrift; }}; allow-new-zones yes; }};
controls {{ inet 127.0.0.1 port {control} allow {{ 127.0.0.1; }} keys {{ undrift; }}; }};
"""
_BIND_ZONE = (
    'zone "{zone}" {{ type primary; file "{zone}.zone"; update-policy {{ grant undrift zonesub ANY; }}; }};\n'
)
_RNDC = """\
key "undrift" {{ algorithm hmac-sha256; secret "{key}"; }};
options {{ default-key "undrift"; default-server 127.0.0.1; default-port {control}; }};
"""
_KNOT = """\
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
control:
    listen: "{folder}/knot.sock"
database:
    storage: "{folder}"
key:
  - id: undrift
    algorithm: hmac-sha256
    secret: {key}
acl:
  - id: ours
    key: undrift
    action: [transfer, update]
policy:
  - id: signed
    algorithm: ecdsap256sha256
zone:
"""
_KNOT_ZONE = """\
  - domain: {zone}
    storage: "{folder}"
    file: "{zone}.zone"
    acl: ours
    dnssec-signing: {signing}
    dnssec-policy: signed
"""
_POWERDNS = """\
launch=gsqlite3
gsqlite3-database={folder}/db.sqlite
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port={port}
api=yes
api-key={key}
webserver=yes
webserver-address=127.0.0.1
webserver-port={control}
socket-dir={folder}
daemon=no
guardian=no
allow-axfr-ips=127.0.0.0/8
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
"""


def free_port() -> int:
    """A port that both TCP and UDP have free now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
                return int(tcp.getsockname()[1])


@dataclasses.dataclass
class NameServer:
    """One that runs. `control` is the port of rndc, or of PowerDNS' API; `key` is what it is changed with."""

    kind: str
    folder: pathlib.Path
    port: int
    control: int
    key: str = KEY
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a Target says of it; the key is in the environment variable `DNS_KEY`."""
        if self.kind == "powerdns":
            return {
                "provider": "powerdns",
                "options": {"host": "127.0.0.1", "port": self.control},
                "secrets": {"api_key": {"env": "DNS_KEY"}},
                "nameservers": [f"127.0.0.1:{self.port}"],
            }
        return {
            "options": {
                "host": "127.0.0.1", "port": self.port, "key_name": "undrift", "key_algorithm": "hmac-sha256"
            },
            "secrets": {"key_secret": {"env": "DNS_KEY"}},
        }  # fmt: skip

    @property
    def controlled(self) -> dict[str, Any]:
        """`settings.control` for it."""
        if self.kind == "knot":
            return {
                "program": str(peers.require_peer("knotc")),
                "arguments": ["-s", str(self.folder / "knot.sock")],
                "zone": f"storage {self.folder}\nacl ours\n",
            }
        return {
            "program": str(peers.require_peer("rndc")),
            "arguments": ["-c", str(self.folder / "rndc.conf")],
            "zone": '{ type primary; file "$zone.zone"; update-policy { grant undrift zonesub ANY; }; };',
        }

    def ask(self, name: str, kind: str) -> list[str]:
        """What it answers with."""
        query = dns.message.make_query(name, kind)
        answer, _ = dns.query.udp_with_fallback(query, "127.0.0.1", 5, self.port)
        found = [rrset for rrset in answer.answer if str(rrset.name) == name and kind == rrset.rdtype.name]
        return sorted(str(rdata) for rrset in found for rdata in rrset)

    def update(self, zone: str, *steps: tuple[str, ...]) -> None:
        """By hand: ("add", name, ttl, type, value …), ("replace", …), ("delete", name, type)."""
        if self.kind == "powerdns":
            self._patch(zone, steps)
            return
        keyring = dns.tsigkeyring.from_text({"undrift": self.key})
        update = dns.update.UpdateMessage(zone, keyring=keyring, keyalgorithm="hmac-sha256")
        for what, *rest in steps:
            getattr(update, what)(*rest)
        answer = dns.query.tcp(update, "127.0.0.1", 5, self.port)
        assert answer.rcode() == 0, answer

    def _patch(self, zone: str, steps: Sequence[tuple[str, ...]]) -> None:
        sets: list[dict[str, Any]] = []
        for what, name, *rest in steps:
            fqdn = zone if name == "@" else f"{name}.{zone}"
            if what == "delete":
                sets.append({"name": fqdn, "type": rest[0], "changetype": "DELETE"})
                continue
            content = [{"content": value, "disabled": False} for value in rest[2:]]
            sets.append({"name": fqdn, "type": rest[1], "ttl": int(rest[0]), "changetype": "REPLACE", "records": content})  # fmt: skip
        self.api("PATCH", f"zones/{zone}", {"rrsets": sets})

    def api(self, method: str, path: str, data: Any = None) -> Any:
        """PowerDNS' own."""
        import requests  # noqa: PLC0415 - only for PowerDNS

        url = f"http://127.0.0.1:{self.control}/api/v1/servers/localhost/{path}"
        answer = requests.request(method, url, json=data, headers={"X-API-Key": self.key}, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def start(self) -> None:
        """Start it (again) with what is in its folder, and wait until it answers."""
        command = {
            "bind": ["named", "-c", str(self.folder / "named.conf"), "-g"],
            "knot": ["knotd", "-c", str(self.folder / "knot.conf")],
            "powerdns": ["pdns_server", f"--config-dir={self.folder}"],
        }[self.kind]
        program = peers.require_peer(command[0])
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program, *command[1:]], stdout=log, stderr=log)
        end = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
            assert time.monotonic() < end, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            dns.query.udp(dns.message.make_query("version.bind", "SOA"), "127.0.0.1", 0.3, self.port)
            if self.kind == "powerdns":
                with socket.create_connection(("127.0.0.1", self.control), 0.3):
                    pass
        except (OSError, dns.exception.DNSException):
            return False
        return True


@contextlib.contextmanager
def bind(folder: pathlib.Path, *zones: str) -> Iterator[NameServer]:
    """BIND with these zones (no dot at their ends)."""
    found = NameServer("bind", _made(folder), free_port(), free_port())
    given = {"key": KEY, "folder": folder, "port": found.port, "control": found.control}
    text = _BIND.format(**given) + "".join(_BIND_ZONE.format(zone=zone) for zone in zones)
    (folder / "named.conf").write_text(text)
    (folder / "rndc.conf").write_text(_RNDC.format(**given))
    with _running(found, zones):
        yield found


@contextlib.contextmanager
def knot(folder: pathlib.Path, *zones: str, signed: Sequence[str] = ()) -> Iterator[NameServer]:
    """Knot with these zones, some of them signed."""
    found = NameServer("knot", _made(folder), free_port(), 0)
    text = _KNOT.format(key=KEY, folder=folder, port=found.port)
    for zone in (*zones, *signed):
        text += _KNOT_ZONE.format(zone=zone, folder=folder, signing="on" if zone in signed else "off")
    (folder / "knot.conf").write_text(text)
    with _running(found, (*zones, *signed)):
        yield found


@contextlib.contextmanager
def powerdns(folder: pathlib.Path, *zones: str) -> Iterator[NameServer]:
    """PowerDNS on SQLite with these zones."""
    found = NameServer("powerdns", _made(folder), free_port(), free_port(), key=secrets.token_hex(8))
    given = {"key": found.key, "folder": folder, "port": found.port, "control": found.control}
    (folder / "pdns.conf").write_text(_POWERDNS.format(**given))
    schema = pathlib.Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
    if not schema.exists():
        peers.require_peer("pdns_server with its SQLite backend")
    import sqlite3  # noqa: PLC0415 - only here

    with contextlib.closing(sqlite3.connect(folder / "db.sqlite")) as database:
        database.executescript(schema.read_text())
    with _running(found, ()):
        for zone in zones:
            found.api("POST", "zones", _powerdns_zone(zone))
        yield found


def _powerdns_zone(zone: str) -> dict[str, Any]:
    soa = f"ns1.{zone}. root.{zone}. 1 3600 600 604800 300"
    sets = [("SOA", f"{zone}.", soa), ("NS", f"{zone}.", f"ns1.{zone}."), ("A", f"ns1.{zone}.", "127.0.0.1")]
    return {
        "name": f"{zone}.", "kind": "Native", "nameservers": [], "soa_edit_api": "INCREASE",
        "rrsets": [
            {"name": name, "type": kind, "ttl": 300, "records": [{"content": content, "disabled": False}]}
            for kind, name, content in sets
        ],
    }  # fmt: skip


def _made(folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _running(server: NameServer, zones: Sequence[str]) -> Iterator[None]:
    for zone in zones:
        (server.folder / f"{zone}.zone").write_text(ZONE_FILE.format(zone=zone))
    os.environ.setdefault("LC_ALL", "C")
    server.start()
    try:
        yield
    finally:
        server.stop()
