"""Artifacts in OCI registries as sources.

`source.OciSource` ──▶ `registry` (tags, manifests and layers over HTTP, with sign-in) ──▶ `archives` (a layer → files)
"""
