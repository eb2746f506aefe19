"""Where desired state is kept: Git repositories and OCI registries, behind `interfaces.Source`.

The door is `opening.SourcePool`: it gives the source of a declaration, and makes all sources of one repository
share one store and one poll. Each kind has a folder of its own; `credentials` finds what they sign in with.
What belongs here reads (and, for a person's own orders, writes) places that hold desired state; it knows
nothing of targets.
"""
