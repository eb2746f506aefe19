"""What `undrift init` has written, and what comes next."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from undrift.cli import telling
from undrift.publishing import initiating


def lines(begun: initiating.Begun) -> Iterator[str]:
    """For people: the files, what was found, what a person should know, the next steps."""
    for path in begun.written:
        yield f"{telling.style('wrote', fg='green')} {_near(path)}"
    if not begun.text:
        yield f"{_near(begun.file)} is there already and was left as it is"
    found = begun.outline
    if found is not None:
        stages = " → ".join(f"{step.name} ({step.publish})" for step in found.stages)
        yield ""
        yield f"  application:  {found.application}"
        yield f"  source:       {found.source[0]}. {found.seen}".rstrip()
        yield f"  stages:       {stages}"
        yield from (f"  note:         {remark}" for remark in found.remarks)
    if begun.ci_file is not None and begun.ci_file not in begun.written:
        yield ""
        yield f"{_near(begun.ci_file)} is there already; this belongs into it:"
        yield ""
        yield from (f"    {line}".rstrip() for line in begun.ci_text.splitlines())
    yield ""
    yield "next:"
    yield from (f"  {number}. {step}" for number, step in enumerate(_next(begun), 1))


def data(begun: initiating.Begun) -> dict[str, Any]:
    """For machines."""
    found = begun.outline
    return {
        "file": str(begun.file),
        "written": [str(path) for path in begun.written],
        "application": found.application if found else None,
        "source": found.source[0] if found else None,
        "stages": [{"name": step.name, "publish": step.publish} for step in found.stages] if found else [],
        "remarks": list(found.remarks) if found else [],
        "ci_file": str(begun.ci_file) if begun.ci_file else None,
        "ci": begun.ci_text or None,
    }


def _next(begun: initiating.Begun) -> Iterator[str]:
    if begun.outline is not None and not begun.outline.url:
        yield f"write the URL of the GitOps repository into {_near(begun.file)}, in place of CHANGE-ME"
    if begun.outline is not None:
        yield f"look through {_near(begun.file)}; lines behind #field: are what else there is"
    yield "undrift validate: is it right, and what it renders?"
    yield "commit it; then undrift publish --dry-run: what would come into the GitOps repository?"
    if begun.ci_file is None:
        yield "undrift init --ci github|gitlab|jenkins|gitea|azure|shell: have CI publish"
    else:
        yield "give CI the secret UNDRIFT_TOKEN, which may write to the GitOps repository, and nothing else"


def _near(path: pathlib.Path) -> str:
    """A path as it is said from here."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown
