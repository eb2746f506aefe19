"""The beginning of a delivery: `undrift.yaml` from what lies in a repository, or from a Jenkinsfile; and CI's file.

Nothing that is there is written over unless that is asked for; what was found wanting is said in the file itself.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Final

from undrift import errors
from undrift.config import delivering, staging
from undrift.forges import address
from undrift.lib import atomic, process
from undrift.publishing import drafting, guessing, jenkinsfile, outline, snippets, surveying

_TIMEOUT: Final = 10.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for: a folder, and what it cannot tell by itself. "" is: find out, or none."""

    folder: pathlib.Path
    application: str = ""
    gitops: str = ""
    jenkinsfile: str = ""
    ci: str = ""
    force: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """What was made. `text` is the new `undrift.yaml` ("": the one that is there was kept), `ci_text` is CI's file;
    `written` are the files that were written.
    """

    file: pathlib.Path
    text: str
    outline: outline.Outline | None
    ci_file: pathlib.Path | None
    ci_text: str
    written: tuple[pathlib.Path, ...]


async def begin(order: Order) -> Begun:
    """Write `undrift.yaml`, and CI's file where one is asked for.

    Raises `UsageInvalid`: the folder or Jenkinsfile is not there, or `undrift.yaml` is and nothing else is asked for.
    """
    if not order.folder.is_dir():
        raise errors.UsageInvalid(f"{order.folder} is no folder", hint="name the application's repository")
    there = next((order.folder / name for name in delivering.NAMES if (order.folder / name).exists()), None)
    file = there or order.folder / delivering.NAMES[0]
    kept = there is not None and not order.force
    if kept and not order.ci:
        raise errors.UsageInvalid(
            f"{file} is there already",
            hint="edit it, or write it anew with --force; --ci NAME alone leaves it as it is",
        )
    found = None if kept else await _outlined(order)
    text = drafting.draft(found) if found else ""
    ci_file, ci_text = _of_ci(order, _image(found, file), _host(order, found, file))
    written = []
    if text:
        atomic.write(file, text.encode(), 0o644)
        written.append(file)
    if ci_file is not None and (order.force or not ci_file.exists()):
        ci_file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(ci_file, ci_text.encode(), 0o755 if ci_file.suffix == ".sh" else 0o644)
        written.append(ci_file)
    return Begun(file, text, found, ci_file, ci_text, tuple(written))


async def _outlined(order: Order) -> outline.Outline:
    tree = surveying.look(order.folder)
    if order.jenkinsfile:
        source = order.folder / order.jenkinsfile
        if not source.is_file():
            raise errors.UsageInvalid(
                f"{source} does not exist", hint="name the file: undrift init --from-jenkinsfile FILE"
            )
        found = jenkinsfile.convert(source.read_text(encoding="utf-8"), order.jenkinsfile, tree)
    else:
        found = guessing.guess(tree, await _name(order.folder))
    return dataclasses.replace(
        found,
        application=_checked(order.application) or found.application or await _name(order.folder),
        url=order.gitops or found.url,
    )


def _checked(name: str) -> str:
    if name and surveying.name_of(name) != name:
        raise errors.UsageInvalid(
            f"{name} is not a name", hint=f"try {surveying.name_of(name)}" if surveying.name_of(name) else ""
        )
    return name


async def _name(folder: pathlib.Path) -> str:
    """The name of the repository on its forge, where the folder is all of it; else that of the folder."""
    url = await _git(folder, "remote", "get-url", "origin")
    inside = await _git(folder, "rev-parse", "--show-prefix")
    last = re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git") if url and not inside else folder.name
    return surveying.name_of(last) or "application"


async def _git(folder: pathlib.Path, *arguments: str) -> str:
    """What Git says of a folder; "" where it knows nothing, or is not there."""
    try:
        done = await process.run(
            ["git", "-C", str(folder), *arguments], limits=process.Limits(timeout=_TIMEOUT)
        )
    except process.ProcessError:
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def _of_ci(order: Order, image: str, host: str) -> tuple[pathlib.Path | None, str]:
    """CI's file and its text."""
    if not order.ci:
        return None, ""
    return order.folder / snippets.FILES[order.ci], snippets.text(order.ci, image, host)


def _host(order: Order, found: outline.Outline | None, file: pathlib.Path) -> str:
    """The host of the GitOps repository's forge; "" where nobody said it."""
    url = order.gitops or (found.url if found is not None else "")
    if not url:
        try:
            read = delivering.read(file.read_bytes(), file.name, staging.Given(lenient=True))
        except (errors.UndriftError, OSError):
            return ""
        url = read[0].delivery.destination.url if read else ""
    where = address.read(url)
    return where.host if where is not None else ""


def _image(found: outline.Outline | None, file: pathlib.Path) -> str:
    """The name of the image that CI passes: the first one that is declared."""
    if found is not None:
        return found.images[0].name if found.images else ""
    try:
        read = delivering.read(file.read_bytes(), file.name)
    except errors.UndriftError:
        return ""
    images = [image.name for one in read for stage in one.delivery.stages for image in stage.images]
    return images[0] if images else ""
