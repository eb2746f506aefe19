"""A user's `.yamllint`: its own words (https://yamllint.readthedocs.io/en/stable/configuration.html), read by us.

`extends: default` and `relaxed` are known, and files beside it. yamllint itself is GPL, so it is never imported; where
it is installed it may be run as a program (`texts`), and rules that only it knows are named as not checked otherwise.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import words, yaml
from undrift.publishing.checks import styling

NAMES: Final = (".yamllint", ".yamllint.yaml", ".yamllint.yml")
_ON, _OFF = {"enable", True}, {"disable", False}
_DEFAULT: Final[Mapping[str, Mapping[str, Any]]] = {
    "anchors": {},
    "braces": {},
    "brackets": {},
    "colons": {},
    "commas": {},
    "comments": {"level": "warning"},
    "comments-indentation": {"level": "warning"},
    "document-start": {"level": "warning"},
    "empty-lines": {},
    "hyphens": {},
    "indentation": {},
    "key-duplicates": {},
    "line-length": {},
    "new-line-at-end-of-file": {},
    "new-lines": {},
    "trailing-spaces": {},
    "truthy": {"level": "warning"},
}
_RELAXED: Final[Mapping[str, Mapping[str, Any]]] = {
    **{name: dict(one) for name, one in _DEFAULT.items()},
    "braces": {"level": "warning", "max-spaces-inside": 1},
    "brackets": {"level": "warning", "max-spaces-inside": 1},
    "colons": {"level": "warning"},
    "commas": {"level": "warning"},
    "empty-lines": {"level": "warning"},
    "hyphens": {"level": "warning"},
    "indentation": {"level": "warning", "indent-sequences": "consistent"},
    "line-length": {"level": "warning", "allow-non-breakable-inline-mappings": True},
}
_PRESETS: Final = {
    "default": _DEFAULT,
    "relaxed": {
        name: one
        for name, one in _RELAXED.items()
        if name not in {"comments", "comments-indentation", "document-start", "truthy"}
    },
}
_UNKNOWN: Final = ("quoted-strings", "float-values", "key-ordering")
"""Rules of yamllint that are not made here."""
_KNOWN: Final = (*styling.RULES, *_UNKNOWN)
_DEEPEST: Final = 5


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Config:
    """What is looked at and how. `rules` are those that are on, with their options; `ignore` as in a .gitignore.

    `file` is where it was found; `unknown` are rules that only yamllint itself can check.
    """

    file: str
    rules: Mapping[str, Mapping[str, Any]]
    ignore: tuple[str, ...]
    patterns: tuple[str, ...]
    unknown: tuple[str, ...]

    def covers(self, path: str) -> bool:
        """Whether a file is to be looked at."""
        name = path.rpartition("/")[2]
        return any(fnmatch.fnmatch(name, one) for one in self.patterns) and not _ignored(path, self.ignore)

    def rules_for(self, path: str) -> dict[str, Mapping[str, Any]]:
        """The rules that hold for a file: a rule may ignore some of its own."""
        return {
            name: options
            for name, options in self.rules.items()
            if not _ignored(path, _patterns(options.get("ignore")))
        }


def find(folder: pathlib.Path) -> pathlib.Path | None:
    """The configuration at the top of a repository."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read(path: pathlib.Path) -> Config:
    """A configuration. Raises `ConfigInvalid` for what is none."""
    written = _mapping(path)
    asked_for = _rules(path, written, 0)
    rules = {name: options for name, options in asked_for.items() if name not in _UNKNOWN}
    asked = tuple(name for name in asked_for if name in _UNKNOWN)
    ignore = _patterns(written.get("ignore"))
    for name in _patterns(written.get("ignore-from-file")):
        listed = path.parent / name
        ignore += _patterns(listed.read_text("utf-8", "replace")) if listed.is_file() else ()
    patterns = _patterns(written.get("yaml-files")) or ("*.yaml", "*.yml", ".yamllint")
    return Config(path.name, rules, ignore, patterns, asked)


def _rules(path: pathlib.Path, written: Mapping[str, Any], depth: int) -> dict[str, Mapping[str, Any]]:
    """Rules with their options, those that it extends first."""
    found: dict[str, Mapping[str, Any]] = {}
    extended = written.get("extends")
    if isinstance(extended, str) and extended in _PRESETS:
        found = dict(_PRESETS[extended])
    elif extended:
        other = path.parent / str(extended)
        if depth >= _DEEPEST or not other.is_file():
            raise _invalid(
                path, f"extends {extended}, which there is not", "write default, relaxed or a file"
            )
        found = _rules(other, _mapping(other), depth + 1)
    for name, said in (written.get("rules") or {}).items():
        if name not in _KNOWN:
            raise _invalid(path, f"{name} is no rule of yamllint", words.suggestion(str(name), _KNOWN))
        if isinstance(said, Mapping):
            found[name] = {**found.get(name, {}), **said}
        elif said in _ON:
            found.setdefault(name, {})
        elif said in _OFF:
            found.pop(name, None)
        else:
            raise _invalid(path, f"the rule {name} cannot be read", "write enable, disable or its options")
    return found


def _mapping(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        documents = yaml.documents(path.read_bytes(), path.name)
    except (yaml.YamlError, OSError) as error:
        raise _invalid(path, f"it cannot be read: {error}", "correct it") from None
    data = documents[0].data if documents else {}
    rules = data.get("rules") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(rules, Mapping | None):
        raise _invalid(path, "it is no mapping with rules", "write extends: default")
    return data


def _invalid(path: pathlib.Path, problem: str, hint: str) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(
        f"{path.name} cannot be used", origin=errors.Origin(path.name), why=problem, hint=hint
    )


def _patterns(value: Any) -> tuple[str, ...]:
    lines = value.splitlines() if isinstance(value, str) else value if isinstance(value, list) else ()
    return tuple(one.strip() for one in map(str, lines) if one.strip() and not one.lstrip().startswith("#"))


def _ignored(path: str, patterns: tuple[str, ...]) -> bool:
    """As .gitignore: a pattern without a slash is about names at any depth, `!` takes back; the last one wins."""
    ignored = False
    for pattern in patterns:
        kept, text = pattern.startswith("!"), pattern.removeprefix("!")
        anchored = "/" in text.rstrip("/")
        bare = text.strip("/")
        parts = path.split("/")
        tried = ["/".join(parts[: length + 1]) for length in range(len(parts))] if anchored else parts
        if text.endswith("/"):
            tried = tried[:-1]
        if any(fnmatch.fnmatch(one, bare) for one in tried):
            ignored = not kept
    return ignored
