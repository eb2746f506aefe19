"""An authority for the time of a test, and what it vouches for."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: pathlib.Path, name: str) -> tuple[pathlib.Path, pathlib.Path]:
        """Both as files: `name.pem` and `name.key`."""
        places = folder / f"{name}.pem", folder / f"{name}.key"
        places[0].write_bytes(self.certificate)
        places[1].write_bytes(self.key)
        return places


class Authority:
    """Signs certificates of clients (a name and groups, as Kubernetes reads them) and of servers on loopback."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the authority of a test")])
        now = datetime.datetime.now(datetime.UTC)
        self._own = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(), 1, now - DAY, now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._own.public_bytes(serialization.Encoding.PEM)

    def write(self, path: pathlib.Path) -> pathlib.Path:
        """The authority's certificate as a file."""
        path.write_bytes(self.pem)
        return path

    def client(self, name: str, *groups: str, until: datetime.timedelta = DAY) -> Pair:
        """A certificate that says who somebody is; it runs out after `until`, which may be in the past."""
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        return self._pair(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), *parts]), until, ())

    def server(self, host: str = "127.0.0.1") -> Pair:
        """A server's certificate for an address."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        return self._pair(name, DAY, (x509.IPAddress(ipaddress.ip_address(host)),))

    def _pair(self, name: x509.Name, until: datetime.timedelta, hosts: tuple[x509.GeneralName, ...]) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        serial = x509.random_serial_number()
        made = x509.CertificateBuilder(self._name, name, key.public_key(), serial, now - 2 * DAY, now + until)
        if hosts:
            made = made.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return Pair(
            made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
