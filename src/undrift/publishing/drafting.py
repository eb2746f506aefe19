"""An outline → the text of `undrift.yaml`, commented for somebody who has never seen one.

Prose stands behind `# `; a field that may be wanted stands behind `#` alone, so that taking that sign away turns it on.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from undrift.lib import yaml
from undrift.publishing import outline, surveying

_WIDTH: Final = 100
_HEAD: Final = """\
# yaml-language-server: $schema=undrift.schema.json
# How {application} gets from this repository into the GitOps repository, stage by stage: `undrift publish`.
# The line above is for editors: `undrift schema Delivery >undrift.schema.json`. Every field: docs/reference/delivery.md.
"""
_WHERE: Final = """\
  # The GitOps repository: rendered files are written to it, and agents make them true.
  # No credential here: UNDRIFT_TOKEN (and UNDRIFT_USERNAME, where the forge wants one) come from CI's secrets.
  gitopsRepository:
"""
_FOLDER: Final = """\
    # The folder of each stage. All in it is ours: what is not rendered any more is deleted.
"""
_KEPT: Final = """\
    # Files in it that are somebody else's:
    #keep: ["README.md"]
"""
_FORGE: Final = """\
    # Which forge it is, where its address does not tell: github, gitlab, gitea, forgejo, bitbucket,
    # bitbucket-server, azure-devops, scm-manager; none is a Git server without pull requests.
    #forge: gitea
"""
_IMAGES: Final = """\
  # Images that CI has built. `name` is a container, an image of a kustomization, or with Helm a path in the values.
  # CI passes them: `undrift publish --image NAME=REFERENCE`. ${VARIABLE} is a variable of CI; one that is not set
  # is an error, unless a default stands behind `:-` (with an empty one the manifest's own tag stays).
  images:
"""
_STAGES: Final = """\
  # The stages, in the order in which a revision goes through them.
  # publish: `direct` commits to the branch, `pull-request` has people merge it.
  stages:
"""
_GATE: Final = """\
    # Not before another stage has been healthy, as the agent reports it, for a while:
    #requires: [{{stage: {before}, health: Healthy, soak: 1h}}]
"""
_TARGET: Final = """\
    # Write the agent's Application for this stage as well, for a Target of that name; and its Namespace:
    #target: kubernetes
    #createNamespace: {}
"""
_MORE: Final = """\

  # The Kubernetes version that is rendered and validated for:
  #kubeVersion: "1.33"

  # One value, wherever it stands in the manifests (with Helm: in the values):
  #set: [{{path: spec.replicas, value: 2, resource: "Deployment/*"}}]

  # Checks of all stages before anything is pushed. Left out: yaml, schema, helm and policy.
  #validators: [{{kind: yaml}}, {{kind: schema}}, {{kind: helm}}, {{kind: policy}}]

  # A stage of its own for each pull request of this repository (`undrift preview`):
  #preview: {{stage: {first}, ttl: 3d}}

  # What `undrift apply --local` may touch on your own machine:
  #local: {{stage: {first}, contexts: ["kind-*", "minikube"]}}
"""


def draft(found: outline.Outline) -> str:
    """The whole file."""
    return "".join(_sections(found))


def scalar(value: Any) -> str:
    """A value on one line, as YAML."""
    return yaml.dump([value]).removeprefix("- ").strip()


def _sections(found: outline.Outline) -> Iterator[str]:
    yield _HEAD.format(application=found.application)
    for remark in found.remarks:
        yield from _prose(f"* {remark}", "", "  ")
    yield "apiVersion: undrift.dev/v1\nkind: Delivery\nmetadata:\n"
    yield "  # The application's name is part of folders, branches and commits: choose it once.\n"
    yield f"  name: {scalar(found.application)}\nspec:\n"
    yield from _destination(found)
    yield "\n"
    yield from _source(found)
    if found.images:
        yield f"\n{_IMAGES}"
        yield from (line for one in found.images for line in _image(one))
    for name, value in found.spec.items():
        yield f"\n{_block({name: value}, '  ')}"
    yield f"\n{_STAGES}"
    for index, step in enumerate(found.stages):
        yield from _stage(step, _before(step, found.stages[:index]))
    yield _optional(found)


def _destination(found: outline.Outline) -> Iterator[str]:
    yield _WHERE
    if not found.url:
        yield f"    # Here its URL is missing: https://forge.example/ops/gitops.git in place of {outline.PLACEHOLDER}.\n"
    yield f"    url: {scalar(found.url or outline.PLACEHOLDER)}\n"
    yield f"    # The branch that agents read.\n    branch: {scalar(found.branch)}\n"
    yield f"{_FOLDER}    path: {scalar(found.folder)}\n{_KEPT}"
    yield f"    forge: {scalar(found.forge)}\n" if found.forge else _FORGE


def _source(found: outline.Outline) -> Iterator[str]:
    renderer, settings = found.source
    yield from _prose(f"What stages are rendered from. {found.seen}".strip(), "  ")
    yield f"  source:\n    {renderer}:\n{_block(settings, '      ')}"


def _image(one: outline.Image) -> Iterator[str]:
    if one.seen:
        yield from _prose(one.seen, "  ")
    sign = "" if one.ours else "#"
    text = _block([{"name": one.name, **one.fields}], "")
    yield from (f"  {sign}{line}\n" for line in text.splitlines())


def _stage(step: outline.Step, before: str) -> Iterator[str]:
    for remark in step.remarks:
        yield from _prose(remark, "  ")
    yield f"  - name: {scalar(step.name)}\n"
    if step.namespace:
        yield f"    namespace: {scalar(step.namespace)}\n"
    else:
        yield f"    # Left out, the namespace is the stage's name.\n    #namespace: {scalar(step.name)}\n"
    yield f"    publish: {step.publish}\n"
    if step.more:
        yield _block(step.more, "    ")
    if before:
        yield _GATE.format(before=before)
    else:
        yield _TARGET


def _before(step: outline.Step, others: Sequence[outline.Step]) -> str:
    """The stage that a revision comes from: one that is farther from production, not one side by side."""
    farther = [one.name for one in others if surveying.rank(one.name) < surveying.rank(step.name)]
    return next(iter(farther[-1:]), others[-1].name if others else "")


def _optional(found: outline.Outline) -> str:
    """What may be wanted one day, without that which is there already."""
    blocks = _MORE.format(first=found.stages[0].name).split("\n\n")
    kept = [one for one in blocks if one.rpartition("#")[2].partition(":")[0] not in found.spec]
    text = "\n\n".join(one.strip("\n") for one in kept)
    return f"\n{text}\n" if kept else ""


def _block(value: Any, indent: str) -> str:
    return textwrap.indent(yaml.dump(value), indent)


def _prose(text: str, indent: str, hang: str = "") -> Iterator[str]:
    """Lines of a comment."""
    first, more = f"{indent}# ", f"{indent}# {hang}"
    width = _WIDTH + len(indent)
    for line in textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=more,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield f"{line}\n"
