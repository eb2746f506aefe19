"""What a change asks of a cluster: CPU and memory requested, times replicas, before and after. Pure.

Quantities are read as Kubernetes reads them (k8s.io/apimachinery/pkg/api/resource): a decimal number with a suffix.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

Data = Mapping[str, Any]
Pair = tuple[Data | None, Data | None]

_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIXES: Final = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}  # fmt: skip
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_LONGEST: Final = 40
_ZERO: Final = Decimal(0)


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What the workloads that differ request, before and after: `cpu` in cores, `memory` in bytes.

    `notes` are sentences on what the sum does not know.
    """

    cpu: tuple[Decimal, Decimal] = (_ZERO, _ZERO)
    memory: tuple[Decimal, Decimal] = (_ZERO, _ZERO)
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether more or less is asked for than before."""
        return self.cpu[0] != self.cpu[1] or self.memory[0] != self.memory[1]


NOTHING = Cost()


@dataclasses.dataclass(frozen=True, slots=True)
class Scaler:
    """An autoscaler: its own name, what it scales (`Kind/name`), and between which bounds."""

    title: str
    scales: str
    namespace: str
    least: int
    most: int


def cost(pairs: Iterable[Pair], scalers: Iterable[Scaler] = ()) -> Cost:
    """The sum over resources before and after (None: it is not there). Kinds that run nothing count nothing."""
    by_target = {(one.namespace, one.scales): one for one in scalers}
    sums = [[_ZERO, _ZERO], [_ZERO, _ZERO]]
    notes: dict[str, None] = {}
    for pair in pairs:
        for side, data in enumerate(pair):
            if data is None or _template(data) is None:
                continue
            scaler = by_target.get((_namespace(data), title(data)))
            times = _times(data, scaler)
            for index, name in enumerate(("cpu", "memory")):
                sums[index][side] += times * _requested(_template(data) or {}, name)
            notes.update(dict.fromkeys(_notes(data, scaler)))
    return Cost((sums[0][0], sums[0][1]), (sums[1][0], sums[1][1]), tuple(notes))


def scaler(data: Data) -> Scaler | None:
    """The autoscaler that a resource is, or None."""
    spec = _mapping(data.get("spec"))
    target = _mapping(spec.get("scaleTargetRef"))
    if data.get("kind") == "HorizontalPodAutoscaler":
        least, most, kind = spec.get("minReplicas", 1), spec.get("maxReplicas", 0), target.get("kind", "")
    elif data.get("kind") == "ScaledObject":
        least, most = spec.get("minReplicaCount", 0), spec.get("maxReplicaCount", 100)
        kind = target.get("kind", "Deployment")
    else:
        return None
    scales = f"{kind}/{target.get('name', '')}"
    return Scaler(title(data), scales, _namespace(data), _whole(least, 1), _whole(most, 0))


def quantity(text: Any) -> Decimal | None:
    """`250m`, `1.5Gi`, `1e3` or a number; None for what is none."""
    if isinstance(text, bool):
        return None
    written = str(text).strip()
    found = _QUANTITY.fullmatch(written) if len(written) <= _LONGEST else None
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    return Decimal(number + (exponent or "")) * _SUFFIXES[suffix or ""]


def cores(amount: Decimal) -> str:
    """For people: `250m` below one core, else `1.5`."""
    if amount and abs(amount) < 1:
        return f"{_plain(amount * 1000)}m"
    return _plain(amount)


def size(amount: Decimal) -> str:
    """For people: `512Mi`, `1.5Gi`."""
    for unit in _BINARY:
        if abs(amount) < 1024 or unit == _BINARY[-1]:  # noqa: PLR2004 - the step from one unit to the next
            return f"{_plain(amount)}{unit}"
        amount /= 1024
    return ""


def images(data: Data) -> dict[str, str]:
    """The images that a workload runs, by the names of its containers."""
    pod = _template(data) or {}
    containers = [_mapping(one) for part in ("initContainers", "containers") for one in _items(pod.get(part))]
    return {str(one.get("name", "")): str(one["image"]) for one in containers if one.get("image")}


def title(data: Data) -> str:
    """`Kind/name`."""
    return f"{data.get('kind', '')}/{_mapping(data.get('metadata')).get('name', '')}"


def _plain(amount: Decimal) -> str:
    text = f"{amount:.2f}"
    return text.rstrip("0").rstrip(".")


def _template(data: Data) -> Data | None:
    """The pod of a workload, or None for what runs nothing."""
    spec = _mapping(data.get("spec"))
    match data.get("kind"):
        case "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController" | "DaemonSet" | "Job":
            return _mapping(_mapping(spec.get("template")).get("spec"))
        case "CronJob":
            job = _mapping(_mapping(spec.get("jobTemplate")).get("spec"))
            return _mapping(_mapping(job.get("template")).get("spec"))
        case "Pod":
            return spec
        case _:
            return None


def _times(data: Data, scaled: Scaler | None) -> int:
    spec = _mapping(data.get("spec"))
    kind = data.get("kind")
    if kind in {"DaemonSet", "Pod"}:
        return 1
    if kind == "CronJob":
        spec = _mapping(_mapping(spec.get("jobTemplate")).get("spec"))
    if kind in {"CronJob", "Job"}:
        return _whole(spec.get("parallelism", 1), 1)
    return _whole(spec.get("replicas", scaled.least if scaled else 1), 1)


def _requested(pod: Data, name: str) -> Decimal:
    """As the scheduler counts: all containers together, or the largest initial one beside those that stay."""
    running = sum(_requests(pod.get("containers"), name), _ZERO)
    first = [_mapping(one) for one in _items(pod.get("initContainers"))]
    staying = [one for one in first if one.get("restartPolicy") == "Always"]
    running += sum(_requests(staying, name), _ZERO)
    passing = [one for one in first if one.get("restartPolicy") != "Always"]
    return max([running, *_requests(passing, name)])


def _requests(containers: Any, name: str) -> Iterator[Decimal]:
    for one in _items(containers):
        resources = _mapping(_mapping(one).get("resources"))
        asked = _mapping(resources.get("requests")).get(name, _mapping(resources.get("limits")).get(name))
        yield quantity(asked) or _ZERO


def _notes(data: Data, scaled: Scaler | None) -> Iterator[str]:
    if scaled is not None:
        bounds = f"{scaled.least} to {scaled.most}" if scaled.most else f"at least {scaled.least}"
        yield f"{scaled.title} sets the replicas of {scaled.scales} ({bounds})"
    if data.get("kind") == "DaemonSet":
        yield f"{title(data)} is counted once, it runs on every node"
    if data.get("kind") in {"CronJob", "Job"}:
        yield f"{title(data)} asks only while it runs"


def _namespace(data: Data) -> str:
    return str(_mapping(data.get("metadata")).get("namespace", ""))


def _mapping(value: Any) -> Data:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise
