"""Advice that cannot stand together: keep every server, and delete one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hetzner_k3s.model.plan import Refusal

_KEEPS = re.compile(r"[Dd]elete (no server|nothing)")
_DELETES = re.compile(
    r"(?i)(delete (that|the|its|it) (?!node|claims)|delete it at hetzner|delete the servers|--replace|or delete it)"
)


def contradictions(refusals: Iterable[Refusal]) -> list[tuple[str, str]]:
    """Return the pairs of codes of which one keeps every server and the other offers to delete one."""
    told = tuple(refusals)
    keeping = [r.code for r in told if _KEEPS.search(r.you_can)]
    deleting = [r.code for r in told if _DELETES.search(r.you_can) or r.or_delete]
    return [(one, other) for one in keeping for other in deleting]
