"""Taking over what somebody else applied: their fields become ours, so that a field we do not declare can go.

As client-go's csaupgrade does it for kubectl; here for every known tool that applies. Fields of controllers stay theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from undrift.model import resource
from undrift.providers.kubernetes import client, cluster, owned

_TOOLS: Final = re.compile(
    r"(kubectl|helm|argocd|argo-cd|kustomize-controller|helm-controller|flux|before-first-apply|pulumi|[Tt]erraform"
    r"|kluctl|fleet|pipecd|Undrift)",
    re.IGNORECASE,
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_PATCH: Final = "application/json-patch+json"


async def take_over(shared: cluster.Cluster, live: resource.LiveResource, account: str = "") -> None:
    """Make the fields of other tools ours; nothing else changes. Raises a `TargetError`."""
    data = await shared.find(live.id)
    if data is None or data["metadata"].get("uid") != live.uid:
        return
    metadata = data["metadata"]
    after = entries(metadata.get("managedFields") or (), str(data["apiVersion"]))
    if after is None:
        return
    steps: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": after},
    ]
    if _LAST_APPLIED in (metadata.get("annotations") or {}):
        written = _LAST_APPLIED.replace("~", "~0").replace("/", "~1")
        steps.append({"op": "remove", "path": f"/metadata/annotations/{written}"})
    kind = (await shared.served()).find(live.id)
    path = kind.path(namespace=live.id.namespace, name=live.id.name)
    request = client.Request(
        "PATCH",
        path,
        f"taking over {live.id}",
        body=orjson.dumps(steps),
        content=_PATCH,
        account=account,
    )
    await shared.api.send(request)


def entries(found: Any, api_version: str) -> list[dict[str, Any]] | None:
    """`managedFields` with the fields of all tools in one entry of ours; None when there is nothing to move. Pure."""
    moved: dict[str, Any] = {}
    left: list[dict[str, Any]] = []
    any_moved = False
    for entry in found:
        same = entry.get("apiVersion") == api_version and not entry.get("subresource")
        ours = entry.get("manager") == owned.MANAGER and entry.get("operation") == "Apply"
        if same and (ours or _TOOLS.match(str(entry.get("manager", "")))):
            any_moved |= not ours
            moved = _union(moved, entry.get("fieldsV1") or {})
        else:
            left.append(dict(entry))
    if not any_moved:
        return None
    annotations = (moved.get("f:metadata") or {}).get("f:annotations") or {}
    annotations.pop(f"f:{_LAST_APPLIED}", None)
    made = {
        "manager": owned.MANAGER,
        "operation": "Apply",
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": moved,
    }
    return [made, *left]


def applied(found: Any, api_version: str) -> dict[str, Any]:
    """The fields that tools applied on the server, as one trie; empty when none did. Pure."""
    together: dict[str, Any] = {}
    for entry in found:
        same = entry.get("apiVersion") == api_version and not entry.get("subresource")
        if same and entry.get("operation") == "Apply" and _TOOLS.match(str(entry.get("manager", ""))):
            together = _union(together, entry.get("fieldsV1") or {})
    return together


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for step, below in other.items():
        merged[step] = _union(merged.get(step) or {}, below or {})
    return merged
