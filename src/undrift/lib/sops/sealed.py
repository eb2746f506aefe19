"""Telling an encrypted file from others, and what SOPS wrote about it: for whom, by which rule, with which MAC."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from undrift.lib import yaml

_MARKS: Final = (b"sops", b"ENC[AES256_GCM,")
_ELSEWHERE: Final = ("kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "key_groups", "shamir_threshold")
_COMMENTED: Final = ("encrypted_comment_regex", "unencrypted_comment_regex")
_RULES: Final = ("encrypted_regex", "unencrypted_regex", "encrypted_suffix", "unencrypted_suffix")


class SopsError(ValueError):
    """An encrypted file cannot be decrypted. `problem` tells why and holds nothing of the content."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Unsupported(SopsError):
    """Only SOPS itself can decrypt this: it names a cloud's key service, several key groups, an odd format."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wrapped:
    """The data key, encrypted for one recipient (an age recipient, or the fingerprint of a PGP key)."""

    recipient: str
    encrypted: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Metadata:
    """What SOPS wrote about a file: for whom it is, what is encrypted in it, and its MAC."""

    age: tuple[Wrapped, ...]
    pgp: tuple[Wrapped, ...]
    mac: str
    last_modified: str
    only_encrypted: bool
    rule: str
    pattern: str
    elsewhere: tuple[str, ...] = ()

    def encrypts(self, path: Sequence[str]) -> bool:
        """Whether the leaf at a path of keys has to be encrypted."""
        match self.rule:
            case "unencrypted_suffix":
                return not any(step.endswith(self.pattern) for step in path)
            case "encrypted_suffix":
                return any(step.endswith(self.pattern) for step in path)
            case "unencrypted_regex":
                return not any(re.search(self.pattern, step) for step in path)
            case _:
                return any(re.search(self.pattern, step) for step in path)


@dataclasses.dataclass(frozen=True, slots=True)
class Encrypted:
    """An encrypted file. `kind` is `yaml`, `json`, `binary` or `dotenv`."""

    kind: str
    metadata: Metadata
    text: str = dataclasses.field(repr=False)


def inspect(content: bytes, name: str) -> Encrypted | None:
    """The encrypted file that `content` is, or None. SOPS tells its format by the ending of `name`.

    Raises `SopsError` for one that has lost its metadata's sense, `Unsupported` for an INI file.
    """
    if not all(mark in content for mark in _MARKS):
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    kind = _kind(name)
    try:
        found = _read_metadata(text, kind)
    except ValueError:
        return None
    if not isinstance(found, Mapping) or "mac" not in found:
        return None
    if kind == "ini":
        raise Unsupported("it is an INI file")
    return Encrypted(kind, _metadata(found), text)


def _kind(name: str) -> str:
    ending = name.rsplit("/", 1)[-1].rpartition(".")[2].lower()
    return {"yaml": "yaml", "yml": "yaml", "json": "json", "env": "dotenv", "ini": "ini"}.get(
        ending, "binary"
    )


def _read_metadata(text: str, kind: str) -> Any:
    if kind == "yaml":
        documents = yaml.documents(text)
        data = documents[0].data if documents else None
    elif kind == "dotenv":
        data = {"sops": _unflatten({key[5:]: value for key, value in lines(text) if key.startswith("sops_")})}
    elif kind == "ini":
        return {"mac": ""} if re.search(r"^\[sops\]\s*$", text, re.MULTILINE) else None
    else:
        data = json.loads(text)
    return data.get("sops") if isinstance(data, Mapping) else None


def _metadata(found: Mapping[str, Any]) -> Metadata:
    if any(found.get(name) for name in _COMMENTED):
        raise Unsupported("comments tell what is encrypted in it")
    rules = [(name, str(found[name])) for name in _RULES if found.get(name)]
    rule, pattern = rules[0] if rules else ("unencrypted_suffix", "_unencrypted")
    if "regex" in rule:
        try:
            re.compile(pattern)
        except re.error:
            raise Unsupported(f"{rule} is no regular expression here") from None
    return Metadata(
        age=tuple(_wrapped(found.get("age"), "recipient")),
        pgp=tuple(_wrapped(found.get("pgp"), "fp")),
        mac=str(found["mac"]),
        last_modified=str(found.get("lastmodified", "")),
        only_encrypted=str(found.get("mac_only_encrypted", "")).lower() == "true",
        rule=rule,
        pattern=pattern,
        elsewhere=tuple(name for name in _ELSEWHERE if found.get(name)),
    )


def _wrapped(found: Any, name: str) -> Iterator[Wrapped]:
    for each in found if isinstance(found, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("enc"), str):
            yield Wrapped(str(each.get(name, "")), each["enc"])


def _unflatten(flat: Mapping[str, str]) -> dict[str, Any]:
    """`age__list_0__map_enc` → `{"age": [{"enc": …}]}`, as far as we need it."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        steps = re.fullmatch(r"(\w+?)__list_(\d+)__map_(\w+)", name)
        if steps is None:
            found[name] = value
            continue
        rows = found.setdefault(steps[1], [])
        while len(rows) <= int(steps[2]) < 100:  # noqa: PLR2004 - nobody has that many keys
            rows.append({})
        if int(steps[2]) < len(rows):
            rows[int(steps[2])][steps[3]] = value.replace("\\n", "\n")
    return found


def lines(text: str) -> Iterator[tuple[str, str]]:
    """The variables of a dotenv file."""
    for line in text.split("\n"):
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            yield key, value
