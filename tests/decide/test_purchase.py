"""A way says how many servers come and go and what that makes of the bill; one unknown price makes that unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    NOW,
    PRUNE,
    SPEC,
    SURGING,
    edit_server,
    forecast,
    healthy,
    lose,
    made_from,
    nothing,
)

from hetzner_k3s.model.consents import Consents, MakeAnew
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hetzner.assortment import Assortment, Offer, ServerType
from hetzner_k3s.model.plan import Purchase
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CreateServer

MASTER, WORKER = SPEC.masters[0], SPEC.pools[0].workers[0]


def priced(state: ClusterState, monthly: float | None = 4.5) -> ClusterState:
    offer = Offer(location=MASTER.location, monthly=monthly)
    kind = ServerType(id=109, name=MASTER.instance_type, architecture="x86", offers=(offer,))
    images = {MASTER.image: frozenset({"x86"})}
    sold = Assortment(server_types=(kind,), locations={MASTER.location: "eu-central"}, images=images)
    return replace(state, assortment=Known(sold), observed_at=NOW)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (healthy(), Purchase()),
        (priced(nothing()), Purchase(created=5, monthly=22.5)),
        (nothing(), Purchase(created=5, monthly=None)),
        (priced(nothing(), None), Purchase(created=5, monthly=None)),
        (priced(lose(healthy(), MASTER1)), Purchase(replaced=1, monthly=4.5)),
    ],
)
def test_what_is_bought_is_counted(state: ClusterState, expected: Purchase) -> None:
    assert forecast(state).purchase == expected


def test_what_is_deleted_is_less() -> None:
    fewer = replace(SPEC, pools=(replace(SPEC.pools[0], workers=SPEC.pools[0].workers[:1], count=1),))
    gone = SPEC.pools[0].workers[1].name
    kind, place = WORKER.instance_type, WORKER.location
    state = edit_server(priced(healthy()), gone, lambda server: replace(server, server_type=kind, location=place))
    assert forecast(state, fewer, PRUNE).purchase == Purchase(deleted=1, monthly=-4.5)


def test_a_server_that_is_made_anew_is_replaced_and_costs_the_same() -> None:
    name, kind, place = WORKER.name, WORKER.instance_type, WORKER.location
    state = edit_server(priced(healthy()), name, lambda server: replace(server, server_type=kind, location=place))
    way = forecast(state, SPEC, replace(CREATE, consents=Consents.of(MakeAnew(name))))
    assert way.purchase == Purchase(replaced=1, monthly=0.0)


def test_a_surge_server_is_told_and_is_on_no_bill_of_a_month() -> None:
    kind, place = WORKER.instance_type, WORKER.location
    state = priced(made_from(healthy(), "debian-11", WORKER.name))
    state = edit_server(state, WORKER.name, lambda server: replace(server, server_type=kind, location=place))
    assert forecast(state, SPEC, SURGING).purchase == Purchase(created=1, replaced=1, deleted=1, surge=1, monthly=0.0)


def test_what_was_shown_is_what_is_asked_for() -> None:
    orders = {
        p.step.target: p.step for wave in forecast(nothing()).waves for p in wave if isinstance(p.step, CreateServer)
    }
    for spec in SPEC.servers():
        order = orders[spec.name]
        assert (order.server_type, order.image, order.location) == (spec.instance_type, spec.image, spec.location)
        assert order.placement_group == spec.placement_group
