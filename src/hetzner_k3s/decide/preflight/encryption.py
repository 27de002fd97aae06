"""Secrets whose encryption keys are being changed: nothing joins meanwhile.

See docs/facts/recovery.md#encryption-keys.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.pending_joins import masters_due
from hetzner_k3s.model.plan import Refusal

_AT_REST = frozenset({"start", "reencrypt_finished"})
"""The stages in which no rotation is under way (k3s, pkg/secretsencrypt)."""


def encryption_at_rest(context: ServingContext) -> tuple[Refusal, ...]:
    """Refuse to let a master join while k3s changes the keys of its secrets: it would get one half of them."""
    told = _told(context)
    stages = {stage for stage, _ in told.values()}
    moving = bool(stages - _AT_REST) or len({digest for _, digest in told.values()}) > 1
    if not moving or not masters_due(context):
        return ()
    seen = ", ".join(f"{name} at {stage}" for name, (stage, _) in sorted(told.items()))
    return (
        Refusal(
            code="encryption.rotating",
            saw=f"The encryption keys of secrets are being changed, and the masters are not at one: {seen}.",
            why="A master that joins now could lack a key with which secrets are encrypted.",
            you_can="Finish it (`k3s secrets-encrypt status` tells the next step), and run `create` again.",
        ),
    )


def _told(context: DecisionContext) -> dict[str, tuple[str, str]]:
    """Return stage and digest of the keys on each master that answers; what a lost one told last says nothing."""
    nodes = ((m.name, context.node(m.name)) for m in context.control_plane.all_masters if m.facts and m.facts.serves)
    noted = ((name, node.encryption.partition("-")) for name, node in nodes if node and node.encryption)
    return {name: (stage, digest) for name, (stage, _, digest) in noted}
