"""Masters that are discarded with `--replace NAME`."""

from __future__ import annotations

from hetzner_k3s.decide.view.context import Basis
from hetzner_k3s.decide.view.control_plane import TROUBLED
from hetzner_k3s.decide.view.voters import others_serve
from hetzner_k3s.model.identity import Phase


def discarded(basis: Basis) -> frozenset[str]:
    """Name the masters that are there, not well, and may be discarded."""
    if basis.plane.record.phase is not Phase.BORN:
        return frozenset()
    asked = ((name, basis.plane.master(name)) for name in basis.intent.consents.replace)
    return frozenset(name for name, m in asked if m is not None and m.stage in TROUBLED and others_serve(basis, m))
