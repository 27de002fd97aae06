"""What must hold of every decision, in every world."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.decide import world as w
from tests.decide.oddities import every_server_ready
from tests.decide.world import CREATE, DELETE, NOW, forecast
from tests.properties.safety import dangers, violations
from tests.properties.walking import run, what_is_unexplained
from tests.properties.worlds import UNBORN, World, anything, grown, unborn

from hetzner_k3s import decide
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import HostReading, Unreachable
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import Plan, Refusal, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import EnsureFirewall, EnsureLoadBalancer, PowerOn, RecordBirth, StartMaster

WALKS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
QUICK = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _sorted(plan: Plan) -> tuple[list[str], list[str], Counter[Refusal]]:
    return sorted(map(repr, plan.steps)), sorted(map(repr, plan.waits)), Counter(plan.refusals)


_FIRST_AID = (EnsureFirewall, EnsureLoadBalancer, PowerOn)
"""Steps that no refusal holds back: they need no host and lose nothing."""


@WALKS
@given(anything(), st.randoms(use_true_random=False))
def test_every_run_converges_or_was_refused(world: World, chance: random.Random) -> None:
    first, *later = run(world.spec, world.state, chance)
    event("refused" if first[1].refusals else "settled" if not later else "converged")
    state, plan = later[-1] if later else first
    if first[1].refusals:
        assert later == [] or first[1].steps
        assert plan.refusals or plan.settled, (plan, world)
        return
    if plan.refusals:
        # A sick worker is spoken of when the masters are well again; what a silent machine holds cannot be foreseen,
        # nor whether quorum comes back when one gets power.
        workers_only = all(refusal.code.startswith("worker.") for refusal in plan.refusals)
        given = any(isinstance(p.step, PowerOn | StartMaster) for _, made in (first, *later) for p in made.steps)
        # Whether a member may go is told when what was waited for has come; nothing was done to the masters meanwhile,
        # only their record was completed.
        control_plane = (p for _, plan in (first, *later) for p in plan.steps if p.scope is Scope.CONTROL_PLANE)
        made = [p for p in control_plane if not isinstance(p.step, RecordBirth)]
        unsafe = {refusal.code for refusal in plan.refusals} == {"member.removal-unsafe"}
        unsafe = unsafe and (not made or "silent" in world.told)
        assert workers_only or given or unsafe or "not recorded and silent" in world.told, (plan, world)
        return
    assert plan.settled, (plan, world)
    assert what_is_unexplained(world.spec, state, plan) == []


@WALKS
@given(anything(), st.randoms(use_true_random=False))
def test_a_run_starts_only_what_the_forecast_showed(world: World, chance: random.Random) -> None:
    """Beside a refusal only first aid is shown; when it has ended the way is shown anew."""
    shown = forecast(world.state, world.spec)
    for _, plan in () if shown.refusals else run(world.spec, world.state, chance):
        assert {p.key for p in plan.steps if not (plan.refusals and isinstance(p.step, _FIRST_AID))} <= shown.keys


@WALKS
@given(anything(), st.randoms(use_true_random=False))
def test_no_step_of_any_run_is_unsafe(world: World, chance: random.Random) -> None:
    for state, plan in run(world.spec, world.state, chance):
        assert violations(world.spec, state, plan) == []


@QUICK
@given(anything())
def test_a_refusal_empties_every_scope(world: World) -> None:
    """But for first aid (docs/architecture.md#law-12), which a deletion does not need."""
    for intent in (CREATE, DELETE):
        plan = decide.plan(world.spec, world.state, intent)
        aid = [planned for planned in plan.steps if intent is CREATE and isinstance(planned.step, _FIRST_AID)]
        assert not plan.refusals or (list(plan.steps), plan.waits) == (aid, ())


@WALKS
@given(anything())
def test_nothing_left_to_do_means_the_cluster_lives(world: World) -> None:
    """Exit 0: no world that lacks its cluster, a master or a worker is called up to date, whatever no rule knows."""
    _lives_where_nothing_is_left(world.spec, world.state)


@pytest.mark.parametrize("phase", [None, Phase.BOOTSTRAPPING])
@pytest.mark.parametrize("odd", [name for name in UNBORN if name != "absent"])
def test_one_odd_server_before_a_birth_is_never_called_up_to_date(odd: str, phase: Phase | None) -> None:
    for name in w.SPEC.master_names:
        state = UNBORN[odd](every_server_ready(), w.SPEC, name)
        seed = w.FIRST_MASTER if phase else None
        _lives_where_nothing_is_left(w.SPEC, w.recorded(state, BirthRecord(phase=phase, seed=seed)))


def _lives_where_nothing_is_left(spec: ClusterSpec, state: ClusterState) -> None:
    plan = decide.plan(spec, state, CREATE)
    assert not plan.settled or what_is_unexplained(spec, state, plan) == []


@QUICK
@given(anything(), st.randoms(use_true_random=False))
def test_the_order_of_what_was_read_does_not_matter(world: World, chance: random.Random) -> None:
    for intent in (CREATE, DELETE):
        once = decide.plan(world.spec, world.state, intent)
        again = decide.plan(world.spec, shuffled(world.state, chance), intent)
        assert _sorted(once) == _sorted(again)


def shuffled(state: ClusterState, chance: random.Random) -> ClusterState:
    """Give the same observation in another order."""

    def mixed(items: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(chance.sample(items, len(items)))

    hosts: dict[int, HostReading] = {}
    for server_id, reading in chance.sample(sorted(state.hosts.items()), len(state.hosts)):
        if isinstance(reading, Known) and reading.value.etcd.members:
            etcd = replace(reading.value.etcd, members=mixed(reading.value.etcd.members))  # type: ignore[arg-type]
            hosts[server_id] = Known(replace(reading.value, etcd=etcd))
        else:
            hosts[server_id] = reading
    kube = {
        k: Known(replace(r.value, nodes=mixed(r.value.nodes))) if isinstance(r, Known) else r  # type: ignore[arg-type]
        for k, r in state.kube.items()
    }
    state = replace(state, hosts=hosts, kube=kube)
    if isinstance(state.cloud, Unknown):
        return state
    view = state.view
    listed: dict[str, Any] = {
        name: mixed(rows) for name in view.__slots__ if isinstance(rows := getattr(view, name), tuple)
    }
    return state.with_view(replace(view, **listed))


@QUICK
@given(grown(), st.randoms(use_true_random=False))
def test_what_is_forgotten_never_permits_what_was_not_permitted(world: World, chance: random.Random) -> None:
    """docs/architecture.md#law-2: unknown is not absent."""
    before = dangers(decide.plan(world.spec, world.state, CREATE))
    after = dangers(decide.plan(world.spec, forgetting(world.state, chance), CREATE))
    assert after <= before


def forgetting(state: ClusterState, chance: random.Random) -> ClusterState:
    """Let reads fail that succeeded: of masters that are recorded as members, of the API, of ids, of the listing.

    Of a master that is forgotten its peers tell nothing either: a second witness is knowledge too. A read that failed
    stays as it failed: "another host key answers" forbids more than silence does.
    """
    members = {s.id for s in state.view.servers if s.labels.get("hetzner-k3s/state") == "member"}
    silence = Unreachable(SshStage.TCP, "no answer", NOW)
    hosts: dict[int, HostReading] = {
        k: silence if k in members and isinstance(reading, Known) and chance.random() < 0.3 else reading
        for k, reading in state.hosts.items()
    }
    state = replace(state, hosts={k: _without_word_of(state, hosts, reading) for k, reading in hosts.items()})
    if chance.random() < 0.4:
        state = replace(state, kube={k: Unknown("timed out", NOW) for k in state.kube})
    if chance.random() < 0.4:
        state = replace(state, lookups={k: Unknown("500", NOW) for k in state.lookups if chance.random() < 0.5})
    return replace(state, cloud=Unknown("page 2 answered 503", NOW)) if chance.random() < 0.1 else state


def _without_word_of(state: ClusterState, left: dict[int, HostReading], reading: HostReading) -> HostReading:
    silenced = [f for k, r in left.items() if not isinstance(r, Known) and (f := state.facts(k)) is not None]
    if not isinstance(reading, Known) or not silenced:
        return reading
    gone = {facts.etcd.member_id for facts in silenced}
    etcd = reading.value.etcd
    peers = tuple(peer for peer in etcd.active_peers if peer not in gone)
    return Known(replace(reading.value, etcd=replace(etcd, active_peers=peers)))


@QUICK
@given(unborn())
def test_beside_any_sign_of_an_earlier_cluster_none_is_born(world: World) -> None:
    seed = world.state.local.kubeconfig_ca
    if seed is not None:
        assert not {"InitControlPlane", "RecordBirth"} & {key.verb for key in forecast(world.state, world.spec).keys}
