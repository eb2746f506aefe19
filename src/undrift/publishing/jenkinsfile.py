"""A `deployViaGitops` call of gitops-build-lib → an outline of the delivery that takes its place.

What that library's map may hold is read from its documentation (0.8.0). What has no counterpart, and what behaves
otherwise, is told in remarks: they are comments of the file that is written.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import groovy
from undrift.publishing import outline, spelling, surveying

CALL: Final = "deployViaGitops"
_IMAGE: Final = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>(?:[\w.-]|\$\{\w+\})+))?(?:@(?P<digest>.+))?")
_DEFAULT_STAGES: Final = {"staging": {"deployDirectly": True}, "production": {"deployDirectly": False}}
_SAFER: Final = (
    (
        "The first time, pass --overwrite: the folders in the GitOps repository were written by the library, and what "
        "it never deleted (files that are gone from this repository) goes now."
    ),
    "All stages are rendered and validated before the first one is pushed; the library pushed one after the other.",
    (
        "Validators were off unless named; now yaml, schema, helm and policy are on, and what they find stops the build: "
        "mend it, or say who answers for it with waivers."
    ),
    "An older build never overtakes a newer one: CI needs the whole history, or --sequence $BUILD_NUMBER.",
    (
        "Pull requests come from branches of their own, rebuilt from the main branch each time: close those of the "
        "library's branches <stage>_<application>, and delete these."
    ),
    (
        "A missing folder of a stage, container or value is an error; the library went on. Files that begin with a "
        "dot are files like all others."
    ),
)
"""What behaves otherwise for everybody."""
_GONE: Final = {
    "cesBuildLibRepo": "",
    "cesBuildLibVersion": "",
    "cesBuildLibCredentialsId": "",
    "buildImages": "buildImages is not needed: the image ghcr.io/undrift/undrift-ci has Helm, Kustomize and SOPS.",
}


def convert(source: str, file: str, tree: surveying.Tree) -> outline.Outline:
    """The outline of what a Jenkinsfile hands to the library. Raises `UsageInvalid` where it hands it nothing."""
    try:
        found = groovy.argument(source, CALL)
        known = groovy.definitions(source)
    except groovy.GroovyError as error:
        raise errors.UsageInvalid(
            f"{file} cannot be read as Groovy",
            origin=errors.Origin(file, error.line),
            why=error.problem,
            hint="correct it, or hand over a file with nothing but the call",
        ) from None
    given = groovy.resolved(found[0], known) if found else None
    if not isinstance(given, Mapping):
        raise errors.UsageInvalid(
            f"{file} does not call {CALL} with a map",
            origin=errors.Origin(file, found[1]) if found else errors.Origin(file),
            hint="name the file that does: undrift init --from-jenkinsfile FILE",
        )
    return _Conversion(given, file, tree).made()


class _Conversion:
    """One call. What was read is taken out, so that the rest is known."""

    def __init__(self, given: Mapping[str, Any], file: str, tree: surveying.Tree) -> None:
        self._given = _copy(given)
        self._tree = tree
        self._file = file
        self._said = spelling.Speller()

    def made(self) -> outline.Outline:
        """All of it."""
        deployments = self._part("deployments")
        application = self._said.plain(self._given.pop("application", ""), "application")
        source_path = (
            self._said.plain(deployments.pop("sourcePath", "k8s"), "deployments.sourcePath") or "k8s"
        )
        url, forge = self._repository()
        renderer, settings, spec, images = self._source(deployments, source_path)
        stages = tuple(self._stages(source_path, renderer))
        spec |= self._config_maps(source_path, frozenset(one.name for one in stages))
        spec |= self._version()
        branch = self._branch()
        folder = self._folder(deployments)
        self._tool()
        self._validators(spec)
        self._rest(self._given, "")
        self._rest(deployments, "deployments.")
        return outline.Outline(
            surveying.name_of(application), (renderer, settings), stages,
            url=url, branch=branch, folder=folder, forge=forge, images=images, spec=spec,
            seen=f"Converted from {self._file}.", remarks=(*self._said.remarks, *_SAFER),
        )  # fmt: skip

    def _branch(self) -> str:
        """The branch that agents read; what can be no name of one is told."""
        written = self._said.plain(self._given.pop("mainBranch", "main"), "mainBranch") or "main"
        if re.fullmatch(r"[\w][\w./-]*", written, re.ASCII):
            return written
        self._said.remark(f"mainBranch {written!r} cannot be the name of a branch: main is taken.")
        return "main"

    def _part(self, name: str) -> dict[str, Any]:
        found = self._given.pop(name, {})
        if not isinstance(found, dict):
            self._said.remark(
                f"{name} is computed in the Jenkinsfile ({spelling.shown(found)}): write it here yourself."
            )
            return {}
        return found

    def _repository(self) -> tuple[str, str]:
        """URL and kind of forge."""
        scm = self._part("scm")
        provider = self._said.plain(scm.pop("provider", ""), "scm.provider")
        base = self._said.plain(scm.pop("baseUrl", ""), "scm.baseUrl")
        path = self._said.plain(scm.pop("repositoryUrl", ""), "scm.repositoryUrl")
        if "credentialsId" in scm:
            name = spelling.shown(scm.pop("credentialsId"))
            self._said.remark(
                f"Credentials: bind {name} to UNDRIFT_USERNAME and UNDRIFT_TOKEN in the Jenkinsfile, for Git and for "
                "pull requests alike."
            )
        self._rest(scm, "scm.")
        forge = "scm-manager" if provider in {"SCMManager", ""} else ""
        if not base or not path:
            return "", forge
        return f"{base.rstrip('/')}/repo/{path}", forge

    def _source(
        self, deployments: dict[str, Any], path: str
    ) -> tuple[str, Mapping[str, Any], dict[str, Any], tuple[outline.Image, ...]]:
        """Renderer, its settings, more fields of the document, images."""
        helm = deployments.pop("helm", None)
        plain = deployments.pop("plain", None)
        if isinstance(helm, dict):
            return self._helm(helm, path)
        images = tuple(self._images(plain.pop("updateImages", []))) if isinstance(plain, dict) else ()
        if isinstance(plain, dict):
            self._rest(plain, "deployments.plain.")
        return "manifests", {"path": f"{path}/{{stage}}"}, {}, images

    def _images(self, listed: Any) -> Iterator[outline.Image]:
        seen: dict[str, str] = {}
        told: set[str] = set()
        for one in _mappings(listed):
            name = self._said.plain(one.get("containerName", ""), "containerName")
            file = self._said.plain(one.get("filename", ""), "filename")
            reference = spelling.shown(one.get("imageName", ""))
            if seen.setdefault(name, reference) != reference:
                self._said.remark(
                    f"Container {name} has another image in {file} ({reference}): names of containers are for all "
                    "files, give one of them another name."
                )
            elif name not in told:
                told.add(name)
                said = f"Was set in {file}; now in every container of that name."
                yield outline.Image(name, self._reference(name, one.get("imageName", "")), said)

    def _reference(self, name: str, value: Any) -> Mapping[str, str]:
        """The parts of an image; one that is computed as a whole cannot be taken apart, and is passed."""
        computed = spelling.computed(value)
        if computed:
            passed = f'undrift publish --image {name}="${spelling.variable(computed)}"'
            self._said.remark(f"Image {name}: the Jenkinsfile computes it ({computed}): pass it, `{passed}`.")
            return {"newTag": "${IMAGE_TAG:-}"}
        match = _IMAGE.fullmatch(self._said.text(value, f"image {name}") or "")
        parts = {"newName": "name", "newTag": "tag", "digest": "digest"}
        return {key: match[part] for key, part in parts.items() if match and match[part]}

    def _helm(
        self, helm: dict[str, Any], path: str
    ) -> tuple[str, Mapping[str, Any], dict[str, Any], tuple[outline.Image, ...]]:
        kind = self._said.plain(helm.pop("repoType", "HELM"), "deployments.helm.repoType")
        url = self._said.plain(helm.pop("repoUrl", ""), "deployments.helm.repoUrl")
        version = self._said.plain(helm.pop("version", ""), "deployments.helm.version")
        chart = self._said.plain(helm.pop("chartPath", ""), "deployments.helm.chartPath")
        name = self._said.plain(helm.pop("chartName", ""), "deployments.helm.chartName")
        settings: dict[str, Any] = {"chart": name, "repository": url, "version": version}
        if kind == "LOCAL":
            settings = {"chart": chart or "."}
        elif kind == "GIT":
            settings = {"chart": chart or "."}
            self._said.remark(
                f"The chart came from Git ({url}, {version or 'its main branch'}, {chart or '.'}). Charts are taken from "
                "this repository or from a chart repository: add it as a submodule, or push it to a registry (helm push)."
            )
            helm.pop("mainBranch", None)
        if "credentialsId" in helm:
            self._said.remark(
                f"The chart repository needs credentials ({spelling.shown(helm.pop('credentialsId'))}): log in before, with "
                "`helm registry login` or `helm repo add`."
            )
        settings["valueFiles"] = self._value_files(path)
        values = [
            made for one in _mappings(helm.pop("updateValues", [])) if (made := self._value(one)) is not None
        ]
        self._rest(helm, "deployments.helm.")
        self._said.remark(
            "CRDs of the chart are part of what is rendered (includeCrds: false leaves them out, as the library did)."
        )
        spec = {"set": values} if values else {}
        return "helm", {key: value for key, value in settings.items() if value}, spec, ()

    def _value_files(self, path: str) -> list[str]:
        shared = f"{path}/values-shared.yaml"
        if self._tree.files and shared not in self._tree.files:
            return [f"{path}/values-{{stage}}.yaml"]
        return [shared, f"{path}/values-{{stage}}.yaml"]

    def _value(self, one: Mapping[str, Any]) -> dict[str, Any] | None:
        """A value to set; None for one that no file may hold."""
        place = self._said.plain(one.get("fieldPath", ""), "fieldPath")
        value = one.get("newValue")
        if isinstance(value, bool | int | float):
            return {"path": place, "value": value}
        text = self._said.text(value, place)
        return {"path": place, "value": text} if text is not None else None

    def _config_maps(self, path: str, known: frozenset[str]) -> dict[str, Any]:
        made = []
        for one in _mappings(self._given.pop("fileConfigmaps", [])):
            file = self._said.plain(one.get("sourceFilePath", ""), "sourceFilePath")
            entry: dict[str, Any] = {
                "name": self._said.plain(one.get("name", ""), "name"),
                "files": [posixpath.normpath(posixpath.join(path, file))],
            }
            stages = [
                surveying.name_of(self._said.plain(stage, "stage")) for stage in _listed(one.get("stage"))
            ]
            stages = [stage for stage in stages if stage in known]
            made.append(entry | ({"stages": stages} if stages else {}))
        if not made:
            return {}
        self._said.remark(
            "ConfigMaps get a suffix by their content, and what refers to them is changed to it, so that Pods start anew "
            "(disableNameSuffixHash: true keeps the name)."
        )
        return {"configMapGenerator": made}

    def _version(self) -> dict[str, Any]:
        if "k8sVersion" not in self._given:
            return {}
        found = self._said.plain(self._given.pop("k8sVersion"), "k8sVersion")
        return {"kubeVersion": found} if found else {}

    def _stages(self, path: str, renderer: str) -> Iterator[outline.Step]:
        """The stages in the order of the map, which is that of promotion."""
        for name, settings in (self._part("stages") or _DEFAULT_STAGES).items():
            found = dict(settings) if isinstance(settings, Mapping) else {}
            directly = found.pop("deployDirectly", False)
            namespace = self._said.plain(found.pop("namespace", ""), f"stages.{name}.namespace")
            self._rest(found, f"stages.{name}.")
            remarks: tuple[str, ...] = ()
            if not isinstance(directly, bool):
                remarks = (f"deployDirectly was computed ({spelling.shown(directly)}): decide here.",)
            way = "direct" if directly is True else "pull-request"
            more = self._place(name, path, renderer)
            yield outline.Step(surveying.name_of(name), way, namespace, more, remarks)

    def _place(self, name: str, path: str, renderer: str) -> Mapping[str, Any]:
        """What a stage has to say of its folder: more manifests beside a chart, or that it is called otherwise."""
        if renderer == "helm":
            more = any(self._tree.manifests(f"{path}/{name}"))
            return {"resources": [f"{path}/{name}"]} if more else {}
        return {} if surveying.name_of(name) == name else {"path": f"{path}/{name}"}

    def _folder(self, deployments: dict[str, Any]) -> str:
        strategy = self._said.text(
            self._given.pop("folderStructureStrategy", "GLOBAL_ENV"), "folderStructureStrategy"
        )
        root = self._said.plain(
            deployments.pop("destinationRootPath", "."), "deployments.destinationRootPath"
        )
        inside = "{application}/{stage}" if strategy == "ENV_PER_APP" else "{stage}/{application}"
        return posixpath.normpath(posixpath.join(root, inside))

    def _tool(self) -> None:
        if self._said.plain(self._given.pop("gitopsTool", ""), "gitopsTool") == "FLUX":
            self._said.remark(
                "gitopsTool was FLUX (version 1, at its end): the chart is rendered now instead of written as a "
                "HelmRelease; remove the Helm operator's release without uninstalling it."
            )

    def _validators(self, spec: dict[str, Any]) -> None:
        """The validators that were on; ours are on without being named."""
        told = {
            "kubeval": "Validator kubeval: `schema` and `policy` take its place, on unless told otherwise.",
            "helmKubeval": "Validator helmKubeval: `helm` and `schema` take its place, on unless told otherwise.",
            "yamllint": "Validator yamllint: `yaml` takes its place and honours a .yamllint of yours; *.yamllint.yaml "
            "files are not copied into the GitOps repository any more.",
        }
        for name in self._part("validators"):
            own = f"Validator {name} is one of your own: add {{kind: exec, name: {name}, command: […]}} to validators."
            self._said.remark(told.get(name, own))

    def _rest(self, found: Mapping[str, Any], prefix: str) -> None:
        """What nobody asked for."""
        unknown = {name: value for name, value in found.items() if prefix or name not in _GONE}
        for name in found:
            if name not in unknown and _GONE[name]:
                self._said.remark(_GONE[name])
        self._said.left_out(unknown, prefix)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in _listed(value) if isinstance(one, Mapping)]


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value
