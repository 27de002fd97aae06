"""Lifts the limits of Hetzner's that hold a cluster of today's product at a hundred servers, for measurements alone."""

from __future__ import annotations

from functools import partial

from hetzner_k3s.decide.preflight import orders
from hetzner_k3s.lab.cloud import latency, limits

_MANY = 10_000
_AT_ONCE = latency.Spread(0.01, 0.02)


def lift_limits() -> None:
    """Let a network take any number of servers, at once, and a project any number of groups; until the process ends."""
    for module, name in (
        (limits, "ATTACHMENTS_PER_NETWORK"),
        (orders, "NETWORK_TAKES"),
        (orders, "PROJECT_TAKES_GROUPS"),
    ):
        setattr(module, name, _MANY)
    typical = latency.PROFILES["typical"] or {}
    setattr(latency, "PROFILES", {**latency.PROFILES, "typical": {**typical, "attach_to_network": _AT_ONCE}})  # noqa: B010
    setattr(limits, "Quotas", partial(limits.Quotas, servers=_MANY, placement_groups=_MANY))  # noqa: B010
