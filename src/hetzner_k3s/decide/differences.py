"""The one list of differences between the file and the world.

See docs/architecture.md#differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hetzner_k3s.decide.desired import addons, balancer, firewall, host_config, network, nodes, servers
from hetzner_k3s.decide.preflight import critical_config
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.difference import Difference
from hetzner_k3s.model.identity import Phase

KINDS: Final[tuple[Callable[[DecisionContext], Iterator[Difference]], ...]] = (
    servers.bought_otherwise,
    servers.placed_otherwise,
    servers.booted_otherwise,
    servers.of_another_release,
    host_config.configured_otherwise,
    nodes.labelled_otherwise,
    critical_config.cannot_change,
    network.of_another_range,
    firewall.filtered_otherwise,
    balancer.balanced_otherwise,
    addons.installed_otherwise,
)
"""Every comparison, in the order in which it is told."""


def differences(context: DecisionContext) -> tuple[Difference, ...]:
    """Return everything in which an initialized cluster is not as its file says; before that all of it is missing."""
    if context.control_plane.record.phase is not Phase.BORN:
        return ()
    return tuple(difference for kind in KINDS for difference in kind(context))
