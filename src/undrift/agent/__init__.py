"""The process that never stops: what is due, who works on it, and what is remembered of it.

`agent` is the composition root and builds everything else; nothing here knows a kind of target by name.
"""
