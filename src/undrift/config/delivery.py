"""The document `Delivery`: what CI does with an application. It stands in `undrift.yaml`, in the application's own
repository or in the GitOps repository; agents leave it alone.

    apiVersion: undrift.dev/v1
    kind: Delivery
    metadata: {name: petclinic}
    spec:
      gitopsRepository: {url: https://forge.example/ops/gitops.git}
      source: {manifests: "k8s/{stage}"}
      stages:
      - {name: staging}
      - {name: production, publish: pull-request}
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Final, Literal

import pydantic

from undrift.config import fields, part, window
from undrift.lib import expressions
from undrift.model import delivery as model

FORGES: Final = (
    "azure-devops", "bitbucket", "bitbucket-server", "forgejo", "gitea", "github", "gitlab", "none", "scm-manager",
)  # fmt: skip
RENDERERS: Final = ("manifests", "kustomize", "helm", "jsonnet", "files")
_BRANCH: Final = re.compile(
    r"(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.))[^\x00-\x20\x7f~^:?*\[\\/.-][^\x00-\x20\x7f~^:?*\[\\]*(?<![/.])"
)
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
Scalar = str | bool | int | float


def _folder(value: str) -> str:
    """A folder of the GitOps repository that no other application and stage may have."""
    if "{" in re.sub(r"\{(stage|application|namespace)\}", "", value):
        raise fields.refuse(
            "folder",
            f"{value!r} holds an unknown placeholder",
            "known are {stage}, {application}, {namespace}",
        )
    if value in {".", ""}:
        raise fields.refuse("folder", "is the whole repository", "write {stage}/{application}")
    if any(step.casefold().startswith(".git") for step in value.split("/")):
        raise fields.refuse("folder", "leads into Git's own files", "write {stage}/{application}")
    return value


def _branch(value: str) -> str:
    """A branch as `git check-ref-format --branch` has it, and none of ours."""
    if not _BRANCH.fullmatch(value):
        raise fields.refuse(
            "branch", f"{value!r} cannot be the name of a branch", "write the name alone: main"
        )
    if value.startswith("undrift/"):
        raise fields.refuse(
            "branch", "is where branches of pull requests are", "write the branch that agents read"
        )
    return value


def _expression(value: str) -> str:
    try:
        expressions.compiled(value)
    except expressions.Invalid as error:
        raise fields.refuse("expression", f"is no regular expression: {error}") from None
    return value


def _date(value: Any) -> str:
    try:
        return datetime.date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise fields.refuse("date", "is no date", "write it as 2027-01-31") from None


Folder = Annotated[fields.Path, pydantic.AfterValidator(_folder)]
Branch = Annotated[str, pydantic.Field(strict=True, min_length=1), pydantic.AfterValidator(_branch)]
Expression = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_expression)]
Date = Annotated[
    str, pydantic.BeforeValidator(_date), pydantic.WithJsonSchema({"type": "string", "format": "date"})
]


class DestinationPart(part.Part):
    """The GitOps repository, and where in it the application's files go."""

    url: fields.Url = part.said("Where the GitOps repository is; without credentials.")
    branch: Branch = part.said("The branch that agents read.", default="main")
    path: Folder = part.said(
        "The folder of a stage; all in it but `keep` is ours.", default="{stage}/{application}"
    )
    keep: tuple[fields.Glob, ...] = part.said(
        "Globs on files in that folder that are somebody else's.", default=()
    )
    forge: Literal[FORGES] | None = part.said(  # type: ignore[valid-type]  # a tuple of words
        "The kind of forge; left out, it is told by the URL. `none`: a Git server without pull requests.",
        default=None,
    )
    api: fields.Url | None = part.said(
        "The address of the forge's API, where it is another host.", default=None
    )


class ManifestsPart(part.Part):
    """Manifests as they are: YAML and JSON; images and values are set in place, everything else stays as it is."""

    path: fields.Path = part.said("The folder, or a file.")
    include: tuple[fields.Glob, ...] | None = part.said("Globs on files that are manifests.", default=None)
    exclude: tuple[fields.Glob, ...] | None = part.said("Globs on files that are not.", default=None)
    substitute: dict[fields.Word, Scalar] | None = part.said("Values for ${NAME} in manifests.", default=None)


class KustomizePart(part.Part):
    """An overlay, built by Kustomize."""

    path: fields.Path = part.said("The folder with the kustomization.")
    remote: fields.Flag | None = part.said("Whether bases may be fetched from elsewhere.", default=None)
    substitute: dict[fields.Word, Scalar] | None = part.said(
        "Values for ${NAME} in the output.", default=None
    )


class HelmPart(part.Part):
    """A chart, rendered by Helm."""

    path: fields.Path = part.said("The folder that the paths below are relative to.", default=".")
    chart: fields.Word = part.said(
        "The chart: a path, its name in `repository`, or oci://host/path/name.", default="."
    )
    repository: fields.Word | None = part.said("A chart repository: https://… or oci://….", default=None)
    version: fields.Word | None = part.said("The exact version, for a chart of a repository.", default=None)
    release_name: fields.Word | None = part.said(
        "The name of the release; left out, the application's.", default=None
    )
    values: dict[str, Any] | None = part.said("Values, over those of files.", default=None)
    value_files: tuple[fields.Path, ...] | None = part.said(
        "Files with values, the last one wins.", default=None
    )
    include_crds: fields.Flag | None = part.said("Whether the chart's CRDs are part of it.", default=None)
    api_versions: tuple[fields.Word, ...] | None = part.said(
        "API versions that the chart may ask for.", default=None
    )
    post_render: fields.Path | None = part.said("A kustomization that is put over the output.", default=None)
    remote: fields.Flag | None = part.said("Whether dependencies may be fetched.", default=None)
    substitute: dict[fields.Word, Scalar] | None = part.said(
        "Values for ${NAME} in the output.", default=None
    )


class JsonnetPart(part.Part):
    """A program in Jsonnet."""

    path: fields.Path = part.said("The folder with the program.")
    main: fields.Path | None = part.said("The program; left out, main.jsonnet.", default=None)
    libraries: tuple[fields.Path, ...] | None = part.said("Folders with libraries.", default=None)
    variables: dict[fields.Word, Any] | None = part.said("External variables.", default=None)
    arguments: dict[fields.Word, Any] | None = part.said("Top-level arguments.", default=None)


class NativeFilesPart(part.Part):
    """Any layer's own files (zones, host manifests, HCL, Compose), taken as they are."""

    path: fields.Path = part.said("The folder.")
    include: tuple[fields.Glob, ...] | None = part.said("Globs on files that are taken.", default=None)
    exclude: tuple[fields.Glob, ...] | None = part.said("Globs on files that are not.", default=None)
    substitute: dict[fields.Word, Scalar] | None = part.said(
        "Values for ${NAME} in text files.", default=None
    )


def _short(value: Any) -> Any:
    """`manifests: k8s` for `manifests: {path: k8s}`."""
    return {"path": value} if isinstance(value, str) else value


class RecipePart(part.Part):
    """What stages are rendered from: exactly one of its fields; a text alone is its `path`."""

    manifests: (
        Annotated[ManifestsPart, pydantic.BeforeValidator(_short, json_schema_input_type=str | ManifestsPart)]
        | None
    ) = part.said("Manifests as they are.", default=None)
    kustomize: (
        Annotated[KustomizePart, pydantic.BeforeValidator(_short, json_schema_input_type=str | KustomizePart)]
        | None
    ) = part.said("An overlay, built by Kustomize.", default=None)
    helm: (
        Annotated[HelmPart, pydantic.BeforeValidator(_short, json_schema_input_type=str | HelmPart)] | None
    ) = part.said("A chart, rendered by Helm.", default=None)
    jsonnet: (
        Annotated[JsonnetPart, pydantic.BeforeValidator(_short, json_schema_input_type=str | JsonnetPart)]
        | None
    ) = part.said("A program in Jsonnet.", default=None)
    files: (
        Annotated[
            NativeFilesPart, pydantic.BeforeValidator(_short, json_schema_input_type=str | NativeFilesPart)
        ]
        | None
    ) = part.said("Any layer's own files.", default=None)

    @pydantic.model_validator(mode="after")
    def _one(self) -> RecipePart:
        part.exactly_one(self, *RENDERERS)
        return self


class ImagePart(part.Part):
    """An image to set, in the words of Kustomize. Texts may hold ${VARIABLE}s of CI."""

    name: fields.Word = part.said("The container, the image, or (with Helm) the path in the values.")
    new_name: fields.Text = part.said("The image; left out, it stays.", default="")
    new_tag: fields.Text = part.said(
        "The tag, in quotes where it looks like a number; left out, it stays.", default=""
    )
    digest: fields.Text = part.said("The digest: sha256:…", default="")

    @pydantic.model_validator(mode="after")
    def _says_something(self) -> ImagePart:
        if not (self.new_name or self.new_tag or self.digest):
            raise fields.refuse("empty", "sets nothing", "add newTag: ${IMAGE_TAG}, newName or digest")
        return self


class ValuePart(part.Part):
    """A value to set. Texts may hold {stage} and ${VARIABLE}s of CI."""

    path: fields.Word = part.said("Where: dotted, with [0] into lists.")
    value: Any = part.said("What.")
    file: fields.Glob = part.said("Only in such files.", default="*")
    resource: fields.Glob = part.said("Only in such resources: kind/name.", default="*")
    create: fields.Flag = part.said("Whether it may be new there.", default=False)


class ConfigMapPart(part.Part):
    """A ConfigMap made of files; one with other content has another name, so that Pods start anew."""

    name: fields.Name = part.said("Its name.")
    files: tuple[fields.Word, ...] = part.said("Files of the source: path, or key=path.", default=())
    literals: dict[fields.Word, fields.Text] = part.said("Texts.", default_factory=dict)
    stages: tuple[fields.Name, ...] = part.said("Only in these stages; left out, in all.", default=())
    disable_name_suffix_hash: fields.Flag = part.said("Keep the name as it is.", default=False)

    @pydantic.model_validator(mode="after")
    def _holds_something(self) -> ConfigMapPart:
        if not self.files and not self.literals:
            raise fields.refuse("empty", "holds nothing", "add files or literals")
        for key in [*self.literals, *(one.partition("=")[0] for one in self.files if "=" in one)]:
            if not _KEY.fullmatch(key):
                raise fields.refuse("key", f"{key!r} cannot be a key", "letters, digits, '-', '_' and '.'")
        return self


class NamespacePart(part.Part):
    """The stage's Namespace, made with the application."""

    labels: dict[fields.Word, fields.Text] = part.said("Its labels.", default_factory=dict)
    annotations: dict[fields.Word, fields.Text] = part.said("Its annotations.", default_factory=dict)
    quota: dict[fields.Word, Annotated[str, pydantic.BeforeValidator(str, json_schema_input_type=Scalar)]] = (
        part.said("Hard limits of a ResourceQuota.", default_factory=dict)
    )
    pull_secret: fields.Text = part.said("A Secret that its Pods pull images with.", default="")


class RequirementPart(part.Part):
    """What another stage has to be like before."""

    stage: fields.Name = part.said("The other stage.")
    health: Literal["Healthy", "Progressing", "Suspended"] = part.said(
        "Its health, as the agent reported it.", default="Healthy"
    )
    soak: fields.DurationOrNone = part.said("For how long without a break.", default=0.0)


class PullRequestPart(part.Part):
    """What a pull request of the stage gets."""

    labels: tuple[fields.Word, ...] = part.said("Labels.", default=())
    reviewers: tuple[fields.Word, ...] = part.said("Users, or team:name.", default=())
    draft: fields.Flag = part.said("Open it as a draft.", default=False)
    auto_merge: Literal["merge", "squash", "rebase"] | None = part.said(
        "Have the forge merge it once all that it asks for is there.", default=None
    )


class FileLimitPart(part.Part):
    """When publishing would delete too much to do so unasked."""

    count: Annotated[int, pydantic.Field(strict=True, ge=0)] = part.said(
        "Stop when more than so many files of a stage would be deleted,", default=10
    )
    percent: Annotated[int, pydantic.Field(strict=True, ge=0, le=100)] = part.said(
        "and they are more than this share of all that was published there.", default=30
    )


class StagePart(part.Part):
    """A step on the way to production; stages are in the order of promotion."""

    name: fields.Name = part.said("Its name.")
    namespace: fields.Text = part.said("Its namespace; left out, the stage's name.", default="")
    publish: Literal["direct", "pull-request"] = part.said(
        "Into the branch, or by a pull request.", default="direct"
    )
    promote: Literal["automatic", "manual"] = part.said(
        "Whether revisions come by themselves, or only where somebody names the stage.", default="automatic"
    )
    path: fields.Path | None = part.said("Where its files are, instead of the source's path.", default=None)
    values: dict[str, Any] | None = part.said("Helm values, over those of the source.", default=None)
    value_files: tuple[fields.Path, ...] = part.said(
        "Helm value files, after those of the source.", default=()
    )
    substitute: dict[fields.Word, Scalar] = part.said(
        "Values for ${NAME}, over those of the source.", default_factory=dict
    )
    resources: tuple[fields.Path, ...] = part.said("More manifests: files or folders.", default=())
    images: tuple[ImagePart, ...] = part.said("Images, over those of all stages.", default=())
    set: tuple[ValuePart, ...] = part.said("Values to set, after those of all stages.", default=())
    create_namespace: NamespacePart | None = part.said("Make its Namespace.", default=None)
    kube_version: fields.Text = part.said("Its Kubernetes version, if another.", default="")
    requires: tuple[RequirementPart, ...] = part.said("What other stages have to be like before.", default=())
    approvals: Annotated[int, pydantic.Field(strict=True, ge=0, le=20)] = part.said(
        "How many people other than the author have to approve.", default=0
    )
    approvers: tuple[fields.Word, ...] = part.said(
        "Who may, by their names on the forge; left out, anybody.", default=()
    )
    windows: tuple[window.WindowPart, ...] = part.said(
        "When it may be published; left out, always.", default=()
    )
    command: tuple[fields.Word, ...] = part.said("A program that ends with 0 when it may.", default=())
    pull_request: PullRequestPart = part.said(
        "What its pull requests get.", default=PullRequestPart.model_construct()
    )
    target: fields.Text = part.said(
        "The Target of an Application that is written beside the files; left out, none is.", default=""
    )
    policy: dict[fields.Word, Any] = part.said("That Application's policy.", default_factory=dict)
    allow_empty: fields.Flag = part.said("Rendering to nothing is meant, not an accident.", default=False)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> StagePart:
        if self.policy and not self.target:
            raise fields.refuse(
                "policy",
                "has a policy but no target",
                "add the name of a Target; allowEmpty is a field of the stage, too",
            )
        if self.approvals and self.publish == "direct":
            raise fields.refuse(
                "approvals",
                "asks for approvals but is published directly: there is no pull request that anybody could approve of",
                "say publish: pull-request, or take approvals out",
            )
        return self


class WaiverPart(part.Part):
    """An exception from a policy."""

    rule: fields.Word = part.said("The code of the finding: UD409.")
    resources: Annotated[tuple[fields.Glob, ...], pydantic.Field(min_length=1)] = part.said(
        "Globs on kind/name."
    )
    owner: fields.Word = part.said("Who answers for it.")
    until: Date = part.said("The last day that it holds.")
    reason: fields.Text = part.said("Why.", default="")


class ValidatorPart(part.Part):
    """One check: its kind, and what else is said are its settings."""

    model_config = pydantic.ConfigDict(extra="allow")

    kind: Literal["yaml", "schema", "policy", "helm", "rego", "cel", "zones", "exec"] = part.said(
        "What checks."
    )


class CommitPart(part.Part):
    """How commits in the GitOps repository look."""

    message: fields.Word = part.said(
        "The first line; {stage}, {application}, {issues}, {repository}, {sha}, {subject} are filled in.",
        default="[{stage}] {issues} {repository}@{sha}",
    )
    author: Literal["app", "committer"] = part.said(
        "The author: who wrote the revision, or who publishes it.", default="app"
    )
    issues: Expression = part.said(
        "What in the messages of a revision names an issue.",
        default=model.ISSUES,
    )


class LocalPart(part.Part):
    """What `undrift apply --local` may do."""

    stage: fields.Text = part.said("The stage that is rendered; left out, the first.", default="")
    contexts: tuple[fields.Glob, ...] = part.said(
        "Contexts of the kubeconfig that may be touched.",
        default=("kind-*", "k3d-*", "minikube", "docker-desktop"),
    )
    images: tuple[ImagePart, ...] = part.said("Other images.", default=())
    set: tuple[ValuePart, ...] = part.said("Other values.", default=())


class PreviewPart(part.Part):
    """A stage for each pull request of the application."""

    stage: fields.Name = part.said("The stage that it is made like.")
    name: fields.Word = part.said("Its name; {number} and {slug} are filled in.", default="preview-{number}")
    namespace: fields.Word = part.said(
        "Its namespace; {application}, too, is filled in.", default="{application}-{number}"
    )
    ttl: fields.DurationOrNone = part.said("When it goes by itself; 0s: never.", default=0.0)
    images: tuple[ImagePart, ...] = part.said("Other images.", default=())
    set: tuple[ValuePart, ...] = part.said("Other values.", default=())


class UpdatePart(part.Part):
    """An image whose registry is watched."""

    image: fields.Word = part.said("The image, without tag.")
    follow: Literal["semver", "newest", "alphabetical", "digest"] = part.said(
        "Which tag is the next.", default="semver"
    )
    range: fields.Text = part.said("A semver range, or the tag whose digest is followed.", default="")
    tags: Expression = part.said("Only tags that match.", default="")
    stages: tuple[fields.Name, ...] = part.said("Only in these stages; left out, in the first.", default=())


class DeliverySpec(part.Part):
    """What is rendered, for which stages, and where it goes."""

    gitops_repository: DestinationPart = part.said("The GitOps repository.")
    source: RecipePart = part.said("What stages are rendered from.")
    resources: tuple[fields.Path, ...] = part.said("More manifests for every stage.", default=())
    images: tuple[ImagePart, ...] = part.said("Images to set.", default=())
    set: tuple[ValuePart, ...] = part.said("Values to set.", default=())
    config_map_generator: tuple[ConfigMapPart, ...] = part.said("ConfigMaps made of files.", default=())
    kube_version: fields.Text = part.said(
        "The Kubernetes version that is rendered and validated for.", default=""
    )
    validators: tuple[ValidatorPart, ...] | None = part.said(
        "Checks, in order; left out: yaml, schema, helm and policy.", default=None
    )
    waivers: tuple[WaiverPart, ...] = part.said("Exceptions from policies.", default=())
    stages: Annotated[tuple[StagePart, ...], pydantic.Field(min_length=1)] = part.said(
        "The stages, in order."
    )
    deletion_limit: FileLimitPart = part.said(
        "When publishing directly would delete too much to do so unasked.",
        default=FileLimitPart.model_construct(),
    )
    commit: CommitPart = part.said("How commits look.", default=CommitPart.model_construct())
    local: LocalPart = part.said("What `undrift apply --local` may do.", default=LocalPart.model_construct())
    preview: PreviewPart | None = part.said("Stages for pull requests.", default=None)
    updates: tuple[UpdatePart, ...] = part.said("Images whose registries are watched.", default=())
    train: fields.Text = part.said("Deliveries that name the same train are promoted together.", default="")


class Delivery(part.Document):
    """How an application gets into the GitOps repository."""

    kind: Literal["Delivery"] = part.said("What this document declares.")
    spec: DeliverySpec = part.said("What is rendered, for which stages, and where it goes.")
