"""The least rights that an agent, or an account that it acts as, needs for what is declared: ClusterRoles.

To see drift, an agent lists and watches each kind that it owns something of, in the whole cluster: RBAC cannot
narrow that to a label. It reads Pods, their events and logs to say why something is not well.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from undrift.lib import yaml
from undrift.model import resource
from undrift.providers.kubernetes import discovery, kinds

_LOOK: Final = ("get", "list", "watch")
_CHANGE: Final = ("create", "delete", "get", "patch")
_ALWAYS: Final = (
    ("apiextensions.k8s.io", "customresourcedefinitions", _LOOK),
    ("apiregistration.k8s.io", "apiservices", _LOOK),
    ("", "events", ("get", "list")),
    ("", "pods", ("get", "list")),
    ("", "pods/log", ("get",)),
    ("apps", "replicasets", ("get", "list")),
)
_ROLES: Final = frozenset({f"Role.{kinds.RBAC}", f"ClusterRole.{kinds.RBAC}"})
_BINDINGS: Final = frozenset({f"RoleBinding.{kinds.RBAC}", f"ClusterRoleBinding.{kinds.RBAC}"})
_ACCOUNT: Final = "system:serviceaccount:"
_Rule = tuple[tuple[str, str, tuple[str, ...]], tuple[str, ...]]
"""Group, resource and names (none = any), and the verbs."""


def roles(name: str, served: discovery.Apis, wanted: Mapping[str, Collection[resource.Resource]]) -> str:
    """ClusterRoles as YAML: one of the agent, called `name`, and one for each account that it acts as."""
    every = [one for some in wanted.values() for one in some]
    plurals = {**{kind: api.plural for kind, api in served.kinds.items()}, **dict(_defined(every))}
    looks = [_rule(kind, plurals, _LOOK) for kind in {one.id.kind for one in every} if kind in plurals]
    always = [((group, plural, ()), verbs) for group, plural, verbs in _ALWAYS]
    own = [*always, *looks, *_changes(wanted.get("", ()), plurals), *_acting(filter(None, wanted))]
    documents = [_role(name, own)]
    for number, account in enumerate(sorted(filter(None, wanted)), start=1):
        documents.append(_role(f"{name}-account-{number}", _changes(wanted[account], plurals), account))
    return "---\n".join(documents)


def _changes(wanted: Iterable[resource.Resource], plurals: Mapping[str, str]) -> Iterator[_Rule]:
    """What applying and pruning needs; for roles and bindings also to hand on what one does not have."""
    some = list(wanted)
    for kind in {one.id.kind for one in some}:
        if kind in plurals:
            yield _rule(kind, plurals, _CHANGE)
    for kind in _ROLES:
        names = sorted({one.id.name for one in some if one.id.kind == kind})
        if names and kind in plurals:
            yield _rule(kind, plurals, ("escalate",), tuple(names))
    for kind, bound in _bound(some).items():
        if kind in plurals:
            yield _rule(kind, plurals, ("bind",), tuple(sorted(bound)))


def _bound(some: Iterable[resource.Resource]) -> Mapping[str, set[str]]:
    """The roles that bindings refer to, by kind."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for one in some:
        reference = one.fields.get("roleRef")
        if one.id.kind in _BINDINGS and isinstance(reference, Mapping):
            found[kinds.name(str(reference.get("kind")), kinds.RBAC)].add(str(reference.get("name")))
    return found


def _acting(accounts: Iterable[str]) -> Iterator[_Rule]:
    for account in accounts:
        if account.startswith(_ACCOUNT):
            name = account.rpartition(":")[2]
            yield ("", "serviceaccounts", (name,)), ("impersonate",)
        else:
            yield ("", "users", (account,)), ("impersonate",)


def _rule(
    kind: str, plurals: Mapping[str, str], verbs: tuple[str, ...], names: tuple[str, ...] = ()
) -> _Rule:
    return (kinds.split(kind)[1], plurals[kind], names), verbs


def _defined(every: Iterable[resource.Resource]) -> Iterator[tuple[str, str]]:
    """Kinds that are defined beside their objects, and what they are called in paths."""
    for one in every:
        spec: Any = one.fields.get("spec")
        if one.id.kind == kinds.DEFINITION and isinstance(spec, Mapping):
            names = spec.get("names")
            if isinstance(names, Mapping):
                kind = kinds.name(str(names.get("kind")), str(spec.get("group") or ""))
                yield kind, str(names.get("plural"))


def _role(name: str, rules: Iterable[_Rule], account: str = "") -> str:
    """Rules as one ClusterRole; resources of one group with the same verbs are one rule."""
    verbs: dict[tuple[str, str, tuple[str, ...]], set[str]] = collections.defaultdict(set)
    for what, allowed in rules:
        verbs[what] |= set(allowed)
    together: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = collections.defaultdict(list)
    for (group, plural, names), allowed_all in verbs.items():
        together[group, tuple(sorted(allowed_all)), names].append(plural)
    written = [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": list(allowed)}
        | ({"resourceNames": list(names)} if names else {})
        for (group, allowed, names), plurals in sorted(together.items())
    ]
    document = {
        "apiVersion": f"{kinds.RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": written,
    }
    heading = f"# bind it to {account}, in its namespaces\n" if account else ""
    return heading + yaml.dump(document)
