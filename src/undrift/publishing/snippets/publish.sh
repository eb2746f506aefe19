#!/bin/sh
# Publishes this application through its stages; any CI can run it, in a checkout of the application.
#   IMAGE           what your build has pushed: registry.example/petclinic:1.2.3
#   SEQUENCE        a number that grows from build to build, where CI has one
#   UNDRIFT_TOKEN   may write to the GitOps repository and open pull requests there; no access to any target is needed
# What else undrift publish knows is handed over: ./publish.sh --dry-run
set -eu
: "${IMAGE:?is not set: which image has your build pushed?}"

# Where that token may go, whatever undrift.yaml says.
export UNDRIFT_FORGE_HOST="${UNDRIFT_FORGE_HOST:-forge.example}"

# The whole history says which of two commits is the newer one.
if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    git fetch --quiet --unshallow --filter=tree:0
fi
if ! command -v undrift >/dev/null; then
    undrift() { uvx undrift@0.1.0 "$@"; }
fi
undrift publish --image application="$IMAGE" ${SEQUENCE:+--sequence "$SEQUENCE"} "$@"
