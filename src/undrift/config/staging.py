"""A document `Delivery` → the frozen values that publishing works with: placeholders and variables are filled in here."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.config import declared, delivery, explaining, part, window
from undrift.lib import words, yaml
from undrift.model import delivery as model

DEFAULT_VALIDATORS: Final = ("yaml", "schema", "helm", "policy")
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}")
_CREDENTIAL: Final = re.compile(
    r"token|passw|passphrase|secret|credential|private|(api|access|account|ssh|signing|encryption|master|deploy)_?key"
    r"|(^|_)(pass|pwd|pat|auth|key)$|_(dsn|webhook_url)$|docker_auth|kubeconfig|cookie",
    re.IGNORECASE,
)
_IMAGE: Final = re.compile(
    r"(?P<name>[^@]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>\w+:[0-9a-f]{32,}))?"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """What a call of the command brings: variables of CI, and images and values (by name) over the document's.

    `lenient`: variables without a value are no error, for whoever renders nothing.
    """

    variables: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lenient: bool = False


NOTHING: Final = Given()


class Draft:
    """One document being translated: `taken` are the variables that were used, `wrong` what was found."""

    def __init__(self, document: delivery.Delivery, places: declared.Places, given: Given) -> None:
        self._document = document
        self._spec = document.spec
        self._places = places
        self._given = given
        self.taken: dict[str, str] = {}
        self.wrong: list[errors.UndriftError] = []

    def made(self, file: str) -> model.Delivery:
        """The delivery; what is wrong with it is in `wrong`, and then it must not be used."""
        spec, name = self._spec, self._document.metadata.name
        stages = tuple(self._stage(index) for index in range(len(spec.stages)))
        self._check_folders(stages)
        self._check_given()
        validators = tuple(
            model.Validator(
                one.kind, dict(one.model_extra or {}), self._places.of(("spec", "validators", index))
            )
            for index, one in enumerate(spec.validators or ())
        )
        return model.Delivery(
            application=name,
            destination=self._destination(),
            stages=stages,
            validators=validators
            if spec.validators is not None
            else tuple(model.Validator(kind) for kind in DEFAULT_VALIDATORS),
            waivers=tuple(
                model.Waiver(
                    one.rule,
                    one.resources,
                    one.owner,
                    one.until,
                    one.reason,
                    self._places.of(("spec", "waivers", index)),
                )
                for index, one in enumerate(spec.waivers)
            ),
            deletion_limit=model.DeletionLimit(spec.deletion_limit.count, spec.deletion_limit.percent),
            commit=model.CommitSettings(spec.commit.message, spec.commit.author, spec.commit.issues),
            local=self._local(stages),
            preview=self._preview(),
            updates=tuple(
                model.Update(one.image, one.follow, one.range, one.tags, self._watching(one))
                for one in spec.updates
            ),
            train=spec.train,
            labels=self._document.metadata.labels,
            file=file,
        )

    def _destination(self) -> model.Destination:
        found = self._spec.gitops_repository
        return model.Destination(
            found.url, found.branch, found.path, found.keep, found.forge or "", found.api or ""
        )

    def _stage(self, index: int) -> model.Stage:
        spec, found = self._spec, self._spec.stages[index]
        at: declared.Location = ("spec", "stages", index)
        known = {
            "stage": found.name,
            "application": self._document.metadata.name,
            "namespace": found.namespace or found.name,
        }
        images = {one.name: one for one in self._images(spec.images, ("spec", "images"), known)}
        images |= {one.name: one for one in self._images(found.images, (*at, "images"), known)}
        images |= {one.name: one for one in self._wherever() if one.name not in images}
        return model.Stage(
            name=found.name,
            recipe=self._recipe(found, known),
            namespace=known["namespace"],
            way=model.Way(found.publish),
            folder=_filled(spec.gitops_repository.path, known),
            resources=tuple(_filled(path, known) for path in (*spec.resources, *found.resources)),
            images=tuple(images.values()),
            values=(
                *self._values(spec.set, ("spec", "set"), known),
                *self._values(found.set, (*at, "set"), known),
                *self._given_values(),
            ),
            config_maps=tuple(self._config_maps(known)),
            namespace_settings=_namespace(found.create_namespace),
            kube_version=found.kube_version or spec.kube_version,
            gate=_gate(found),
            pull_request=model.PullRequestSettings(
                found.pull_request.labels,
                found.pull_request.reviewers,
                found.pull_request.draft,
                found.pull_request.auto_merge or "",
            ),
            target=found.target,
            policy=found.policy,
            manual=found.promote == "manual",
            allow_empty=found.allow_empty or bool(found.policy.get("allowEmpty")),
            watched=tuple(one.image for one in spec.updates if found.name in self._watching(one)),
            origin=self._places.of(at),
        )

    def _recipe(self, found: delivery.StagePart, known: Mapping[str, str]) -> model.Recipe:
        """The source's one recipe, with what the stage says itself."""
        name = next(each for each in delivery.RENDERERS if getattr(self._spec.source, each) is not None)
        chosen: part.Part = getattr(self._spec.source, name)
        settings = {
            key: _fill(value, known)
            for key, value in chosen.model_dump(by_alias=True, exclude_none=True, exclude={"path"}).items()
        }
        if name == "helm":
            _split_chart(settings)
            settings["values"] = merged(settings.get("values") or {}, _fill(found.values or {}, known))
            more = [_filled(path, known) for path in found.value_files]
            settings["valueFiles"] = [*(settings.get("valueFiles") or ()), *more]
        if found.substitute:
            settings["substitute"] = {**(settings.get("substitute") or {}), **_fill(found.substitute, known)}
        path = found.path if found.path is not None else getattr(chosen, "path")  # noqa: B009 - of any of the parts
        return model.Recipe(name, _filled(str(path), known), settings)

    def _images(
        self, found: Sequence[delivery.ImagePart], at: declared.Location, known: Mapping[str, str]
    ) -> Iterator[model.Image]:
        for index, one in enumerate(found):
            place = self._places.of((*at, index))
            given = one.name in self._given.images
            if given:
                name, tag, digest = image(self._given.images[one.name])
            else:
                given = any(_VARIABLE.search(text) for text in (one.new_name, one.new_tag, one.digest))
                name, tag, digest = (
                    self._expanded(_filled(getattr(one, field), known), (*at, index, alias))
                    for field, alias in (("new_name", "newName"), ("new_tag", "newTag"), ("digest", "digest"))
                )
            yield model.Image(one.name, name, tag, digest, place, given)

    def _wherever(self) -> Iterator[model.Image]:
        """Images that are given by their own name: set wherever they are used, declared or not."""
        for name, reference in self._given.images.items():
            found = image(reference)
            if found[0] == name:
                yield model.Image(name, *found, given=True)

    def _watching(self, one: delivery.UpdatePart) -> tuple[str, ...]:
        """The stages that take an image from its registry."""
        return one.stages or (self._spec.stages[0].name,)

    def _values(
        self, found: Sequence[delivery.ValuePart], at: declared.Location, known: Mapping[str, str]
    ) -> Iterator[model.Value]:
        for index, one in enumerate(found):
            value = _fill(one.value, known)
            if isinstance(value, str):
                value = self._expanded(value, (*at, index, "value"))
            if one.path in self._given.values:
                continue
            yield model.Value(
                one.path, value, one.file, one.resource, one.create, self._places.of((*at, index))
            )

    def _given_values(self) -> Iterator[model.Value]:
        for path, text in self._given.values.items():
            value = yaml.scalar(text)[0] if text else ""
            same = next((one for one in self._spec.set if one.path == path), None)
            yield model.Value(
                path,
                value,
                same.file if same else "*",
                same.resource if same else "*",
                same.create if same else False,
            )

    def _config_maps(self, known: Mapping[str, str]) -> Iterator[model.ConfigMap]:
        for index, one in enumerate(self._spec.config_map_generator):
            if one.stages and known["stage"] not in one.stages:
                continue
            yield model.ConfigMap(
                one.name,
                tuple(_filled(path, known) for path in one.files),
                _fill(one.literals, known),
                one.stages,
                not one.disable_name_suffix_hash,
                self._places.of(("spec", "configMapGenerator", index)),
            )

    def _local(self, stages: Sequence[model.Stage]) -> model.Local:
        found, known = self._spec.local, {"stage": "local", "application": self._document.metadata.name}
        return model.Local(
            found.stage or stages[0].name,
            found.contexts,
            tuple(self._images(found.images, ("spec", "local", "images"), known)),
            tuple(self._values(found.set, ("spec", "local", "set"), known)),
        )

    def _preview(self) -> model.Preview | None:
        found, known = self._spec.preview, {"application": self._document.metadata.name}
        if found is None:
            return None
        return model.Preview(
            found.stage,
            found.name,
            found.namespace,
            found.ttl,
            tuple(self._images(found.images, ("spec", "preview", "images"), known)),
            tuple(self._values(found.set, ("spec", "preview", "set"), known)),
        )

    def _expanded(self, text: str, at: declared.Location) -> str:
        """Text with its variables of CI filled in."""

        def fill(found: re.Match[str]) -> str:
            name = found["name"]
            if name is None:
                return "${"
            if _CREDENTIAL.search(name) or name.startswith("UNDRIFT_"):
                self.wrong.append(
                    errors.ConfigInvalid(
                        f"${{{name}}} may be a credential",
                        origin=self._places.of(at),
                        why="what is published can be read by many",
                        hint="keep secrets encrypted in Git (SOPS, SealedSecret), or refer to an ExternalSecret",
                    )
                )
                return ""
            value = self._given.variables.get(name, "")
            if not value and found["default"] is not None:
                return found["default"].removeprefix(":-")
            if value:
                self.taken[name] = value
            elif not self._given.lenient:
                self.wrong.append(self._missing(name, at))
            return value

        return _VARIABLE.sub(fill, text)

    def _missing(self, name: str, at: declared.Location) -> errors.VariableMissing:
        path = explaining.name_path([step for step in at if step != "spec"])
        index = at[-2] if len(at) > 1 else ""
        images = self._spec.images
        named = at[:2] == ("spec", "images") and isinstance(index, int) and index < len(images)
        pass_it = f"pass --image {images[int(index)].name}=…, or " if named else ""
        return errors.VariableMissing(
            f"${{{name}}} is used in {path} but not set",
            origin=self._places.of(at),
            hint=f"{pass_it}export {name}",
        )

    def _check_folders(self, stages: Sequence[model.Stage]) -> None:
        """No stage may lie in the folder of another."""
        for stage in stages:
            for other in stages:
                inside = f"{stage.folder}/".startswith(f"{other.folder}/")
                if (
                    inside
                    and (stage is not other)
                    and (stage.folder != other.folder or stage.name > other.name)
                ):
                    self.wrong.append(
                        errors.ConfigInvalid(
                            f"stages {other.name} and {stage.name} would be written to one folder",
                            origin=self._places.of(("spec", "gitopsRepository", "path")),
                            hint="use {stage} in gitopsRepository.path",
                        )
                    )

    def _check_given(self) -> None:
        """What a person named has to be there."""
        spec = self._spec
        known = {
            one.name for one in (*spec.images, *(each for stage in spec.stages for each in stage.images))
        }
        for name in self._given.images.keys() - known - {one.name for one in self._wherever()}:
            self.wrong.append(
                errors.UsageInvalid(
                    f"--image {name}: no image of that name is declared",
                    hint=words.suggestion(name, known) or "add it to images in the Delivery",
                )
            )


def image(reference: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image; "" for what it does not say. A port of a registry is no tag."""
    found = _IMAGE.fullmatch(reference)
    if found is None:
        return reference, "", ""
    name, tag = found["name"], found["tag"] or ""
    return name, tag, found["digest"] or ""


def merged(below: Any, above: Any) -> Any:
    """Two nested mappings as Helm merges values: what is above wins, mappings key by key."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def _namespace(found: delivery.NamespacePart | None) -> model.NamespaceSettings | None:
    if found is None:
        return None
    return model.NamespaceSettings(found.labels, found.annotations, found.quota, found.pull_secret)


def _gate(found: delivery.StagePart) -> model.Gate:
    return model.Gate(
        tuple(model.Requirement(one.stage, one.health, one.soak) for one in found.requires),
        found.approvals,
        found.approvers,
        tuple(window.to_window(each) for each in found.windows),
        found.command,
    )


def _split_chart(settings: dict[str, Any]) -> None:
    """`chart: oci://host/charts/name` as repository and name."""
    chart = str(settings.get("chart") or "")
    if chart.startswith("oci://") and not settings.get("repository"):
        settings["repository"], _, settings["chart"] = chart.rpartition("/")


def _filled(text: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _fill(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled(value, known)
    if isinstance(value, Mapping):
        return {key: _fill(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(item, known) for item in value]
    return value
