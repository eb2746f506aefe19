"""A new connection to one host: its key is verified, and we sign in with what was declared and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import asyncssh

from undrift import errors, interfaces
from undrift.model import source
from undrift.providers.hosts import login
from undrift.providers.hosts.ssh import trusting

_KEEP_ALIVE: Final = 5.0
_MISSED: Final = 3
"""Keep-alives without an answer after which the host is away."""
_ALSO: Final = (
    "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
)
"""Kinds of keys that a host may show beyond those that are trusted: it is refused with its fingerprint then, where
it would hang up without a word."""


async def connect(
    to: login.Login, secrets: interfaces.SecretResolver, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    """A new connection to one host. Raises `HostUntrusted`, `TargetDenied`, `TargetUnavailable`."""
    trusted = trusting.read(await _text(to.host_keys, secrets), str(to))
    client = trusting.Client()
    async with contextlib.AsyncExitStack() as agents:
        options = await _credentials(to, secrets, agents)
        return await _connect(to, trusted, tunnel, client, options)


async def _connect(
    to: login.Login,
    trusted: asyncssh.SSHKnownHosts,
    tunnel: asyncssh.SSHClientConnection | None,
    client: trusting.Client,
    options: Mapping[str, Any],
) -> asyncssh.SSHClientConnection:
    try:
        return await asyncssh.connect(
            to.address,
            to.port,
            tunnel=tunnel or (),
            config=[],
            known_hosts=trusted,
            host_key_alias=to.alias or None,
            server_host_key_algs=_ALSO,
            username=to.user,
            client_factory=lambda: client,
            connect_timeout=to.connect_timeout,
            login_timeout=to.connect_timeout,
            keepalive_interval=_KEEP_ALIVE,
            keepalive_count_max=_MISSED,
            compression_algs=None,
            gss_auth=False,
            gss_kex=False,
            **options,
        )
    except asyncssh.HostKeyNotVerifiable as error:
        raise trusting.refused(str(to), error.reason, client.shown) from error
    except asyncssh.KeyExchangeFailed as error:
        raise trusting.refused(str(to), f"it has no key of the trusted kinds ({error.reason})", "") from error
    except asyncssh.PermissionDenied as error:
        raise errors.TargetDenied(
            f"{to} does not let {to.user} in",
            why=error.reason,
            hint="look at the credentials in settings of the Target, and at the authorized keys of that user",
        ) from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or str(error) or f"no answer in {to.connect_timeout:g} s"
        raise errors.TargetUnavailable(
            f"{to} cannot be reached", why=why, hint="is it on, and is sshd? It is tried again"
        ) from error


async def _credentials(
    to: login.Login, secrets: interfaces.SecretResolver, agents: contextlib.AsyncExitStack
) -> dict[str, Any]:
    """What we may sign in with, and nothing that lies about on the agent's host."""
    keys: list[Any] = []
    if to.identity is not None:
        keys.append(await _key(to, to.identity, secrets))
    if to.agent:
        keys += await _lent(to, agents)
    password = await secrets.resolve(to.password) if to.password is not None else None
    # No list at all: an empty one would be filled with whatever keys there are in our home.
    return {
        "client_keys": keys or None,
        "agent_path": None,
        "password": password.rstrip("\n") if password is not None else None,
    }


async def _lent(to: login.Login, agents: contextlib.AsyncExitStack) -> list[Any]:
    """The keys of an SSH agent; they can be used as long as `agents` is open."""
    try:
        agent = await asyncssh.connect_agent(to.agent)
        agents.push_async_callback(_end, agent)
        return list(await agent.get_keys())
    except (OSError, ValueError) as error:
        raise errors.TargetDenied(
            f"the SSH agent at {to.agent} gives no keys for {to}",
            why=str(error),
            hint="is it running, and may we open its socket?",
        ) from error


async def _end(agent: asyncssh.SSHAgentClient) -> None:
    agent.close()
    await agent.wait_closed()


async def _key(to: login.Login, identity: source.Credential, secrets: interfaces.SecretResolver) -> Any:
    passphrase = await secrets.resolve(to.passphrase) if to.passphrase is not None else None
    try:
        key = asyncssh.import_private_key(
            await secrets.resolve(identity), passphrase.rstrip("\n") if passphrase else None
        )
        if to.certificate is None:
            return key
        return key, asyncssh.import_certificate(await secrets.resolve(to.certificate))
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise errors.TargetDenied(
            f"the key for {to} cannot be used",
            why=str(error),
            hint="settings.identity is a private key (settings.passphrase opens it), settings.certificate its certificate",
        ) from error


async def _text(given: str | source.Credential, secrets: interfaces.SecretResolver) -> str:
    return given if isinstance(given, str) else await secrets.resolve(given)
