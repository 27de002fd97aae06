"""How long things take at the vendor: a median and a 95th percentile for each step.

See docs/facts/hetzner-api.md#latencies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from hetzner_k3s.ports import Rng

_P95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True)
class Spread:
    """A lognormal duration in seconds."""

    median: float
    p95: float

    def at(self, quantile: float) -> float:
        """Return the duration below which this share (0 < quantile < 1) of all cases lies."""
        sigma = math.log(self.p95 / self.median) / _P95
        return self.median * math.exp(sigma * NormalDist().inv_cdf(quantile))


_TYPICAL: Mapping[str, Spread] = {
    "answer_read": Spread(0.08, 0.25),
    "answer_write": Spread(0.35, 0.9),
    "create_server": Spread(15, 75),
    "start_server": Spread(3, 8),
    "stop_server": Spread(1, 3),
    "reboot_server": Spread(1, 3),
    "reset_server": Spread(3, 8),
    "shutdown_server": Spread(0.5, 1),
    "rebuild_server": Spread(15, 75),
    "change_server_type": Spread(20, 60),
    "delete_server": Spread(2, 6),
    "attach_to_network": Spread(3, 8),
    "detach_from_network": Spread(3, 8),
    "apply_firewall": Spread(2, 12),
    "selector_refresh": Spread(2, 6),
    "create_load_balancer": Spread(4, 15),
    "create_volume": Spread(2, 7),
    "attach_volume": Spread(2, 8),
    "detach_volume": Spread(2, 8),
}
_OTHER = Spread(0.2, 0.6)

PROFILES: Mapping[str, Mapping[str, Spread] | None] = {"instant": None, "typical": _TYPICAL}
"""Profile name -> durations; None means that nothing takes modelled time."""


class Latency:
    """Draws modelled durations.

    Args:
        profile: a name in `PROFILES`.
        rng: the source of randomness; the same seed gives the same durations.

    Raises:
        KeyError: no such profile.
    """

    def __init__(self, profile: str, rng: Rng) -> None:
        self._spreads = PROFILES[profile]
        self._rng = rng

    def seconds(self, step: str) -> float:
        """Return the duration of one occurrence of a step.

        A step is an action's command or one of docs/facts/hetzner-api.md#latencies.
        """
        if self._spreads is None:
            return 0.0
        return self._spreads.get(step, _OTHER).at(self._rng.uniform(0.001, 0.999))
