"""Which kinds a cluster serves, by aggregated discovery (two requests, Kubernetes 1.30 and newer).

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib import parse

from undrift import errors
from undrift.model import resource
from undrift.providers.kubernetes import client, kinds

_ACCEPT: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclasses.dataclass(frozen=True, slots=True)
class Api:
    """One kind that is served. `versions` are all of its versions, the preferred one first."""

    group: str
    kind: str
    plural: str
    namespaced: bool
    versions: tuple[str, ...]
    verbs: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """How the kind is written in ids."""
        return kinds.name(self.kind, self.group)

    @property
    def watchable(self) -> bool:
        """Whether it can be listed and watched."""
        return {"list", "watch"} <= self.verbs

    def version(self, version: str = "") -> str:
        """The `apiVersion` for a version of it; the preferred one by default."""
        chosen = version or self.versions[0]
        return f"{self.group}/{chosen}" if self.group else chosen

    def path(self, version: str = "", namespace: str = "", name: str = "") -> str:
        """The path of all, of those of a namespace, or of one."""
        root = "/apis" if self.group else "/api"
        parts = [root, self.version(version)]
        if namespace and self.namespaced:
            parts += ["namespaces", parse.quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(parse.quote(name, safe=""))
        return "/".join(parts)


@dataclasses.dataclass(frozen=True, slots=True)
class Apis:
    """Everything that a cluster serves, by the written kind. `version` is Kubernetes' own, as `1.37.2`."""

    kinds: Mapping[str, Api]
    version: str = ""
    stale: frozenset[str] = frozenset()

    def listed(self) -> tuple[str, ...]:
        """Versions and kinds as Helm's `.Capabilities.APIVersions` has them: `apps/v1`, `apps/v1/Deployment`."""
        found = {each for one in self.kinds.values() for each in _written(one)}
        return tuple(sorted(found))

    def find(self, rid: resource.ResourceId) -> Api:
        """The kind of a resource. Raises `TargetUnavailable` when its group does not answer, else `ChangeRefused`."""
        found = self.kinds.get(rid.kind)
        if found is not None:
            return found
        group = kinds.split(rid.kind)[1]
        if group in self.stale:
            raise errors.TargetUnavailable(
                f"the API group {group} does not answer",
                why="its APIService is not available",
                hint="look at the service behind it; it is tried again",
            )
        raise errors.ChangeRefused(
            f"{rid} cannot be reached",
            why=f"this cluster does not serve the kind {rid.kind}",
            hint="is its CustomResourceDefinition there?",
        )


def _written(one: Api) -> Iterator[str]:
    for version in one.versions:
        yield one.version(version)
        yield f"{one.version(version)}/{one.kind}"


async def discover(api: client.Client) -> Apis:
    """Ask what is served. Raises what the client raises."""
    found: dict[str, Api] = {}
    stale: set[str] = set()
    for root in ("/api", "/apis"):
        answer = await api.get(root, accept=_ACCEPT)
        if not isinstance(answer, Mapping) or "items" not in answer:
            raise errors.ChangeRefused(
                "the API server cannot be used",
                why="it does not know aggregated discovery",
                hint="Kubernetes 1.30 or newer is needed",
            )
        for group in answer["items"]:
            for one in _of_group(group, stale):
                found.setdefault(one.name, one)
    told = await api.get("/version")
    version = str(told.get("gitVersion", "")).removeprefix("v") if isinstance(told, Mapping) else ""
    return Apis(found, version, frozenset(stale))


def _of_group(group: Mapping[str, Any], stale: set[str]) -> Iterator[Api]:
    """The kinds of one group, each with all the versions that serve it."""
    name = group.get("metadata", {}).get("name", "")
    served: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for version in group.get("versions", ()):
        if version.get("freshness") == "Stale":
            stale.add(name)
        for one in version.get("resources", ()):
            told = one.get("responseKind") or {}
            if told.get("kind") and (told.get("group") or name) == name:
                served.setdefault(told["kind"], []).append((version["version"], one))
    for kind, versions in served.items():
        first = versions[0][1]
        yield Api(
            name,
            kind,
            first["resource"],
            first.get("scope") == "Namespaced",
            tuple(version for version, _ in versions),
            frozenset(first.get("verbs", ())),
        )
