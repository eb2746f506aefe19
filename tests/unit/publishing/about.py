"""A pull request's subject for tests, and files for contrasts."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

from undrift.model import delivery, forge, publication, source
from undrift.publishing import contrasting, subject

OLD = publication.AppRevision(
    "a" * 40,
    "https://forge.example/shop/petclinic",
    "Ada Example <ada@example.com>",
    1_700_000_000.0,
    "Before",
)
NEW = publication.AppRevision(
    "b" * 40,
    "https://forge.example/shop/petclinic",
    "Ada Example <ada@example.com>",
    1_800_000_000.0,
    "Sell cat food",
    "Sell cat food\n\nThey asked for it.",
    ("#42", "SHOP-7"),
    "main",
    512,
)
TREE = "c" * 40
STAGING = subject.Prior(
    "staging", NEW, True, 1_800_000_000.0, "Healthy", 7800.0, delivery.Requirement("staging", soak=3600.0)
)


def files(**contents: str | bytes) -> dict[str, source.File]:
    """Files by their names, `__` for a slash and `_yaml` for the ending; texts are dedented."""
    return {
        name.replace("__", "/").replace("_yaml", ".yaml"): file(content) for name, content in contents.items()
    }


def file(content: str | bytes) -> source.File:
    """A file; a text is dedented."""
    return source.File(content if isinstance(content, bytes) else textwrap.dedent(content).encode())


def workload(tag: str = "1.4.1", replicas: int = 2, name: str = "web") -> str:
    """A Deployment."""
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  template:
    spec:
      containers:
        - name: app
          image: registry.example/petclinic:{tag}
          resources: {{requests: {{cpu: 250m, memory: 128Mi}}}}
"""


CONTRAST = contrasting.contrast(files(web_yaml=workload()), files(web_yaml=workload("1.5.0")))


def about(**changes: Any) -> subject.Subject:
    """A subject that has nothing special."""
    made = subject.Subject(
        application="petclinic",
        stage="production",
        tree=TREE,
        branch="undrift/petclinic/production",
        revision=NEW,
        before=OLD,
        contrast=CONTRAST,
        changelog=subject.Changelog(subject.Relation.AHEAD, (NEW,)),
        priors=(STAGING,),
        links=forge.Links(commit="https://forge.example/ops/gitops/commit/{sha}"),
        source_links=forge.Links(
            commit="https://forge.example/shop/petclinic/commit/{sha}",
            compare="https://forge.example/shop/petclinic/compare/{old}...{new}",
        ),
    )
    return dataclasses.replace(made, **changes)
