"""Evicting a pod: refused while a disruption budget that selects it allows none. Its count is what its status says.

Nothing here counts healthy pods: there is no scheduler in this model, so a budget's status is written by whoever makes
the budget.
"""

from __future__ import annotations

from hetzner_k3s.lab.k3s.api.resources import POD_DISRUPTION_BUDGETS, PODS, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store

VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(store: Store, namespace: str, name: str, uid: str = "") -> None:
    """Delete a pod if every budget that selects it allows a disruption.

    Raises:
        ApiError: 404, 409 when the pod is not the one of this UID, 429 when a budget forbids it.
    """
    pod = await store.get(PODS, name, namespace)
    budgets, _ = await store.list(POD_DISRUPTION_BUDGETS, namespace)
    for budget in budgets:
        if _selects(budget, pod) and not (budget.get("status") or {}).get("disruptionsAllowed"):
            raise ApiError(429, VIOLATED)
    await store.delete(PODS, name, namespace, uid=uid)


def _selects(budget: Obj, pod: Obj) -> bool:
    wanted = budget["spec"].get("selector", {}).get("matchLabels") or {}
    labels = pod["metadata"].get("labels") or {}
    return bool(wanted) and wanted.items() <= labels.items()
