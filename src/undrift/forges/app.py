"""Sign-in to GitHub as an installation of an App: a signed claim is exchanged for a token that lives an hour."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Mapping

from undrift import errors
from undrift.forges import credentials, requesting
from undrift.lib import claims

_EARLY = 300.0


class AppAccess:
    """Signs in with tokens of one installation; one is kept until five minutes before it runs out."""

    whence = "the GitHub App of $UNDRIFT_GITHUB_APP_ID"

    def __init__(
        self, base: str, installation: str, claim: ClaimAccess, settings: requesting.Settings
    ) -> None:
        self.user = ""
        self._base = base
        self._path = f"app/installations/{requesting.quote(installation)}/access_tokens"
        self._claim = claim
        self._settings = settings
        self._token = ""
        self._ends = 0.0
        self._lock = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        """The headers that let us in. Raises as `requesting` says."""
        return credentials.bearer(credentials.Token(await self.token()))

    async def token(self) -> str:
        """A token that is good for five minutes at least."""
        async with self._lock:
            if not self._token or time.time() > self._ends - _EARLY:
                await self._exchange()
            return self._token

    def forget(self) -> bool:
        """Get another one next time."""
        had, self._token = self._token, ""
        return bool(had)

    def secrets(self) -> tuple[str, ...]:
        """The token of now."""
        return (self._token,) if self._token else ()

    async def _exchange(self) -> None:
        client = requesting.Client(self._base, self._claim, "the App's own private key", self._settings)
        try:
            answer = await client.send("POST", self._path, again=True)
        finally:
            await client.close()
        try:
            self._ends = datetime.datetime.fromisoformat(answer["expires_at"]).timestamp()
            self._token = str(answer["token"])
        except (ValueError, KeyError, TypeError):
            raise errors.ForgeRefused(
                f"the answer of {client.host} is not a token",
                hint="check the address of the API of the GitHub App",
            ) from None


class ClaimAccess:
    """Signs in as the App itself, by its private key."""

    whence = "$UNDRIFT_GITHUB_APP_KEY"

    def __init__(self, app: str, key: str) -> None:
        self.user = f"GitHub App {app}"
        self._app = app
        self._key = key

    async def headers(self) -> Mapping[str, str]:
        """The headers that let us in. Raises `CredentialMissing`."""
        try:
            claim = claims.sign(self._app, self._key, int(time.time()))
        except ValueError as error:
            raise errors.CredentialMissing(
                "the private key of the GitHub App cannot be read",
                why=str(error),
                hint="download a new one on the settings page of the app",
            ) from None
        return credentials.bearer(credentials.Token(claim))

    def forget(self) -> bool:
        """There is no other one."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """The key."""
        return (self._key,)
