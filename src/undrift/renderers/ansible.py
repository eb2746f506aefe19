"""The renderer `ansible`: the files as they are, and which playbook is run with what.

Nothing is filled in here: that is Ansible's part. What SOPS encrypted is decrypted in memory; what Ansible Vault
encrypted stays so, and Ansible opens it itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any, Final

import undrift
from undrift import errors, interfaces
from undrift.lib import paths, words
from undrift.model import source, target
from undrift.renderers import opening


class AnsibleRenderer:
    """`kind: ansible`. Settings: playbook, destroy, inventory, varsFiles, vars, tags, skipTags, limit."""

    self_contained = True

    def __init__(self, decryptor: interfaces.Decryptor | None = None) -> None:
        self._decryptor = decryptor

    def beside(self, artifact: source.Artifact, recipe: interfaces.Recipe) -> frozenset[str]:
        """See `interfaces.Renderer`: nothing."""
        return frozenset()

    def version(self) -> str:
        """See `interfaces.Renderer`."""
        return f"ansible {undrift.__version__}"

    async def render(
        self, artifact: source.Artifact, recipe: interfaces.Recipe, facts: target.Facts
    ) -> interfaces.Rendered:
        """See `interfaces.Renderer`. One document: which playbook, and how. Raises all `RenderError`s at once."""
        opened = await opening.opened(artifact.files, artifact.path, self._decryptor)
        wrong = list(opened.wrong.values())
        for name, file in artifact.files.items():
            wrong += _leaving(name, file, artifact.path)
        chosen = _chosen(recipe.settings, artifact.files, wrong)
        if wrong:
            raise errors.gather(wrong)
        document = interfaces.Document(chosen, _origin(artifact.path, chosen["playbook"]).file)
        return interfaces.Rendered(
            (document,), opened.files, opened.encrypted, {"undrift": undrift.__version__}
        )


def _leaving(name: str, file: source.File, folder: str) -> list[errors.UndriftError]:
    """What is wrong with a link that leads out of its folder."""
    if file.kind is not source.FileKind.LINK:
        return []
    if not paths.link_leaves(name, file.content.decode("utf-8", "surrogateescape")):
        return []
    what = f"the link {name} leads out of its folder"
    return [errors.RenderFailed(what, origin=_origin(folder, name), hint="put the file itself here")]


def _chosen(
    given: Mapping[str, Any], files: Mapping[str, source.File], wrong: list[errors.UndriftError]
) -> dict[str, Any]:
    """The settings with their defaults; files that they name have to be there."""
    found: dict[str, Any] = {
        "playbook": "site.yml",
        "destroy": "",
        "inventory": (),
        "varsFiles": (),
        "vars": {},
        "tags": (),
        "skipTags": (),
        "limit": "",
    }
    for name, value in given.items():
        if name not in found:
            hint = words.suggestion(name, found)
            wrong.append(errors.RenderFailed(f"renderer.{name} is not a setting of ansible", hint=hint))
            continue
        reader, hint = _READERS[name]
        try:
            found[name] = reader(value)
        except ValueError:
            wrong.append(errors.RenderFailed(f"renderer.{name} cannot be used", hint=hint))
    named = [found["playbook"], found["destroy"], *found["inventory"], *found["varsFiles"]]
    wrong += [
        errors.RenderFailed(
            f"there is no {name} in the application's folder",
            hint=words.suggestion(name, files) or "add it in the same commit, or correct spec.renderer",
        )
        for name in named
        if name and name not in files and not any(each.startswith(f"{name}/") for each in files)
    ]
    return found


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value or value.startswith(("-", "/")) or "\0" in value:
        raise ValueError
    return posixpath.normpath(value)


def _words(value: Any) -> tuple[str, ...]:
    some = (value,) if isinstance(value, str) else value
    if not isinstance(some, list | tuple) or not all(isinstance(each, str) and each for each in some):
        raise ValueError
    return tuple(some)


def _paths(value: Any) -> tuple[str, ...]:
    return tuple(_path(each) for each in _words(value))


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError  # noqa: TRY004 - the caller tells one kind of mistake
    return dict(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - as above
    return value


_FILE: Final = "write a path in the application's folder"
_READERS: Final[Mapping[str, tuple[Callable[[Any], Any], str]]] = {
    "playbook": (_path, _FILE),
    "destroy": (_path, _FILE),
    "inventory": (_paths, f"{_FILE}, or a list of them"),
    "varsFiles": (_paths, f"{_FILE}, or a list of them"),
    "vars": (_mapping, "write a mapping of names and values"),
    "tags": (_words, "write a list of tags"),
    "skipTags": (_words, "write a list of tags"),
    "limit": (_text, "write a pattern of hosts"),
}


def _origin(folder: str, name: str) -> errors.Origin:
    return errors.Origin(posixpath.normpath(posixpath.join(folder, name)))
