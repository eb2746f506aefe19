"""From what lies in a repository to an outline of its delivery: a chart, overlays, folders, a program, or files.

The first of these that is there is taken; of what else is there, the outline says so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from undrift.publishing import outline, surveying

_SHARED: Final = ("shared", "common", "base", "default", "defaults", "global", "all")
_LOCAL: Final = ("local", "minikube", "kind", "k3d")
_VALUES: Final = re.compile(r"(?:.*/)?values[-_.](?P<name>[\w.-]+)\.ya?ml")
_PARTS: Final = frozenset({"base", "bases", "components", "shared", "common"})
_ROOTS: Final = ("k8s", "kubernetes", "manifests", "deploy", "deployment", "deployments", "gitops")
_COMPOSE: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_TAG: Final = "${IMAGE_TAG:-}"
_MOST_IMAGES: Final = 8


def guess(tree: surveying.Tree, application: str) -> outline.Outline:
    """The outline of a delivery of `application`."""
    finders: tuple[Callable[[surveying.Tree], outline.Guess | None], ...] = (
        _chart, _overlays, _manifests, _jsonnet, _files,
    )  # fmt: skip
    found = [one for finder in finders if (one := finder(tree)) is not None]
    chosen = found[0] if found else _nothing()
    others = [f"{one.seen} Left out here: a Delivery has one source." for one in found[1:]]
    images = chosen.images or tuple(_images(tree, chosen, application))
    return outline.Outline(
        application,
        (chosen.renderer, chosen.settings),
        tuple(
            steps(chosen.stages or {"staging": {}, "production": {}}, lambda name: _space(tree, chosen, name))
        ),
        seen=chosen.seen,
        images=images,
        remarks=(*chosen.remarks, *others),
    )


def steps(
    stages: Mapping[str, Mapping[str, Any]], namespace: Callable[[str], str] = lambda _: ""
) -> Iterator[outline.Step]:
    """Stages in the order of promotion; those like production come by pull request."""
    ordered = sorted(stages, key=lambda name: (surveying.rank(name), name))
    last = any(surveying.is_last(name) for name in ordered)
    for index, name in enumerate(ordered):
        reviewed = surveying.is_last(name) if last else 0 < index == len(ordered) - 1
        way = "pull-request" if reviewed else "direct"
        yield outline.Step(name, way, namespace(name), stages[name])


def _chart(tree: surveying.Tree) -> outline.Guess | None:
    """A Helm chart, and the value files of stages."""
    charts = [
        posixpath.dirname(path) or "." for path in tree.files if posixpath.basename(path) == "Chart.yaml"
    ]
    own = [one for one in charts if not any(f"{one}/".startswith(f"{other}/charts/") for other in charts)]
    kinds = {one: dict(next(iter(tree.documents(_join(one, "Chart.yaml"))), {})) for one in own}
    whole = [one for one in own if kinds[one].get("type") != "library"]
    if not whole:
        return None
    chart = min(whole, key=lambda one: (one.count("/"), one))
    shared, stages, files = _value_files(tree, chart)
    settings: dict[str, Any] = {"chart": chart}
    if shared or files:
        settings["valueFiles"] = [*shared, *files]
    remarks = [
        f"There are other charts: {', '.join(one for one in whole if one != chart)}. Each application has a Delivery."
    ]
    seen = f"Found: the chart in {chart}{' with values for ' + ', '.join(sorted(stages)) if stages else ''}."
    return outline.Guess(
        "helm", settings, stages, seen, images=_chart_images(tree, chart),
        remarks=tuple(remarks) if len(whole) > 1 else (),
    )  # fmt: skip


def _value_files(
    tree: surveying.Tree, chart: str
) -> tuple[list[str], dict[str, Mapping[str, Any]], list[str]]:
    """Value files for all, stages with what they say themselves, and one path for all stages where that fits."""
    groups: dict[str, dict[str, str]] = {}
    for path in tree.files:
        match = _VALUES.fullmatch(path)
        folder, name = posixpath.dirname(path), posixpath.basename(path)
        if match and "/charts/" not in path.removeprefix(f"{chart}/"):
            groups.setdefault(folder, {})[match["name"]] = path
        elif name in {"values.yaml", "values.yml"} and surveying.is_stage(posixpath.basename(folder)):
            groups.setdefault(posixpath.dirname(folder), {})[posixpath.basename(folder)] = path
    if not groups:
        return [], {}, []
    best = max(groups.values(), key=lambda one: sum(surveying.is_stage(name) for name in one))
    shared = [best[name] for name in _SHARED if name in best]
    named = {
        name: path
        for name, path in best.items()
        if name not in (*_SHARED, *_LOCAL) and not re.search(r"secret|sops", name)
    }
    pattern = {
        path.replace(name, "{stage}", 1) if path.count(name) == 1 else path for name, path in named.items()
    }
    if len(pattern) == 1 and all(surveying.name_of(name) == name for name in named):
        return shared, {name: {} for name in named}, [*pattern]
    return shared, {surveying.name_of(name): {"valueFiles": [path]} for name, path in named.items()}, []


def _chart_images(tree: surveying.Tree, chart: str) -> tuple[outline.Image, ...]:
    """Where the chart's own values name images: `image: {repository, tag}`."""
    values = next(iter(tree.documents(_join(chart, "values.yaml"))), {})
    found = list(_image_values(values, ""))
    return tuple(
        outline.Image(path, {"newTag": _TAG}, f"In {_join(chart, 'values.yaml')}: {repository}", index == 0)
        for index, (path, repository) in enumerate(
            sorted(found, key=lambda one: one[0].count("."))[:_MOST_IMAGES]
        )
    )


def _image_values(part: Any, path: str) -> Iterator[tuple[str, str]]:
    for key, value in part.items() if isinstance(part, Mapping) else ():
        place = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping) and isinstance(value.get("repository"), str) and "tag" in value:
            yield place, value["repository"]
        else:
            yield from _image_values(value, place)


def _overlays(tree: surveying.Tree) -> outline.Guess | None:
    """Overlays of Kustomize side by side, or the one that there is."""
    folders = sorted(
        {posixpath.dirname(path) or "." for path in tree.files if surveying.is_kustomization(path)}
    )
    if not folders:
        return None
    beside: dict[str, list[str]] = {}
    for folder in folders:
        if posixpath.basename(folder) not in _PARTS and folder != ".":
            beside.setdefault(posixpath.dirname(folder) or ".", []).append(posixpath.basename(folder))
    staged = {
        parent: names
        for parent, names in beside.items()
        if posixpath.basename(parent) in {"overlays", "environments", "envs", "stages"}
        or any(surveying.is_stage(name) for name in names)
    }
    if not staged:
        alone = min(folders, key=lambda one: (posixpath.basename(one) in _PARTS, one.count("/"), one))
        return outline.Guess(
            "kustomize", {"path": alone}, {}, f"Found: the kustomization in {alone}.", {"": alone}
        )
    parent = max(staged, key=lambda one: (len(staged[one]), one))
    return _side_by_side("kustomize", parent, staged[parent], "overlays")


def _manifests(tree: surveying.Tree) -> outline.Guess | None:
    """Manifests: a folder for each stage, or one for all."""
    folders = {posixpath.dirname(path) or "." for path, _ in tree.manifests(".")}
    if not folders:
        return None
    steps_of = {"/".join(one.split("/")[:depth]) for one in folders for depth in range(1, one.count("/") + 2)}
    parents = {posixpath.dirname(one) or "." for one in steps_of if one != "."}
    staged = {
        parent: [
            name
            for name in tree.folders(parent)
            if surveying.is_stage(name) and _join(parent, name) in steps_of
        ]
        for parent in parents
    }
    best = max(staged, key=lambda one: (len(staged[one]), -one.count("/"), one), default="")
    if best and staged[best]:
        return _side_by_side("manifests", best, staged[best], "manifests")
    known = [one for one in _ROOTS if one in steps_of]
    folder = known[0] if known else min(folders, key=lambda one: (one.count("/"), one))
    return outline.Guess(
        "manifests",
        {"path": folder},
        {},
        f"Found: manifests in {folder}, the same for all stages.",
        {"": folder},
    )


def _jsonnet(tree: surveying.Tree) -> outline.Guess | None:
    """A program in Jsonnet, for each stage or one for all."""
    programs = [path for path in tree.files if path.endswith(".jsonnet")]
    if not programs:
        return None
    named: dict[str, list[str]] = {}
    for path in programs:
        folder = posixpath.dirname(path)
        if surveying.is_stage(posixpath.basename(folder)) and posixpath.basename(path) == "main.jsonnet":
            named.setdefault(posixpath.dirname(folder) or ".", []).append(posixpath.basename(folder))
    if named:
        parent = max(named, key=lambda one: (len(named[one]), one))
        return _side_by_side("jsonnet", parent, named[parent], "programs")
    program = min(programs, key=lambda one: (one.count("/"), posixpath.basename(one) != "main.jsonnet", one))
    folder, name = posixpath.split(program)
    settings = {"path": folder or ".", "main": name, "variables": {"stage": "{stage}"}}
    return outline.Guess(
        "jsonnet", settings, {}, f"Found: the program {program}; it is told the stage as a variable."
    )


def _files(tree: surveying.Tree) -> outline.Guess | None:
    """Files of other layers: Compose, hosts, zones, OpenTofu."""
    for what, belongs in _LAYERS.items():
        folders = sorted({posixpath.dirname(path) or "." for path in tree.files if belongs(tree, path)})
        if not folders:
            continue
        staged = [one for one in folders if surveying.is_stage(posixpath.basename(one))]
        if staged:
            parent = posixpath.dirname(staged[0]) or "."
            names = [posixpath.basename(one) for one in staged if (posixpath.dirname(one) or ".") == parent]
            return _side_by_side("files", parent, names, what)
        folder = min(folders, key=lambda one: (one.count("/"), one))
        settings: dict[str, Any] = {"path": folder}
        if folder == ".":
            settings["include"] = sorted(
                path for path in tree.files if "/" not in path and belongs(tree, path)
            )
        return outline.Guess("files", settings, {}, f"Found: {what} in {folder}, the same for all stages.")
    return None


def _is_of_hosts(tree: surveying.Tree, path: str) -> bool:
    return any(
        str(one.get("apiVersion", "")).startswith("undrift.dev/hosts/") for one in tree.documents(path)
    )


_LAYERS: Final[Mapping[str, Callable[[surveying.Tree, str], bool]]] = {
    "Compose files": lambda _, path: posixpath.basename(path) in _COMPOSE,
    "manifests of hosts": _is_of_hosts,
    "zones": lambda _, path: bool(re.search(r"(^|/)(zones|dns)/.*\.(ya?ml|zone)$|\.zone$", path)),
    "OpenTofu modules": lambda _, path: path.endswith((".tf", ".tofu")),
}


def _side_by_side(renderer: str, parent: str, names: list[str], what: str) -> outline.Guess:
    """Folders of stages that lie in one folder; a name that no stage may have gets a path of its own."""
    stages: dict[str, Mapping[str, Any]] = {}
    places = {}
    for name in sorted(names):
        stage = surveying.name_of(name)
        stages[stage] = {} if stage == name else {"path": _join(parent, name)}
        places[stage] = _join(parent, name)
    seen = f"Found: {what} in {parent}, for {', '.join(sorted(names))}."
    return outline.Guess(renderer, {"path": _join(parent, "{stage}")}, stages, seen, places)


def _images(tree: surveying.Tree, chosen: outline.Guess, application: str) -> Iterator[outline.Image]:
    """The containers of the manifests that are rendered; the application's own is the one that CI builds."""
    if chosen.renderer not in {"manifests", "kustomize"}:
        return
    roots = set(chosen.places.values())
    if chosen.renderer == "kustomize":
        roots = {posixpath.commonpath([*roots]) if len(roots) > 1 else next(iter(roots))}
        roots = {posixpath.dirname(one) or "." for one in roots}
    found: dict[str, surveying.Container] = {}
    for root in sorted(roots):
        for one in tree.containers(root):
            found.setdefault(one.name, one)
    listed = list(found.values())[:_MOST_IMAGES]
    main = max(listed, key=lambda one: _likeness(one, application), default=None)
    for one in sorted(listed, key=lambda each: each is not main):
        yield outline.Image(
            one.name,
            {"newTag": _TAG},
            f"The container of {one.resource} ({one.file}): {one.image}",
            one is main,
        )


def _likeness(one: surveying.Container, application: str) -> int:
    """How likely a container is the one that this repository builds."""
    image = re.split(r"[:@]", posixpath.basename(one.image))[0]
    return 4 * (image == application) + 2 * (one.name == application) + (one.name in {"app", "application"})


def _space(tree: surveying.Tree, chosen: outline.Guess, stage: str) -> str:
    folder = chosen.places.get(stage) or chosen.places.get("")
    return tree.namespace(folder) if folder else ""


def _nothing() -> outline.Guess:
    remark = "Nothing to render was found in this repository: put manifests into k8s/staging and k8s/production, or say below where they are."
    return outline.Guess("manifests", {"path": "k8s/{stage}"}, {}, "", remarks=(remark,))


def _join(parent: str, name: str) -> str:
    return name if parent == "." else posixpath.join(parent, name)
