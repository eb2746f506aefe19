"""What a CI system runs, ready to be committed: one file for each system, as the documentation shows it."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from typing import Final

FILES: Final[Mapping[str, str]] = {
    "azure": "azure-pipelines.yml",
    "gitea": ".gitea/workflows/undrift.yaml",
    "github": ".github/workflows/undrift.yml",
    "gitlab": ".gitlab-ci.yml",
    "jenkins": "Jenkinsfile",
    "shell": "publish.sh",
}
"""CI system → where in a repository its file is."""
_SOURCES: Final[Mapping[str, str]] = {
    "azure": "azure.yml",
    "gitea": "gitea.yml",
    "github": "github.yml",
    "gitlab": "gitlab.yml",
    "jenkins": "Jenkinsfile",
    "shell": "publish.sh",
}
_IMAGE: Final = "application="
_HOST: Final = "forge.example"


def text(system: str, image: str = "", host: str = "") -> str:
    """The file of a CI system; `image` is the name that `undrift.yaml` gives to the image that CI built, `host` the one
    that the token is for.
    """
    found = importlib.resources.files(__package__).joinpath(_SOURCES[system]).read_text(encoding="utf-8")
    found = found.replace(_HOST, host) if host else found
    return found.replace(f"--image {_IMAGE}", f"--image {image}=") if image else found
