"""Whatever well-typed nonsense a world tells: a plan, a forecast and a report come of it, or a typed product error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from tests.decide import world as w
from tests.properties.hostile import hostile
from tests.properties.quarrels import Quarrel

from hetzner_k3s import decide
from hetzner_k3s.cli.render.plan import forecast_lines
from hetzner_k3s.cli.render.status import status_document, status_lines
from hetzner_k3s.decide.forecast import forecast
from hetzner_k3s.decide.lifecycle.access import own_addresses
from hetzner_k3s.decide.status.report import report
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.hetzner import access
from hetzner_k3s.model.state import ClusterState

HOSTILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@HOSTILE
@given(hostile())
def test_odd_facts_end_in_printable_sentences_or_a_product_error(world: Quarrel) -> None:
    assert [line for line in _said(world) if not line.isprintable()] == []


def _said(world: Quarrel) -> Iterator[str]:
    state = _as_observed(world.state)
    try:
        decide.plan(world.spec, state, world.intent)
        ahead = forecast(world.spec, state, world.intent)
        told = report(world.spec, state, world.intent, ahead)
    except ProductError as error:
        yield str(error)
        return
    yield from forecast_lines(world.spec.name, ahead)
    yield from status_lines(told)
    json.dumps(status_document(told))


def _as_observed(state: ClusterState) -> ClusterState:
    """Leave out what hosts told whose servers are not listed, as `observe` does."""
    listed = {server.id for server in state.view.servers}
    return replace(state, hosts={number: told for number, told in state.hosts.items() if number in listed})


@pytest.mark.parametrize(
    ("port", "network"), [("", "0.0.0.0/0"), ("ssh", "0.0.0.0/0"), ("22", "10.0.0.0/33"), ("22", "")]
)
def test_a_rule_that_is_none_lets_nobody_in(port: str, network: str) -> None:
    rule = FirewallRule(direction="in", protocol="tcp", port=port, networks=(network,))
    assert access.sources((rule,), 22) == ()


def test_what_is_no_address_is_not_where_we_come_from() -> None:
    seen = w.edit_facts(w.healthy(), w.MASTER1, lambda facts: replace(facts, seen_from="nowhere"))
    assert own_addresses(seen) == ()
    assert not access.admits((), 22, "nowhere")


@pytest.mark.parametrize("ahead", [math.inf, -math.inf, math.nan, 1e300])
def test_a_clock_that_tells_no_date_is_refused(ahead: float) -> None:
    wrong = w.with_listing(w.healthy(), ahead=ahead)
    told = [refusal.saw for refusal in w.plan(wrong).refusals if refusal.code == "clock.own"]
    assert len(told) == 1
    assert "a time that is no date" in told[0]
