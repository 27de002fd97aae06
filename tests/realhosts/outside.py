"""The API of a cluster as its user sees it: asked through the load balancer, from the operator's place."""

from __future__ import annotations

import itertools
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.realhosts.cluster import Cluster, tell

_SERVING = {"200", "401"}
"""What a request without a certificate gets from an API that serves (docs/facts/k3s.md#readiness-from-outside)."""
_ASK = """\
while sleep 0.5; do
    began=$(date +%s.%N)
    echo "$began $(curl -sk -m 1 -o /dev/null -w '%{http_code}' "https://$1:6443/readyz")"
done
"""


@dataclass(frozen=True, slots=True)
class Outside:
    """What was seen from outside, in a file: moment and HTTP status of each request."""

    log: Path

    def longest_gap(self) -> float:
        """Return the longest time in seconds between two answers of an API that serves."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        served = [float(began) for began, code in lines if code in _SERVING]
        assert len(served) > 3, f"hardly anything was served: {lines[-5:]}"
        edges = [float(lines[0][0]), *served, float(lines[-1][0])]
        gap = max(after - before for before, after in itertools.pairwise(edges))
        tell("from outside", f"{len(served)} of {len(lines)} served, longest gap {gap:.1f} s")
        return gap


@contextmanager
def watched_from_outside(cluster: Cluster) -> Iterator[Outside]:
    """Ask for the length of a block."""
    (balancer,) = cluster.lab.resources("load_balancers")
    outside = Outside(cluster.folder / "outside.log")
    with outside.log.open("w") as log:
        asking = cluster.lab.popen(
            ["sh", "-c", _ASK, "sh", balancer["public_net"]["ipv4"]["ip"]], stdout=log, stdin=subprocess.DEVNULL
        )
        try:
            yield outside
        finally:
            asking.send_signal(signal.SIGTERM)
            asking.wait()
