"""Clocks of hosts held against that of the master that everything is done through (RECOVERY_FACTS.md 2.2, row 42).

k3s judges by time: a file that is three seconds newer than the datastore's copy ends its start, and so does a
certificate that is not valid yet.
"""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.basis import Basis
from hetzner_k3s.decide.control_plane import MasterView, Stage
from hetzner_k3s.decide.due import masters_due
from hetzner_k3s.model import lookup
from hetzner_k3s.model.plan import Refusal

WORTH_A_WORD = 5.0
"""Seconds of difference that are told."""

TOO_FAR = 30.0
"""Seconds of difference with which nothing joins."""


def clocks_agree(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse to let a master join whose clock is far from the seed's; a first boot may yet set it right."""
    ready = [m for m in masters_due(basis) if m.stage in {Stage.READY, Stage.JOINING}]
    return tuple(_apart(basis, m, ahead) for m in ready if abs(ahead := _ahead_of_seed(basis, m)) > TOO_FAR)


def _ahead_of_seed(basis: Basis, master: MasterView) -> float:
    return (master.facts.ahead if master.facts else 0.0) - _seed_ahead(basis)


def _seed_ahead(basis: Basis) -> float:
    seed = basis.plane.seed
    return seed.facts.ahead if seed and seed.facts else 0.0


def _apart(basis: Basis, master: MasterView, ahead: float) -> Refusal:
    return Refusal(
        code="clock.skew",
        saw=f"The clock of {master.name} is {_apart_by(ahead)} that of {basis.plane.seed_server.name}, through which "
        "it would join.",
        why=f"k3s judges certificates and files by their time; with more than {TOO_FAR:.0f} s between two masters "
        "nothing is joined.",
        you_can="Set the wrong one of the two right (`timedatectl` shows whether time is synchronised), and run "
        "`create` again.",
        passing=True,
    )


def _apart_by(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"


def clocks_told(basis: Basis) -> tuple[str, ...]:
    """Tell of clocks that are some seconds off: each host's against the seed's, the seed's against this machine's."""
    return tuple(_told(basis))


def _told(basis: Basis) -> Iterator[str]:
    seed = basis.plane.seed
    if seed is None:
        return
    if abs(own := _seed_ahead(basis)) > WORTH_A_WORD:
        yield f"the clock of {seed.name} is {_apart_by(own)} that of this machine"
    for server in lookup.owned_servers(basis.spec.name, basis.view):
        facts = basis.state.facts(server.id)
        ahead = facts.ahead - own if facts else 0.0
        if abs(ahead) > WORTH_A_WORD:
            yield f"the clock of {server.name} is {_apart_by(ahead)} that of {seed.name}"
