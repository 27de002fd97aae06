"""How long the critical path of a run is: what nobody can hurry.

That is that Hetzner makes a server and it boots to the end of its cloud-init, that k3s begins a cluster, that masters
and workers join, and that Hetzner deletes a server. Requests, key exchanges, records, noticing and waiting are ours,
and make the ratio wall / critical path (docs/performance.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Step = tuple[str, str]
"""Kind of a step and its target, as in `CreateServer prod-master1`."""

ORDER, BIRTH = "CreateServer", "InitControlPlane"
JOINS = frozenset({"JoinControlPlane", "JoinWorker"})
_BEGUN = re.compile(r" *([\d.]+) (\w+) ([\w-]+): ")
_DONE = re.compile(r" *[\d.]+ (\w+) ([\w-]+) done after ([\d.]+) s")


def length(boot: Mapping[str, float], took: Mapping[Step, float]) -> float:
    """Return the seconds of the longest chain of a run that makes servers.

    Args:
        boot: seconds from the order of a server to the end of its cloud-init, by name.
        took: seconds of each step that was done.
    """
    births = (boot[name] + seconds for (verb, name), seconds in took.items() if verb == BIRTH)
    cluster = max(births, default=0.0)
    joins = [(name, seconds) for (verb, name), seconds in took.items() if verb in JOINS]
    return max((max(cluster, boot.get(name, 0.0)) + seconds for name, seconds in joins), default=cluster)


def boots(begun: Mapping[Step, float], ready: Mapping[str, float]) -> dict[str, float]:
    """Return how long each server took from its order until it was ready; seconds of one clock."""
    return {name: ready[name] - at for (verb, name), at in begun.items() if verb == ORDER and name in ready}


def read_lines(lines: Iterable[str]) -> tuple[dict[Step, float], dict[Step, float]]:
    """Read when the steps of a simulated run began, and how long they took, from what it told."""
    told = list(lines)
    begun = {(m[2], m[3]): float(m[1]) for line in told if (m := _BEGUN.match(line))}
    took = {(m[1], m[2]): float(m[3]) for line in told if (m := _DONE.match(line))}
    return begun, took
