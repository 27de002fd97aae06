"""What a way buys and gives up, and what that makes of the bill."""

from __future__ import annotations

from collections.abc import Iterable

from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hetzner.assortment import Assortment
from hetzner_k3s.model.plan import PlannedStep, Purchase, Reason
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CreateServer, DeleteServer


def purchase(state: ClusterState, steps: Iterable[PlannedStep]) -> Purchase:
    """Count the servers that steps create, replace and delete; one that is there already is adopted, not bought.

    A surge server is created and deleted, and so on no bill of a month.
    """
    orders = [p for p in steps if isinstance(p.step, CreateServer | DeleteServer) and p.reason is not Reason.UNFINISHED]
    bought = [(p, p.step) for p in orders if isinstance(p.step, CreateServer)]
    deleted = [p.step for p in orders if isinstance(p.step, DeleteServer)]
    sold = state.assortment.value if isinstance(state.assortment, Known) else Assortment()
    servers = {server.id: server for server in state.view.servers}
    saved = [_monthly(sold, s.server_type, s.location) for d in deleted if (s := servers.get(d.server_id)) is not None]
    surge = {s.target for _, s in bought} & {s.target for s in deleted if s.server_id not in servers}
    prices = [_monthly(sold, step.server_type, step.location) for _, step in bought if step.target not in surge]
    again = {step.target for _, step in bought} & {step.target for step in deleted} - surge
    replaced = sum(planned.reason is Reason.LOST or step.target in again for planned, step in bought)
    return Purchase(
        created=len(bought) - replaced,
        replaced=replaced,
        deleted=len(deleted) - len(again),
        surge=len(surge),
        monthly=_sum(prices, saved),
    )


def _monthly(sold: Assortment, server_type: str, location: str) -> float | None:
    kind = sold.server_type(server_type)
    offer = kind.offer(location) if kind is not None else None
    return offer.monthly if offer is not None else None


def _sum(bought: list[float | None], deleted: list[float | None]) -> float | None:
    """Return the difference; one price that is not known makes it unknown, not smaller."""
    more, less = (None if None in prices else sum(filter(None, prices)) for prices in (bought, deleted))
    return None if more is None or less is None else round(more - less, 2)
