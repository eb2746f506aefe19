"""Undrift makes what is declared in Git true on every layer, and keeps it true.

This package holds nothing but the version; see `docs/explanation/architecture.md` for what lives where.
"""

__version__ = "0.1.0"
