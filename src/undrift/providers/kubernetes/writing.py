"""Bodies and requests of server-side apply.

https://kubernetes.io/docs/reference/using-api/server-side-apply/ . What we write is forced: a declared field is
taken back from whoever wrote it since. A create carries a version that no resource can have, so that the
server refuses it where something of that name came to be in the meantime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from undrift.engine import comparing
from undrift.model import inventory, resource
from undrift.providers.kubernetes import client, discovery, hiding, kinds, marks, owned

_NEVER: Final = "1"


def mark(
    wanted: resource.Resource, owner: inventory.Owner, revision: str, fingerprint: str
) -> inventory.Mark:
    """The mark that an apply leaves."""
    return inventory.Mark(owner.agent, owner.application, wanted.id, revision, fingerprint, wanted.protected)


def body(
    wanted: resource.Resource, by: inventory.Mark, uid: str | None, live: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What is applied; `uid` is that of the resource to change, None for one that must not exist yet.

    `live` is what is there, needed where something declared is left to others: until somebody else wrote it, it
    keeps its value through us. An apply that leaves out what only we own would remove it.
    """
    fields = hiding.reveal(wanted.fields)
    if live is not None and wanted.left:
        written = {path for paths in owned.writers(live["metadata"]).values() for path in paths}
        for path in owned.ours(live["metadata"]):
            if path not in written and any(comparing.covers(pattern, path) for pattern in wanted.left):
                _keep(fields, live, path)
    metadata = dict(fields.pop("metadata", None) or {})
    metadata["name"] = wanted.id.name
    if wanted.id.namespace:
        metadata["namespace"] = wanted.id.namespace
    if uid is None:
        metadata["resourceVersion"] = _NEVER
    elif uid:
        metadata["uid"] = uid
    metadata["labels"] = {**(metadata.get("labels") or {}), marks.LABEL: marks.label(by.application)}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), marks.ANNOTATION: marks.write(by)}
    return {**fields, "kind": kinds.split(wanted.id.kind)[0], "metadata": metadata}


def _keep(fields: dict[str, Any], live: Mapping[str, Any], path: tuple[str, ...]) -> None:
    """Put the live value at a path into what is applied, where all that is around it is in there."""
    here: Any = fields
    there: Any = live
    for step in path[:-1]:
        here, there = _below(here, step), _below(there, step)
    if isinstance(here, dict) and isinstance(there, Mapping) and path[-1] in there:
        here.setdefault(path[-1], there[path[-1]])


def _below(data: Any, step: str) -> Any:
    if isinstance(data, Mapping):
        return data.get(step)
    named = (
        (item for item in data if isinstance(item, Mapping) and item.get("name") == step)
        if isinstance(data, list)
        else ()
    )
    return next(iter(named), None)


async def apply(
    api: client.Client,
    kind: discovery.Api,
    rid: resource.ResourceId,
    given: Mapping[str, Any],
    *,
    dry: bool = False,
    account: str = "",
) -> dict[str, Any]:
    """Apply a body as `account`, or ask what that would come to. Raises a `TargetError`."""
    version = str(given["apiVersion"]).rpartition("/")[2]
    params = {"fieldManager": owned.MANAGER, "force": "true", "fieldValidation": "Strict"}
    if dry:
        params["dryRun"] = "All"
    request = client.Request(
        "PATCH",
        kind.path(version, rid.namespace, rid.name),
        f"{'checking' if dry else 'applying'} {rid}",
        params=params,
        body=orjson.dumps(given),
        content=client.APPLY,
        account=account,
    )
    answer: dict[str, Any] = await api.send(request)
    return answer
