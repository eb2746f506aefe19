"""Undrift's own configuration: documents in Git read into frozen values, and the settings of the process.

What belongs here knows how a declaration is *written* (YAML, field names, SOPS, generators); what it *means*
is in `undrift.model`. Nothing here talks to a target or a source.
"""
