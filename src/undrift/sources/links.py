"""Links of an artifact: none may lead out of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from undrift import errors

_HOPS = 40


def check(links: Mapping[str, str]) -> None:
    """Raise `ArtifactRefused` for the first link (path → target) that leads out of the artifact, or in a circle."""
    for path in links:
        _follow(path, links)


def _follow(path: str, links: Mapping[str, str]) -> None:
    """Walk as the system would, one name at a time: what looks inside may leave through another link."""
    todo = path.split("/")[::-1]
    place: list[str] = []
    hops = 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not place:
                raise _leaves(path, links[path])
            place.pop()
            continue
        place.append(part)
        target = links.get("/".join(place))
        if target is None:
            continue
        hops += 1
        if hops > _HOPS:
            raise errors.ArtifactRefused(
                f"the link {path} leads in a circle",
                origin=errors.Origin(path),
                why=f"it points to {target!r}",
                hint="correct or delete the link",
            )
        if target.startswith("/"):
            raise _leaves(path, links[path])
        place.pop()
        todo += reversed(target.split("/"))


def _leaves(path: str, target: str) -> errors.ArtifactRefused:
    return errors.ArtifactRefused(
        f"the link {path} leads out of the tree",
        origin=errors.Origin(path),
        why=f"it points to {target!r}",
        hint="link only to files below the application's path, or make that path a folder above both",
    )
