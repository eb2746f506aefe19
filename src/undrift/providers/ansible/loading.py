"""What a playbook is as a resource: which files it is made of, and with what it is run."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors, interfaces
from undrift.lib import canonical
from undrift.model import resource, secret, source, target
from undrift.providers.ansible import book, running, settings, telling

FILES: Final = "files"
_OPTIONS: Final = ("playbook", "inventory", "varsFiles", "vars", "tags", "skipTags", "limit", "destroy")


def load(rendered: interfaces.Rendered, place: target.Target) -> resource.DesiredState:
    """The playbook as the one resource of its application. Raises `ResourceInvalid`."""
    found: dict[resource.ResourceId, resource.Resource] = {}
    for document in rendered.documents:
        recipe = document.data
        if not isinstance(recipe, Mapping) or "playbook" not in recipe:
            raise errors.ResourceInvalid(
                f"{document.file} is no playbook to run",
                origin=errors.Origin(document.file),
                hint="set spec.renderer of the Application: {kind: ansible, playbook: site.yml}",
            )
        one = _resource(document.file, recipe, rendered, settings.read(place))
        found[one.id] = one
    return resource.DesiredState(found)


def _resource(
    file: str, recipe: Mapping[str, Any], rendered: interfaces.Rendered, given: settings.Settings
) -> resource.Resource:
    fields: dict[str, Any] = {name: _plain(recipe[name]) for name in _OPTIONS if recipe.get(name)}
    fields[FILES] = _digest(rendered.files)
    fields["target"] = canonical.digest(
        [given.inventory, given.variables, sorted(given.secrets), given.user, list(given.known_hosts)]
    )
    folder = file.removesuffix(recipe["playbook"]).rstrip("/") or "."
    kept = book.keep(recipe, rendered.files, rendered.encrypted)
    return resource.Resource(
        resource.ResourceId.of(telling.PLAYBOOK, posixpath.normpath(file)),
        shown(fields, hidden=bool(rendered.encrypted)),
        errors.Origin(file, 1),
        settings={
            "order": running.Order(
                recipe=recipe,
                files=rendered.files,
                encrypted=rendered.encrypted,
                folder=folder,
                playbook=recipe["playbook"],
            ),
            "leaving": kept,
        },
    )


def shown(fields: Mapping[str, Any], *, hidden: bool) -> dict[str, Any]:
    """Fields as they are compared: the digest of files of which some are secret is one, too."""
    return {**fields, FILES: secret.Secret(fields[FILES])} if hidden and FILES in fields else dict(fields)


def kept(fields: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Fields as they are written down, and whether the digest was hidden."""
    value = fields.get(FILES)
    if isinstance(value, secret.Secret):
        return {**fields, FILES: str(value.reveal())}, True
    return dict(fields), False


def _digest(files: Mapping[str, source.File]) -> str:
    return canonical.digest({name: [file.kind.value, file.content.hex()] for name, file in files.items()})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
