"""Masters that are discarded with `--replace NAME`."""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import TROUBLED
from hetzner_k3s.decide.view.voters import others_serve
from hetzner_k3s.model.identity import Phase


def discarded(context: DecisionContext) -> frozenset[str]:
    """Name the masters that are there, not well, and may be discarded."""
    if context.plane.record.phase is not Phase.BORN:
        return frozenset()
    asked = ((name, context.plane.master(name)) for name in context.intent.consents.replace)
    return frozenset(name for name, m in asked if m is not None and m.stage in TROUBLED and others_serve(context, m))
