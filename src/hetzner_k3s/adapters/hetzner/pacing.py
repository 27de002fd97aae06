"""How often Hetzner is asked while something is awaited.

See docs/facts/hetzner-api.md#requests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import ServerOrder

AT_ONCE: Final = 50
"""How many actions one request asks for, or servers one page brings."""

SELECTED_AFTER: Final = 12.0
"""Seconds in which a firewall is applied to a selector (docs/facts/hetzner-api.md#latencies); nobody waits for that."""

_IN_FORCE_EACH: Final = 2.0
_IN_FORCE_MOST: Final = 20.0
"""Seconds that a server needs to have new rules; the last of many needs longer, by the root of how many they are."""

_FIRST_PAUSE: Final = 0.5
_OF_EXPECTED: Final = 0.25
"""Seconds until actions are asked for once more, and at least this much of what they were given before."""

_FIRST_LOOK: Final = 2.0
"""Seconds until a listing is asked for a server that was just ordered."""

_FIRST_LOOK_WATCHED: Final = 90.0
"""The same where somebody watches its public address, and tells when it answers there: most have by then."""

LOOKS_AT_ACTIONS: Final = frozenset({4, 8, 16, 32, 64})
"""At which looks actions are asked for too: a failure is noticed before the wait has lasted twice as long."""

MISSED_LOOKS: Final = 3
"""How often a server may be missing from the listing, or the listing fail, before that is looked into."""

_LONGEST_PAUSE: Final = 5.0
_SLOWER: Final = 1.25
_SHORTEST: Final = 1.0
_LONGEST: Final = 3.0
_LONGER_EACH: Final = 0.2
"""By how much each awaited server lengthens the longest pause: one that is repaired should not wait, and of many that
are born together the listing is the dearer the more they are."""
_OF_AGE: Final = 0.2
"""The next look comes after a fifth of the time waited so far: a server is noticed at most that much late."""
_BETWEEN_EACH: Final = 0.05
_MOST_BETWEEN: Final = 5.0
_BETWEEN_WATCHED: Final = 60.0
_LATER_EACH_WATCHED: Final = 1.0
"""For servers that are watched: Hetzner only tells of those that fail, or do not answer. Many wait for one another."""


def in_force_after(actions: int) -> float:
    """Return the seconds after which a firewall's rules are asked for; one action is its own, each other a server's."""
    return min(_IN_FORCE_MOST, _IN_FORCE_EACH * math.sqrt(max(0, actions - 1)))


def first_pause(expected: float) -> float:
    """Return the pause (seconds) before the first look at actions that were given the expected time already."""
    return max(_FIRST_PAUSE, _OF_EXPECTED * expected)


def longer(pause: float) -> float:
    """Return the pause (seconds) that follows one between two looks at actions."""
    return min(_LONGEST_PAUSE, pause * _SLOWER)


def until_look(left: Iterable[float]) -> float:
    """Return how long to sleep when looks are due in so many seconds; not long: somebody else may begin to wait."""
    return max(0.0, min([_SHORTEST, *left]))


def between_looks(awaited: int, *, watched: bool) -> float:
    """Return the seconds that lie between two looks at least, beside so many awaited servers."""
    if watched:
        return _BETWEEN_WATCHED + _LATER_EACH_WATCHED * awaited
    return min(_MOST_BETWEEN, _BETWEEN_EACH * awaited)


def one_after_another(quiet: float) -> bool:
    """Check whether servers still come, when the last one came so many seconds ago: then the rest will, too."""
    return quiet < _BETWEEN_WATCHED


def first_look(*, watched: bool) -> float:
    """Return the seconds until the first look at a server that was just ordered."""
    return _FIRST_LOOK_WATCHED if watched else _FIRST_LOOK


def next_look(age: float, awaited: int, *, watched: bool) -> float:
    """Return the seconds until the next look at a server that was waited for so long, beside so many in all."""
    if watched:
        return between_looks(awaited, watched=True)
    return min(_LONGEST + _LONGER_EACH * awaited, max(_SHORTEST, _OF_AGE * age))


def narrowed(orders: Iterable[ServerOrder]) -> dict[str, str]:
    """Return what a listing of servers can be narrowed to: the cluster that all orders are for."""
    clusters = {order.labels.get(naming.LABEL_CLUSTER) for order in orders}
    name = clusters.pop() if len(clusters) == 1 else None
    return {} if name is None else {"label_selector": naming.cluster_selector(name)}
