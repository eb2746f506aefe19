"""Evaluates Jsonnet in a process of its own: `python -m undrift.lib.jsonnet`, a `Question` in, an `Answer` out, as JSON.

Whatever is imported comes from the files of the question: nothing is read from disk, and there is no network.
The process may be given limits from outside; an evaluation that never ends ends with it.
"""

from __future__ import annotations

import base64
import json
import posixpath
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

_STACK = 500


class Question(TypedDict):
    """`files` by path, in base64; `mains` are evaluated one by one; `libraries` are folders that are searched.

    `variables` (`std.extVar`) and `arguments` (of a top-level function) are JSON-like.
    """

    files: dict[str, str]
    mains: list[str]
    libraries: list[str]
    variables: dict[str, Any]
    arguments: dict[str, Any]


class Answer(TypedDict):
    """What each main came to, and the paths of all that it imported; or what was said instead, and by which."""

    values: list[Any]
    imported: list[list[str]]
    failed: str
    said: str


def question(
    files: Mapping[str, bytes],
    mains: Iterable[str],
    libraries: Iterable[str],
    variables: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> bytes:
    """A `Question` as the process reads it."""
    packed = {path: base64.b64encode(content).decode() for path, content in files.items()}
    asked = Question(
        files=packed,
        mains=list(mains),
        libraries=list(libraries),
        variables=dict(variables),
        arguments=dict(arguments),
    )
    return json.dumps(asked).encode()


def answer(asked: Question) -> Answer:
    """Evaluate every main in turn, until one fails."""
    import _jsonnet  # noqa: PLC0415 - only in the process that evaluates

    files = {path: base64.b64decode(content) for path, content in asked["files"].items()}
    told = Answer(values=[], imported=[], failed="", said="")
    for main in asked["mains"]:
        found: set[str] = set()

        def bring(folder: str, name: str, found: set[str] = found) -> tuple[str, bytes]:
            path = _find(files, folder, name, asked["libraries"])
            found.add(path)
            return path, files[path]

        try:
            made = _jsonnet.evaluate_snippet(
                main,
                files[main].decode("utf-8"),
                import_callback=bring,
                max_stack=_STACK,
                ext_codes={name: json.dumps(value) for name, value in asked["variables"].items()},
                tla_codes={name: json.dumps(value) for name, value in asked["arguments"].items()},
            )
        except (RuntimeError, UnicodeDecodeError) as error:
            told["failed"], told["said"] = main, str(error)
            break
        told["values"].append(json.loads(made))
        told["imported"].append(sorted(found))
    return told


def _find(files: Mapping[str, bytes], folder: str, name: str, libraries: Iterable[str]) -> str:
    """Beside the importing file first, then in the libraries in their order, as `jsonnet -J` does."""
    for place in (folder, *libraries):
        path = posixpath.normpath(posixpath.join(place, name))
        if path in files:
            return path
    raise RuntimeError("there is no such file, neither beside this one nor in a library")


def _main() -> None:
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    _main()
