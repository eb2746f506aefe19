"""An order in which everything comes after what it needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping


def after(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The names of `needs`, each after those that it needs and else as they came; what is not there needs nothing.

    Circles are cut somewhere. Never recursive: a chain may be long.
    """
    order: dict[str, None] = {}
    begun: set[str] = set()
    todo = list(needs)[::-1]
    while todo:
        name = todo[-1]
        below = [each for each in needs[name] if each in needs and each not in begun]
        begun.add(name)
        if below:
            todo.extend(reversed(below))
        else:
            order[todo.pop()] = None
    return list(order)


def through(needs: Mapping[str, Iterable[str]], leaving: Collection[str]) -> list[str]:
    """The same where some leave: those come first, each before what it needs."""
    gone = after({name: some for name, some in needs.items() if name in leaving})[::-1]
    return gone + after({name: some for name, some in needs.items() if name not in leaving})
