"""What no plan asks for, because other rules stand before it: each corner answers by itself all the same."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest
from tests.decide import world as w

from hetzner_k3s import decide
from hetzner_k3s.decide import program
from hetzner_k3s.decide.assume_waits_done import come_true
from hetzner_k3s.decide.identity import ca_pins
from hetzner_k3s.decide.repair import remediate, removed_member, stale_nodes
from hetzner_k3s.decide.view import control_plane, predictions, sides
from hetzner_k3s.decide.view.context import DecisionContext, context_of
from hetzner_k3s.decide.view.control_plane import healthy_master, view_of
from hetzner_k3s.decide.view.members import DeadMember
from hetzner_k3s.decide.view.servers.contact import Reached
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.situations import Serving
from hetzner_k3s.model.plan import Verb
from hetzner_k3s.model.state import ClusterState


def _context(state: ClusterState) -> DecisionContext:
    return context_of(w.SPEC, state, w.CREATE, frozenset())


def _contradictory(state: ClusterState) -> ClusterState:
    firewalls = tuple(replace(f, labels={**f.labels, "hetzner-k3s/seed": "5"}) for f in state.view.firewalls)
    return w.with_listing(state, firewalls=firewalls)


def test_a_record_that_contradicts_itself_lets_nothing_come_true_that_a_reset_began() -> None:
    state = _contradictory(w.healthy())
    assert come_true(w.SPEC, state).kube == state.kube


def test_a_healthy_master_is_named_where_there_is_one() -> None:
    assert healthy_master(w.SPEC, w.nothing()) is None
    assert healthy_master(w.SPEC, w.healthy()) == w.FIRST_MASTER


def test_a_master_without_a_server_is_no_gateway() -> None:
    view = view_of(w.SPEC, w.healthy()).masters[0]
    odd = replace(view, server=None, contact=Reached(K3s.SERVING))
    chosen = control_plane._choose_gateway((odd, view), w.born_record())
    assert chosen is not None
    assert chosen.server == view.server
    assert control_plane._choose_gateway((odd,), w.born_record()) is None


def test_a_dead_member_of_no_wanted_master_is_not_replaced() -> None:
    state = w.with_snapshot(w.healthy(), w.MASTER2, 103)
    lost = DeadMember(w.member_of("prod-master9", 103), "prod-master9")
    assert remediate._replace(w.served(w.SPEC, state), lost) == ()


def test_one_side_needs_no_advice_on_which_to_keep() -> None:
    assert sides.how_to_keep(_context(w.healthy())) == ()


def test_a_loss_whose_id_was_asked_for_is_told_as_proven() -> None:
    state = w.without_quorum(w.lose(w.lose(w.healthy(), w.MASTER1), w.MASTER2))
    refusals = w.plan(state).refusals
    assert [refusal.code for refusal in refusals] == ["quorum.lost"]
    assert "prod-master1: its server is deleted" in refusals[0].saw


def test_what_is_deleted_is_gone_and_an_unknown_kind_changes_nothing() -> None:
    state = w.healthy()
    assert predictions.without_resource(state, "ssh_key", 50).view.ssh_keys == ()
    assert predictions.without_resource(state, "volume", 50) == state


def test_a_former_member_without_a_server_cannot_be_wiped() -> None:
    context = w.served(w.SPEC, w.healthy())
    with pytest.raises(LookupError):
        removed_member._wiping(context, replace(context.control_plane.masters[0], server=None))


def test_without_an_api_no_node_is_stale() -> None:
    context = w.served(w.SPEC, replace(w.healthy(), kube={}))
    assert stale_nodes.stale_node(context, context.control_plane.masters[0]) is None


def test_where_a_gateway_tells_no_ca_nothing_is_pinned() -> None:
    context = w.served(w.SPEC, w.healthy())
    facts = context.gateway.facts
    odd = replace(context.gateway, facts=replace(facts, disk=replace(facts.disk, server_ca=None)))
    assert ca_pins.renew_pins(replace(context, gateway=odd)) is None


def test_a_way_that_leads_nowhere_is_shown_as_far_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decide.forecast(w.SPEC, w.nothing(), w.CREATE)
    monkeypatch.setattr(import_module("hetzner_k3s.decide.forecast"), "WAVE_LIMIT", 2)
    assert decide.forecast(w.SPEC, w.nothing(), w.CREATE).waves == whole.waves[:2]


def test_a_program_for_a_served_cluster_is_asked_of_no_other() -> None:
    served = program.PROGRAM[Verb.CREATE, Serving]
    with pytest.raises(TypeError, match="ServingContext was given DecisionContext"):
        served.next(_context(w.nothing()), program.WISHES[Verb.CREATE])
