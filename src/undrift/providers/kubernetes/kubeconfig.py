"""Kubeconfig files: where a cluster is, how it proves who it is, and how we say who we are.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ and client-go's
tools/clientcmd: of several files the first that names something wins; paths are relative to their file.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import words, yaml
from undrift.model import secret

_ALGORITHM: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """One kubeconfig: how people call it, its content, and the folder that its paths are relative to."""

    name: str
    content: str = dataclasses.field(repr=False)
    folder: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Material:
    """A file or its content, as PEM bytes; at most one of the two."""

    path: str = ""
    content: secret.Secret | None = None

    def __bool__(self) -> bool:
        return bool(self.path) or self.content is not None

    def read(self, what: str) -> bytes:
        """The bytes. Raises `CredentialMissing`."""
        if self.content is not None:
            value = self.content.reveal()
            return value if isinstance(value, bytes) else value.encode()
        try:
            return pathlib.Path(self.path).read_bytes()
        except OSError as error:
            raise errors.CredentialMissing(
                f"{what} cannot be read", why=f"{self.path}: {error.strerror}", hint="correct the kubeconfig"
            ) from error

    def stamp(self) -> tuple[int, int]:
        """What changes when the file is written anew; nothing of content changes."""
        try:
            status = pathlib.Path(self.path).stat() if self.path else None
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_ino) if status is not None else (0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Exec:
    """A program that gives credentials (client.authentication.k8s.io)."""

    command: str
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    api_version: str = _ALGORITHM[0]
    cluster_info: bool = False
    hint: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Oidc:
    """An OpenID Connect token that can be renewed."""

    issuer: str
    client_id: str
    client_secret: secret.Secret | None = None
    id_token: secret.Secret | None = None
    refresh_token: secret.Secret | None = None
    ca: Material = Material()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How one cluster is reached. `ca` are the authorities to trust (empty: those of this machine)."""

    server: str
    ca: Material = Material()
    server_name: str = ""
    proxy: str = ""
    certificate: Material = Material()
    key: Material = Material()
    token: secret.Secret | None = None
    token_file: str = ""
    username: str = ""
    password: secret.Secret | None = None
    exec: Exec | None = None
    oidc: Oidc | None = None
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()
    namespace: str = ""


def in_cluster(folder: pathlib.Path, environ: Mapping[str, str]) -> Connection:
    """As a Pod: the account that `folder` was mounted for. Raises `ConfigInvalid`."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise errors.ConfigInvalid(
            "the cluster that we run in cannot be found",
            why="KUBERNETES_SERVICE_HOST is not set",
            hint="set settings.kubeconfig of the Target",
        )
    address = f"[{host}]" if ":" in host else host
    return Connection(
        server=f"https://{address}:{port}",
        ca=Material(str(folder / "ca.crt")),
        token_file=str(folder / "token"),
    )


def read(texts: Sequence[Text], context: str = "") -> Connection:
    """The connection that kubeconfigs describe for `context` (default: the current one).

    Raises `ConfigInvalid`, which says what is wrong and never holds a credential.
    """
    merged = _Merged(texts)
    chosen = context or merged.current
    if not chosen:
        raise _wrong(
            texts[0].name,
            "there is no current context",
            f"set context to one of: {', '.join(merged.contexts)}",
        )
    found = merged.find("context", merged.contexts, chosen)
    cluster = merged.find("cluster", merged.clusters, str(found.data.get("cluster", "")))
    user = merged.users.get(str(found.data.get("user", "")), _Entry(found.file, None, {}))
    made = _cluster(cluster)
    return dataclasses.replace(made, namespace=str(found.data.get("namespace") or ""), **_user(user))


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """One named part of a kubeconfig, and where it stands."""

    file: str
    folder: pathlib.Path | None
    data: Mapping[str, Any] = dataclasses.field(repr=False)

    def path(self, name: str) -> str:
        """A path that is given, made absolute."""
        written = self.data.get(name)
        if not written:
            return ""
        path = pathlib.Path(str(written)).expanduser()
        if not path.is_absolute() and self.folder is not None:
            path = self.folder / path
        return str(path)

    def material(self, name: str) -> Material:
        """`name` (a path) or `name`-data (base64), the data winning. Raises `ConfigInvalid`."""
        encoded = self.data.get(f"{name}-data")
        if encoded:
            try:
                return Material(content=secret.Secret(base64.b64decode(str(encoded), validate=True)))
            except (binascii.Error, ValueError):
                raise _wrong(self.file, f"{name}-data is not base64") from None
        return Material(self.path(name))

    def secret(self, name: str) -> secret.Secret | None:
        """A value that must not be seen."""
        value = self.data.get(name)
        return secret.Secret(str(value)) if value else None


class _Merged:
    """Several files as one: of entries with one name the first counts."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self.names = ", ".join(text.name for text in texts)
        self.current = ""
        self.contexts: dict[str, _Entry] = {}
        self.clusters: dict[str, _Entry] = {}
        self.users: dict[str, _Entry] = {}
        for text in texts:
            self._take(text)

    def find(self, what: str, entries: Mapping[str, _Entry], name: str) -> _Entry:
        """One entry. Raises `ConfigInvalid`."""
        found = entries.get(name)
        if found is None:
            hint = words.suggestion(name, entries) or f"there are: {', '.join(entries) or 'none'}"
            raise _wrong(self.names, f"there is no {what} called {name!r}", hint)
        return found

    def _take(self, text: Text) -> None:
        try:
            found = yaml.documents(text.content)
        except yaml.YamlError as error:
            raise _wrong(text.name, f"line {error.line} is not YAML") from None
        data = found[0].data if found else {}
        if not isinstance(data, Mapping):
            raise _wrong(text.name, "it is not a kubeconfig")
        self.current = self.current or str(data.get("current-context") or "")
        for plural, into in (("contexts", self.contexts), ("clusters", self.clusters), ("users", self.users)):
            for one in data.get(plural) or ():
                inner = one.get(plural[:-1]) if isinstance(one, Mapping) else None
                if isinstance(inner, Mapping):
                    into.setdefault(str(one.get("name", "")), _Entry(text.name, text.folder, inner))


def _cluster(entry: _Entry) -> Connection:
    server = str(entry.data.get("server") or "")
    if not server.startswith(("https://", "http://")):
        raise _wrong(entry.file, "the cluster has no server", "write server: https://…")
    if server.startswith("http://"):
        raise _wrong(entry.file, "the server is not reached by https", "credentials are only sent encrypted")
    if entry.data.get("insecure-skip-tls-verify"):
        raise _wrong(
            entry.file,
            "insecure-skip-tls-verify cannot be used",
            "give the cluster's own certificate-authority instead: TLS is always verified",
        )
    return Connection(
        server=server.rstrip("/"),
        ca=entry.material("certificate-authority"),
        server_name=str(entry.data.get("tls-server-name") or ""),
        proxy=str(entry.data.get("proxy-url") or ""),
    )


def _user(entry: _Entry) -> dict[str, Any]:
    certificate, key = entry.material("client-certificate"), entry.material("client-key")
    if bool(certificate) != bool(key):
        raise _wrong(entry.file, "client-certificate and client-key belong together", "give both")
    return {
        "certificate": certificate,
        "key": key,
        "token": entry.secret("token"),
        "token_file": "" if entry.data.get("token") else entry.path("tokenFile"),
        "username": str(entry.data.get("username") or ""),
        "password": entry.secret("password"),
        "exec": _exec(entry, entry.data.get("exec")),
        "oidc": _oidc(entry, entry.data.get("auth-provider")),
        "impersonate": str(entry.data.get("as") or ""),
        "impersonate_groups": tuple(str(one) for one in entry.data.get("as-groups") or ()),
    }


def _exec(entry: _Entry, given: Any) -> Exec | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not given.get("command"):
        raise _wrong(entry.file, "exec has no command")
    version = str(given.get("apiVersion") or "")
    if version not in _ALGORITHM:
        raise _wrong(entry.file, f"exec.apiVersion {version!r} cannot be used", f"use {_ALGORITHM[0]}")
    command = str(given["command"])
    if "/" in command and not command.startswith("/") and entry.folder is not None:
        command = str(entry.folder / command)
    variables = {str(one.get("name")): str(one.get("value")) for one in given.get("env") or ()}
    return Exec(
        command,
        tuple(str(one) for one in given.get("args") or ()),
        variables,
        version,
        cluster_info=bool(given.get("provideClusterInfo")),
        hint=str(given.get("installHint") or ""),
    )


def _oidc(entry: _Entry, given: Any) -> Oidc | None:
    if given is None:
        return None
    name = given.get("name") if isinstance(given, Mapping) else None
    if name != "oidc":
        raise _wrong(entry.file, f"auth-provider {name!r} cannot be used", "use exec, or the provider oidc")
    inner = _Entry(entry.file, entry.folder, given.get("config") or {})
    issuer, client = str(inner.data.get("idp-issuer-url") or ""), str(inner.data.get("client-id") or "")
    if not issuer.startswith("https://") or not client:
        raise _wrong(entry.file, "auth-provider oidc needs idp-issuer-url (https) and client-id")
    return Oidc(
        issuer.rstrip("/"),
        client,
        inner.secret("client-secret"),
        inner.secret("id-token"),
        inner.secret("refresh-token"),
        inner.material("idp-certificate-authority"),
    )


def _wrong(file: str, why: str, hint: str = "") -> errors.ConfigInvalid:
    return errors.ConfigInvalid(f"the kubeconfig {file} cannot be used", why=why, hint=hint)
