"""The ConfigMap with the last runs: read and written by many operators, each of whom may be in the middle of it."""

from __future__ import annotations

from typing import Final

import httpx2

from hetzner_k3s.adapters.kube_session import MERGE, Session, path_of
from hetzner_k3s.model.kubernetes.run_history import CONFIG_MAP, PastRun, RunHistory, read_history, with_run

_NAMESPACE: Final = "kube-system"
_ALL: Final = path_of("configmaps", namespace=_NAMESPACE)
_OURS: Final = path_of("configmaps", CONFIG_MAP, namespace=_NAMESPACE)
_MANAGER: Final = {"fieldManager": "hetzner-k3s"}
_ATTEMPTS: Final = 5
_OTHERS_WERE_FASTER: Final = frozenset({404, 409})
"""It is another version by now, was made meanwhile, or was deleted."""


async def read(session: Session) -> RunHistory:
    """Read the last runs; none where none was ever noted."""
    found = await session.find(_OURS)
    return RunHistory() if found is None else read_history(found.child_or_empty("data").fields)


async def note(session: Session, run: PastRun) -> None:
    """Add a run, in one read and one write; where somebody else was faster, read it again."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            await _note(session, run)
        except httpx2.HTTPStatusError as refused:
            if refused.response.status_code not in _OTHERS_WERE_FASTER or not left:
                raise
        else:
            return


async def _note(session: Session, run: PastRun) -> None:
    found = await session.find(_OURS)
    if found is None:
        metadata = {"name": CONFIG_MAP, "namespace": _NAMESPACE}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": with_run({}, run)}
        await session.send("POST", _ALL, body, params=_MANAGER)
        return
    version = found.child("metadata").text("resourceVersion")
    change = {"metadata": {"resourceVersion": version}, "data": with_run(found.child_or_empty("data").fields, run)}
    await session.send("PATCH", _OURS, change, MERGE, _MANAGER)
