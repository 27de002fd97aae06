"""Digests of what a decision was made from: two decisions with the same digests had the same to go by."""

from __future__ import annotations

import hashlib
from typing import Final

from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

_BYTES: Final = 6


class Digests:
    """Digests of observations of one run; a part that is the same object as before is not read again.

    They are taken from `repr`, in which a `Secret` is masked, so nothing of one is in them. The time of the observation
    is left out: it is another one each time.
    """

    def __init__(self, spec: ClusterSpec) -> None:
        self._file = _digest(repr(spec))
        self._known: dict[tuple[str, int], tuple[object, str]] = {}

    def of(self, state: ClusterState, intent: Intent) -> dict[str, str]:
        """Return the digest of all that was decided from, and of each part of it."""
        rest = (
            *(state.lookups, state.grants, state.origins, state.strangers),
            *(state.rebuilds, state.snapshots, state.on_hosts),
        )
        parts = {
            "file": self._file,
            "intent": _digest(repr(intent)),
            "cloud": self._part("cloud", 0, state.cloud),
            "hosts": _digest(*(self._part("host", number, one) for number, one in sorted(state.hosts.items()))),
            "kube": _digest(*(self._part("kube", number, one) for number, one in sorted(state.kube.items()))),
            "local": _digest(repr(state.local)),
            "rest": _digest(repr(rest)),
        }
        return {"all": _digest(*parts.values()), **parts}

    def _part(self, kind: str, number: int, part: object) -> str:
        """Return the digest of a part, which is kept so that no other object can have its id."""
        known = self._known.get((kind, number))
        if known is not None and known[0] is part:
            return known[1]
        digest = _digest(f"{number} {part!r}")
        self._known[kind, number] = (part, digest)
        return digest


def _digest(*texts: str) -> str:
    made = hashlib.blake2b(digest_size=_BYTES)
    for text in texts:
        made.update(text.encode("utf-8", "backslashreplace"))
    return made.hexdigest()
