"""A kubeconfig that is kept in a Secret of another cluster: Cluster API's, Crossplane's, or anybody's.

Whoever may write that Secret says where we connect to and as whom, and nothing more: programs to run and files to
read, which a kubeconfig may name as well, are refused.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import words
from undrift.model import target
from undrift.providers.kubernetes import client, kubeconfig

KEYS: Final = ("value", "kubeconfig", "kubeconfig.yaml")
"""Where it is looked for unless the settings say it: Cluster API's key first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Loan:
    """The Secret, the key in it ("" = the usual ones), and the target that holds it."""

    namespace: str
    name: str
    key: str
    holder: target.Target

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


async def borrow(
    loan: Loan, holder: kubeconfig.Connection, place: target.Target, context: str
) -> kubeconfig.Connection:
    """The connection that the Secret describes. Raises a `TargetError` or `ConfigInvalid`."""
    api = client.Client(holder, 1)
    try:
        found = await api.find(f"/api/v1/namespaces/{loan.namespace}/secrets/{loan.name}")
    finally:
        await api.close()
    if found is None:
        raise errors.TargetUnavailable(
            f"Target {place.name}: {loan} does not exist",
            why="it holds the kubeconfig of this cluster, which may not be made yet",
            hint="nothing to do if something makes it; else correct settings.kubeconfig",
        )
    text = kubeconfig.Text(f"in {loan}", _value(loan, found.get("data") or {}))
    made = kubeconfig.read([text], context)
    named = [part for part in (made.ca, made.certificate, made.key) if part.path]
    if made.exec is not None or made.token_file or named:
        raise errors.ConfigInvalid(
            f"the kubeconfig in {loan} cannot be used",
            why="it names a program to run or a file to read where the agent is",
            hint="put token and certificates into it",
        )
    return made


def _value(loan: Loan, data: Mapping[str, Any]) -> str:
    keys = (loan.key,) if loan.key else KEYS
    found = next((data[key] for key in keys if key in data), None)
    if found is None:
        hint = words.suggestion(keys[0], data) or f"there are: {', '.join(sorted(data)) or 'none'}"
        raise errors.ConfigInvalid(f"{loan} has no key {' or '.join(keys)}", hint=hint)
    try:
        return base64.b64decode(str(found), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise errors.ConfigInvalid(f"the kubeconfig in {loan} cannot be used", why="it is not text") from None
