"""Providers: one folder for each kind of target, all with `provider.py`, `observing.py`, `applying.py`, `health.py`.

A provider implements `interfaces.Provider` and nothing more: no page, table or command of its own. Providers do
not know each other, nor sources and renderers; what they share belongs in `lib`.
"""
