"""Files that would shut the operator out of the servers."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.cases import case
from tests.decide.world import (
    MASTER1,
    MASTER2,
    MASTER3,
    SPEC,
    WORKER1,
    WORKER2,
    edit_facts,
    healthy,
    nothing,
    unreachable,
)

from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

OWN = "203.0.113.77"


def let_in(*networks: str) -> ClusterSpec:
    """Return the wish that SSH is let in from these networks only."""
    return replace(SPEC, firewall=replace(SPEC.firewall, ssh_networks=networks))


def seen(state: ClusterState, *names: str, as_: str = OWN) -> ClusterState:
    """Let hosts tell from where they see us."""
    for name in names:
        state = edit_facts(state, name, lambda f: replace(f, seen_from=as_))
    return state


def silent(state: ClusterState) -> ClusterState:
    """Let no host answer."""
    for name in (MASTER1, MASTER2, MASTER3, WORKER1, WORKER2):
        state = unreachable(state, name)
    return state


def at_home(state: ClusterState) -> ClusterState:
    """Let this machine know its address by itself."""
    return replace(state, local=replace(state.local, public_address=OWN))


_OTHER_PORT = replace(SPEC, ssh=replace(SPEC.ssh, port=2222))

OUR_ACCESS = {
    "the file lets SSH in from elsewhere only": case(
        seen(healthy(), MASTER1), "firewall.shuts-out", spec=let_in("198.18.0.0/15")
    ),
    "the file lets SSH in from elsewhere only, and one host sees us at another address": case(
        seen(seen(healthy(), MASTER1, as_="198.18.0.1"), WORKER1), "firewall.shuts-out", spec=let_in("198.18.0.0/15")
    ),
    "the first firewall lets SSH in from elsewhere only": case(
        at_home(nothing()), "firewall.shuts-out", spec=let_in("198.18.0.0/15")
    ),
    "the first firewall lets SSH in from private addresses only": case(
        nothing(), "firewall.shuts-out", spec=let_in("10.0.0.0/8", "192.168.0.0/16")
    ),
    "the file names another SSH port than the servers were made with": case(
        silent(healthy()), "ssh.port-changed", "masters.none-healthy", spec=_OTHER_PORT
    ),
}
