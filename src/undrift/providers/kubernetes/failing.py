"""What an API server says → what it means for people.

https://kubernetes.io/docs/reference/using-api/api-concepts/ and the `Status` of apimachinery's meta/v1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors

_BAD_REQUEST, _DENIED, _FORBIDDEN, _MISSING, _CONFLICT, _INVALID = 400, 401, 403, 404, 409, 422
_TOO_MANY, _SERVER = 429, 500
_WEBHOOK: Final = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request')
_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '(?P<name>[^']+)'")
_UNTYPED: Final = re.compile(r"failed to create typed patch object \([^)]*\): (?P<why>.*)", re.DOTALL)
"""A body that does not fit the schema is answered with 500 by a server-side apply."""
_IMMUTABLE: Final = re.compile(
    r"field is immutable|updates to .* are forbidden|may not change once set|immutable"
)


class Gone(errors.TargetUnavailable):
    """A resourceVersion or a `continue` token is too old: the list has to be read anew."""


class Unserved(errors.TargetUnavailable):
    """A kind or a version of it is not served any more: what is served has to be asked anew."""


def explain(code: int, answer: Any, doing: str) -> errors.TargetError:
    """The error for an answer with the status `code` while `doing` something ("applying ConfigMap/a/b")."""
    status: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    said = str(status.get("message") or "").strip() or f"the API server answered {code}"
    reason = str(status.get("reason") or "")
    what = f"{doing} was refused"
    if code == _DENIED:
        return errors.TargetDenied(
            what, why="the API server does not accept our credentials", hint="renew them; it is tried again"
        )
    if code == _FORBIDDEN:
        return _forbidden(what, said)
    if code == _MISSING and not status:
        return Unserved(
            what, why="the API server does not serve that kind any more", hint="it is looked at again"
        )
    if code == _MISSING:
        return _missing(what, said, status)
    if code == _CONFLICT:
        return errors.ChangeConflict(what, why=said, hint="it is planned anew")
    if reason in {"Expired", "Gone"}:
        return Gone(what, why=said)
    untyped = _UNTYPED.search(said)
    if untyped:
        return errors.ChangeRefused(what, why=untyped["why"], hint="correct the manifest")
    if code == _TOO_MANY or code >= _SERVER:
        return _busy(f"{doing} failed", code, said)
    return errors.ChangeRefused(what, why=_causes(status) or said, hint=_hint(said))


def is_immutable(error: errors.UndriftError) -> bool:
    """Whether a change was refused because a field cannot be changed in place."""
    return isinstance(error, errors.ChangeRefused) and bool(_IMMUTABLE.search(error.why))


def knows_no_dry_run(error: errors.UndriftError) -> bool:
    """Whether a webhook stood in the way of a dry run, which says nothing about the change itself."""
    return "does not support dry run" in error.why


def _forbidden(what: str, said: str) -> errors.TargetError:
    if "exceeded quota" in said:
        return errors.TargetFull(
            what, why=said, hint="raise the ResourceQuota or ask for less; it is tried again"
        )
    denied = _hint(said)
    if denied or "is forbidden: violates" in said or "being terminated" in said:
        waits = "being terminated" in said
        kind = errors.TargetBusy if waits else errors.ChangeRefused
        return kind(what, why=said, hint=denied or ("it is tried again" if waits else "correct the manifest"))
    return errors.TargetDenied(
        what, why=said, hint="give that account the right to it; `undrift doctor --rbac` prints a role"
    )


def _missing(what: str, said: str, status: Mapping[str, Any]) -> errors.TargetError:
    details = status.get("details")
    kind = details.get("kind") if isinstance(details, Mapping) else ""
    if kind == "namespaces":
        return errors.ChangeRefused(
            what, why=said, hint="declare the Namespace, in this application or in one that it depends on"
        )
    return errors.ChangeRefused(what, why=said)


def _busy(what: str, code: int, said: str) -> errors.TargetError:
    if "webhook" in said:
        return errors.TargetUnavailable(
            what, why=said, hint="a webhook does not answer: look at the service behind it; it is tried again"
        )
    if code == _TOO_MANY:
        return errors.TargetUnavailable(
            what, why=said, hint="the API server has too much to do; it is tried again"
        )
    return errors.TargetUnavailable(
        what, why=said, hint="look at the API server and at etcd; it is tried again"
    )


def _causes(status: Mapping[str, Any]) -> str:
    """What is wrong field by field, where the answer says so."""
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    told = [
        f"{cause.get('field')}: {cause.get('message')}"
        for cause in causes or ()
        if isinstance(cause, Mapping) and cause.get("field")
    ]
    return "; ".join(dict.fromkeys(told))


def _hint(said: str) -> str:
    found = _WEBHOOK.search(said)
    if found:
        return f"the webhook {found['name']} of this cluster forbids it: correct the manifest, or ask who runs it"
    found = _POLICY.search(said)
    if found:
        return f"the policy {found['name']} of this cluster forbids it: correct the manifest"
    return ""
