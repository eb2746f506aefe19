"""`policy`: what no stage should be published with: tags that move, secrets in plain, foreign namespaces, no limits.

Each rule is `error`, `warning` or `off`. Settings and defaults: `noLatestTag` (error; `latestTags` are globs on tags
that move, `[latest]`), `digest` (images without one; off), `noPlainSecrets` (error), `suspectedSecrets` (what looks
like a secret in ConfigMaps and variables; warning), `namespace` (error), `clusterScoped` (what belongs to no
namespace, in one warning), `limits` (warning).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import undrift
from undrift import errors
from undrift.lib import globs
from undrift.model import delivery, publication
from undrift.providers.kubernetes import kinds
from undrift.publishing.checks import definitions, finding, secrets, settings
from undrift.publishing.schemas import release

_ERROR, _WARNING, _OFF = delivery.Severity.ERROR, delivery.Severity.WARNING, delivery.Severity.OFF
_LISTS: Final = ("containers", "initContainers", "ephemeralContainers")
_DIGEST: Final = re.compile(r"@[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,}$")
_MOST_LISTED: Final = 10
_WIDE: Final = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("internal.apiserver.k8s.io", "StorageVersion"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("policy", "PodSecurityPolicy"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourcePoolStatusRequest"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
        ("storagemigration.k8s.io", "StorageVersionMigration"),
    }
)
"""Kubernetes' own kinds that belong to no namespace, by group and kind; a test asks a real API server."""


async def check(work: finding.Work) -> finding.Verdict:
    """The policies on one stage."""
    taken = settings.Settings(work.validator)
    found = [
        *_images(work, taken),
        *_secrets(work, taken),
        *_namespaces(work, taken),
        *_limits(work, taken.severity("limits", _WARNING)),
    ]
    return finding.Verdict("policy", (*found, *taken.findings()), f"undrift {undrift.__version__}")


def containers(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Every container of a resource, whatever its kind, with the path that it stands at."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in _LISTS and isinstance(item, list):
                for index, one in enumerate(item):
                    if isinstance(one, Mapping) and "image" in one:
                        yield (*path, key, index), one
            else:
                yield from containers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from containers(item, (*path, index))


def tag(image: str) -> str:
    """The tag of an image; "" when it has none. A port of a registry is no tag."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _images(work: finding.Work, taken: settings.Settings) -> Iterator[finding.Finding]:
    latest, digest = taken.severity("noLatestTag", _ERROR), taken.severity("digest", _OFF)
    moving = taken.texts("latestTags", ("latest",))
    for one in work.resources:
        for path, container in containers(one.data):
            image = str(container["image"])
            if _DIGEST.search(image) or not image:
                continue
            named = tag(image)
            mutable = not named or globs.matches(named, moving)
            severity = latest if mutable else digest
            if severity is not _OFF:
                error = errors.ImageMutable(
                    f"the image {image} is mutable",
                    origin=one.where(*path, "image"),
                    why=_why(image, named, mutable=mutable),
                    hint="pin a tag or a digest",
                )
                yield finding.Finding(error, severity, one.title, "noLatestTag" if mutable else "digest")


def _why(image: str, named: str, *, mutable: bool) -> str:
    if not named:
        return f"{image} without a tag is {image}:latest"
    return f"another image may be called {named} tomorrow" if mutable else "it has no digest"


def _secrets(work: finding.Work, taken: settings.Settings) -> Iterator[finding.Finding]:
    plain, suspected = (
        taken.severity("noPlainSecrets", _ERROR),
        taken.severity("suspectedSecrets", _WARNING),
    )
    for one in work.resources:
        if plain is not _OFF and secrets.is_plain(one):
            error = errors.SecretInPlain(
                f"{one.title} is plain text",
                origin=one.where(),
                why="who can read the GitOps repository can read it",
                hint="use SealedSecret, SOPS or ExternalSecret, or waive it",
            )
            yield finding.Finding(error, plain, one.title, "noPlainSecrets")
        for path, why in secrets.suspected(one) if suspected is not _OFF else ():
            error = errors.SecretInPlain(
                f"{one.title} seems to hold a secret: {'.'.join(map(str, path))}",
                origin=one.where(*path),
                why=why,
                hint="put it into a Secret that is encrypted, and refer to that",
            )
            yield finding.Finding(error, suspected, one.title, "suspectedSecrets")


def _namespaces(work: finding.Work, taken: settings.Settings) -> Iterator[finding.Finding]:
    foreign, wide = taken.severity("namespace", _ERROR), taken.severity("clusterScoped", _WARNING)
    own = work.stage.namespace
    defined = definitions.read((one.data for one in work.resources), release.nearest("").metadata())
    listed: list[publication.ResourceFile] = []
    for one in work.resources:
        if _is_wide(one, defined):
            listed += [] if one.title == f"{kinds.NAMESPACE}/{own}" else [one]
            continue
        metadata = one.data.get("metadata")
        namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
        if namespace and namespace != own and foreign is not _OFF:
            error = errors.NamespaceForeign(
                f"{one.title} lies in the namespace {namespace}",
                origin=one.where("metadata", "namespace"),
                why=f"that of the stage is {own}",
                hint="remove metadata.namespace, or correct the namespace of the stage",
            )
            yield finding.Finding(error, foreign, one.title, "namespace")
    if listed and wide is not _OFF:
        more = len(listed) - _MOST_LISTED
        names = ", ".join(one.title for one in listed[:_MOST_LISTED]) + (
            f" and {more} more" if more > 0 else ""
        )
        error = errors.NamespaceForeign(
            f"of no namespace: {names}",
            origin=listed[0].where(),
            why="they are the same for every namespace, so another stage may own them, too",
            hint="keep them in an application of their own, or set clusterScoped: off",
        )
        yield finding.Finding(error, wide, listed[0].title, "clusterScoped")


def _is_wide(one: publication.ResourceFile, defined: Mapping[release.Kind, definitions.Definition]) -> bool:
    kind = (str(one.data["apiVersion"]), str(one.data["kind"]))
    return (kinds.group_of(kind[0]), kind[1]) in _WIDE or (kind in defined and not defined[kind].namespaced)


def _limits(work: finding.Work, severity: delivery.Severity) -> Iterator[finding.Finding]:
    """A LimitRange gives every container of its namespace what it does not say itself."""
    if severity is _OFF or any(one.data.get("kind") == "LimitRange" for one in work.resources):
        return
    for one in work.resources:
        for path, container in containers(one.data):
            resources = container.get("resources")
            said = resources if isinstance(resources, Mapping) else {}
            limits, requests = (
                part if isinstance(part, Mapping) else {}
                for part in (said.get("limits"), said.get("requests"))
            )
            missing = [] if "memory" in limits else ["limit of memory"]
            missing += [] if "cpu" in requests or "cpu" in limits else ["request of CPU"]
            if missing and path[-2] != "ephemeralContainers":
                error = errors.LimitsMissing(
                    f"the container {container.get('name')} of {one.title} has no {' and no '.join(missing)}",
                    origin=one.where(*path, "resources") if "resources" in container else one.where(*path),
                    hint="add resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 128Mi}}",
                )
                yield finding.Finding(error, severity, one.title, "limits")
