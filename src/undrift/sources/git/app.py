"""Sign-in as an installation of a GitHub App: a signed claim is exchanged for a token that lives an hour."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
import time

from undrift import errors, interfaces
from undrift.lib import claims
from undrift.model import source
from undrift.sources import connecting

_EARLY = 300.0


class AppTokens:
    """Tokens of one installation; one is kept until five minutes before it runs out."""

    def __init__(
        self, declared: source.GitHubApp | None, secrets: interfaces.SecretResolver, web: connecting.Web
    ) -> None:
        self._declared = declared
        self._secrets = secrets
        self._web = web
        self._token = ""
        self._ends = 0.0
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """Do not use the present token again."""
        self._token = ""

    async def token(self, context: ssl.SSLContext | None) -> str:
        """A valid token. Raises `CredentialMissing`, `SourceDenied` or `SourceUnavailable`."""
        async with self._lock:
            if not self._token or time.time() > self._ends - _EARLY:
                await self._exchange(context)
            return self._token

    async def _exchange(self, context: ssl.SSLContext | None) -> None:
        declared = self._declared
        if declared is None:
            raise errors.CredentialMissing("no GitHub App is declared")
        claim = sign_claim(
            declared.app_id, await self._secrets.resolve(declared.private_key), int(time.time())
        )
        url = f"{declared.api_url.rstrip('/')}/app/installations/{declared.installation_id}/access_tokens"
        headers = {"Authorization": f"Bearer {claim}", "Accept": "application/vnd.github+json"}
        answer = await self._web.ask(
            connecting.Ask(
                method="POST", url=url, headers=headers, context=context, timeout=30, limit=1 << 20
            )
        )
        if answer.status != 201:  # noqa: PLR2004 - Created
            raise _refusal(declared, answer.status)
        try:
            body = json.loads(answer.body)
            self._ends = datetime.datetime.fromisoformat(body["expires_at"]).timestamp()
            self._token = str(body["token"])
        except (ValueError, KeyError, TypeError):
            raise errors.SourceUnavailable(
                f"the answer of {declared.api_url} is not a token", hint="check api_url of the GitHub App"
            ) from None


def _refusal(declared: source.GitHubApp, status: int) -> errors.SourceError:
    what = f"installation {declared.installation_id} of GitHub App {declared.app_id} gets no token"
    if status >= 500 or status == 429:  # noqa: PLR2004 - a server's trouble, or too many requests
        return errors.SourceUnavailable(what, why=f"{declared.api_url} answers {status}")
    return errors.SourceDenied(
        what,
        why=f"{declared.api_url} answers {status}",
        hint="check the app's id, its installation's id, its private key, and the clock of this machine",
    )


def sign_claim(app_id: str, key: str, now: int) -> str:
    """A JSON web token (RS256) that says for ten minutes who we are. Raises `CredentialMissing`: no such key."""
    try:
        return claims.sign(app_id, key, now)
    except ValueError as error:
        raise errors.CredentialMissing(
            "the private key of the GitHub App cannot be read",
            why=str(error),
            hint="download a new one on the settings page of the app",
        ) from None
