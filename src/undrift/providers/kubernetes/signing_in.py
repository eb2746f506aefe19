"""Saying who we are: tokens that are read again, programs that give credentials, tokens that are renewed.

Exec plug-ins: https://kubernetes.io/docs/reference/config-api/client-authentication.v1/ . OpenID Connect:
discovery and the refresh grant (OpenID Connect Core 1.0, section 12).
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import datetime
import json
import os
import pathlib
import ssl
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from undrift import errors
from undrift.lib import process
from undrift.model import secret
from undrift.providers.kubernetes import kubeconfig

_EARLY: Final = 60.0
_REREAD: Final = 30.0
_LOOKS: Final = 5.0
_EXEC_TIMEOUT: Final = 60.0
_OIDC_TIMEOUT: Final = 20.0


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """What a request is signed with; `until` is the wall-clock time from which it is asked for anew."""

    token: secret.Secret | None = None
    certificate: secret.Secret | None = None
    key: secret.Secret | None = None
    until: float = float("inf")


class Identity:
    """Who we are on one cluster. Lives on one event loop; several requests may ask at once."""

    def __init__(self, connection: kubeconfig.Connection) -> None:
        self._connection = connection
        self._credential: Credential | None = None
        self._asking = asyncio.Lock()
        self._trust: ssl.SSLContext | None = None
        self._trusted: object = None
        self._trusted_by: Credential | None = None
        self._looked = 0.0
        self._refresh_token = connection.oidc.refresh_token if connection.oidc else None
        self._fixed = self._of_impersonation()

    async def headers(self) -> dict[str, str]:
        """The headers of a request. Raises `TargetDenied` when no credential is to be had."""
        found = await self._present()
        if found.token is not None:
            return {**self._fixed, "Authorization": f"Bearer {_text(found.token)}"}
        given = self._connection
        if given.username and given.password is not None:
            pair = base64.b64encode(f"{given.username}:{_text(given.password)}".encode()).decode()
            return {**self._fixed, "Authorization": f"Basic {pair}"}
        return dict(self._fixed)

    def trust(self) -> ssl.SSLContext:
        """Whom we believe, and our certificate where we have one; read again when a file was replaced."""
        now = time.monotonic()
        if self._trust is None or now - self._looked > _LOOKS or self._trusted_by is not self._credential:
            self._looked, self._trusted_by = now, self._credential
            return self._renewed()
        return self._trust

    def _renewed(self) -> ssl.SSLContext:
        given, found = self._connection, self._credential or Credential()
        marks = (given.ca.stamp(), given.certificate.stamp(), given.key.stamp(), found.certificate)
        if self._trust is None or marks != self._trusted:
            self._trust, self._trusted = self._context(found), marks
        return self._trust

    def forget(self) -> None:
        """The API server did not accept us: ask anew."""
        self._credential = None
        self._looked = 0.0

    def _of_impersonation(self) -> dict[str, str]:
        return {"Impersonate-User": self._connection.impersonate} if self._connection.impersonate else {}

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that are impersonated: one header each."""
        return self._connection.impersonate_groups if self._connection.impersonate else ()

    async def _present(self) -> Credential:
        known = self._credential
        if known is not None and time.time() < known.until:
            return known
        async with self._asking:
            known = self._credential
            if known is None or time.time() >= known.until:
                self._credential = await self._ask()
            return self._credential or Credential()

    async def _ask(self) -> Credential:
        given = self._connection
        if given.exec is not None:
            return await self._run(given.exec)
        if given.oidc is not None:
            return await self._renew(given.oidc)
        if given.token_file:
            return Credential(_read_token(given.token_file), until=time.time() + _REREAD)
        return Credential(given.token)

    async def _run(self, plugin: kubeconfig.Exec) -> Credential:
        """Ask a program for a credential."""
        info: dict[str, Any] = {"apiVersion": plugin.api_version, "kind": "ExecCredential"}
        info["spec"] = {"interactive": False, **self._cluster_info(plugin)}
        environment = {**os.environ, **plugin.variables, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        what = f"the program {plugin.command} gives no credential"
        try:
            done = await process.run(
                [plugin.command, *plugin.arguments],
                env=environment,
                limits=process.Limits(timeout=_EXEC_TIMEOUT, output=1 << 20),
            )
        except process.ProgramMissing as error:
            raise errors.TargetDenied(
                what, why="it is not installed", hint=plugin.hint or "install it for the agent"
            ) from error
        except process.ProcessError as error:
            raise errors.TargetDenied(what, why=error.problem) from error
        if done.returncode:
            raise errors.TargetDenied(what, why=f"it ended with {done.returncode}", hint="run it by hand")
        return _exec_credential(done.stdout, plugin, what)

    def _cluster_info(self, plugin: kubeconfig.Exec) -> dict[str, Any]:
        given = self._connection
        if not plugin.cluster_info:
            return {}
        ca = base64.b64encode(given.ca.read("the certificate authority")).decode() if given.ca else None
        told = {
            "server": given.server,
            "certificate-authority-data": ca,
            "tls-server-name": given.server_name,
            "proxy-url": given.proxy,
        }
        return {"cluster": {name: value for name, value in told.items() if value}}

    async def _renew(self, given: kubeconfig.Oidc) -> Credential:
        """The token as it stands while it lasts, then one for the refresh token."""
        if given.id_token is not None and self._credential is None:
            until = _expiry(_text(given.id_token)) - _EARLY
            if time.time() < until:
                return Credential(given.id_token, until=until)
        if self._refresh_token is None:
            raise errors.TargetDenied(
                "the OpenID Connect token has run out",
                why="the kubeconfig has no refresh-token",
                hint="sign in again, or use a service account",
            )
        answer = await self._refresh(given, self._refresh_token)
        if answer.get("refresh_token"):
            self._refresh_token = secret.Secret(str(answer["refresh_token"]))
        token = str(answer.get("id_token") or "")
        if not token:
            raise errors.TargetDenied(
                f"{given.issuer} gave no id_token", hint="does the client ask for openid?"
            )
        return Credential(secret.Secret(token), until=_expiry(token) - _EARLY)

    async def _refresh(self, given: kubeconfig.Oidc, token: secret.Secret) -> Mapping[str, Any]:
        trust = _authorities(given.ca)
        form = {"grant_type": "refresh_token", "refresh_token": _text(token), "client_id": given.client_id}
        if given.client_secret is not None:
            form["client_secret"] = _text(given.client_secret)
        deadline = aiohttp.ClientTimeout(total=_OIDC_TIMEOUT)
        try:
            async with aiohttp.ClientSession(timeout=deadline, trust_env=True) as http:
                url = f"{given.issuer}/.well-known/openid-configuration"
                async with http.get(url, ssl=trust) as answer:
                    place = str((await answer.json(content_type=None)).get("token_endpoint") or "")
                if not place.startswith("https://"):
                    raise errors.TargetDenied(
                        f"{given.issuer} names no token endpoint that is reached by https"
                    )
                async with http.post(place, data=form, ssl=trust) as answer:
                    found = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise errors.TargetUnavailable(
                f"{given.issuer} cannot renew our token", why=type(error).__name__, hint="it is tried again"
            ) from error
        if not isinstance(found, Mapping) or "error" in found:
            said = found.get("error") if isinstance(found, Mapping) else "an answer that is no object"
            raise errors.TargetDenied(
                f"{given.issuer} does not renew our token", why=str(said), hint="sign in again"
            )
        return found

    def _context(self, found: Credential) -> ssl.SSLContext:
        given = self._connection
        context = _authorities(given.ca)
        if found.certificate is not None and found.key is not None:
            _load(context, _bytes(found.certificate), _bytes(found.key))
        elif given.certificate and given.key:
            _load(context, given.certificate.read("the client certificate"), given.key.read("the client key"))
        return context


def _authorities(ca: kubeconfig.Material) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=ca.read("the certificate authority").decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
            raise errors.ConfigInvalid(
                "the certificate authority of a cluster cannot be used", why="it is not PEM"
            ) from error
    return context


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads a chain from files only: for a moment they lie in a folder of our own."""
    place = pathlib.Path("/dev/shm")  # noqa: S108 - memory, and the folder in it is ours alone
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None, prefix="undrift-") as folder:
        path = pathlib.Path(folder) / "pair.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key.rstrip() + b"\n")
        try:
            context.load_cert_chain(path)
        except ssl.SSLError as error:
            raise errors.ConfigInvalid(
                "our certificate for a cluster cannot be used",
                why=f"certificate and key do not fit ({error.reason or 'not PEM'})",
            ) from error


def _exec_credential(output: bytes, plugin: kubeconfig.Exec, what: str) -> Credential:
    try:
        document = json.loads(output)
        status = document["status"]
        version = document.get("apiVersion")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.TargetDenied(what, why="what it printed is no ExecCredential") from error
    if version != plugin.api_version:
        raise errors.TargetDenied(
            what, why=f"it speaks {version}, the kubeconfig asks for {plugin.api_version}"
        )
    token, certificate, key = (
        secret.Secret(str(status[name])) if status.get(name) else None
        for name in ("token", "clientCertificateData", "clientKeyData")
    )
    if token is None and (certificate is None or key is None):
        raise errors.TargetDenied(what, why="there is neither a token nor a certificate with its key in it")
    until = float("inf")
    if status.get("expirationTimestamp"):
        try:
            until = datetime.datetime.fromisoformat(str(status["expirationTimestamp"])).timestamp()
        except ValueError as error:
            raise errors.TargetDenied(what, why="its expirationTimestamp is no time") from error
    return Credential(token, certificate, key, until)


def _read_token(path: str) -> secret.Secret:
    try:
        found = pathlib.Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise errors.TargetDenied("our token cannot be read", why=f"{path}: {why}") from error
    if not found:
        raise errors.TargetDenied("our token cannot be read", why=f"{path} is empty")
    return secret.Secret(found)


def _expiry(token: str) -> float:
    """When a JSON Web Token runs out, seconds since the epoch; 0 when it does not say so."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return 0.0


def _text(value: secret.Secret) -> str:
    found = value.reveal()
    return found if isinstance(found, str) else found.decode()


def _bytes(value: secret.Secret) -> bytes:
    found = value.reveal()
    return found if isinstance(found, bytes) else found.encode()
