"""An HTTP POST of JSON in the form of a CloudEvent (structured mode, version 1.0)."""

from __future__ import annotations

import datetime
from urllib import parse

import aiohttp

from undrift import errors
from undrift.model import event

_TIMEOUT = aiohttp.ClientTimeout(total=15)
_SUCCESS = range(200, 300)


class WebhookNotifier:
    """Implements `interfaces.Notifier`. The URL is a secret: it never reaches a message or an error."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, happened: event.Event, text: str, key: str) -> None:
        """Deliver one message; raises `TargetUnavailable` when the receiver does not take it."""
        when = datetime.datetime.fromtimestamp(happened.at, datetime.UTC)
        message = {
            "specversion": "1.0",
            "id": key,
            "type": "dev.undrift.event",
            "source": f"undrift/{happened.application}",
            "time": when.isoformat(),
            "datacontenttype": "application/json",
            "data": {"application": happened.application, "text": text},
        }
        host = parse.urlsplit(self._url).hostname
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
                session.post(self._url, json=message, headers={"Idempotency-Key": key}) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise errors.TargetUnavailable(f"{host} cannot be reached", why=type(error).__name__) from None
        if status not in _SUCCESS:
            raise errors.TargetUnavailable(f"{host} does not take messages", why=f"HTTP {status}")
