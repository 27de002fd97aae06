"""Birth: from an empty project to a cluster, once, from wherever an earlier run was cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.decide.world import (
    CA,
    CREATE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NO_RECORD,
    SPEC,
    UID,
    WORKER1,
    WORKER2,
    a_spec,
    bare,
    booting,
    codes,
    edit_facts,
    edit_server,
    forecast,
    in_order,
    member_of,
    nothing,
    plan,
    ready,
    recorded,
    replacement_of,
    server_of,
    started_by_hand,
    surroundings,
    unreachable,
    verbs,
    voter_facts,
    waves,
    with_boot_key,
    with_listing,
    with_next_key,
    with_reading,
    with_server,
)

from hetzner_k3s import decide
from hetzner_k3s.model.cloud import ServerStatus
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import EtcdFacts, HostFacts, UnitFacts
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import Reason, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState, LocalEvidence
from hetzner_k3s.model.steps import InitControlPlane, JoinControlPlane, MarkMember, RecordBirth

RECORD = "RecordBirth bootstrapping"
BEGUN = BirthRecord(phase=Phase.BOOTSTRAPPING, seed=FIRST_MASTER)
BORN = BirthRecord(phase=Phase.BORN, seed=FIRST_MASTER, ca=CA[:40], uid=UID, lineage="1111222233334444")


def prepared(spec: ClusterSpec = SPEC) -> ClusterState:
    """Every server is there and k3s can be started on each."""
    view = surroundings(spec)
    state = with_listing(
        nothing(),
        networks=view.networks,
        placement_groups=view.placement_groups,
        firewalls=view.firewalls,
        load_balancers=view.load_balancers,
        ssh_keys=view.ssh_keys,
    )
    for server in spec.servers():
        state = ready(state, spec, server.name)
    return state


def started(record: BirthRecord, *, uid: str | None) -> ClusterState:
    """The seed runs; without a UID its store does not hold the kube-system namespace yet."""
    state = recorded(prepared(), record)
    facts = voter_facts(SPEC, FIRST_MASTER, (member_of(MASTER1, FIRST_MASTER),))
    return with_reading(state, MASTER1, Known(replace(facts, etcd=replace(facts.etcd, uid=uid))))


def position(state: ClusterState, spec: ClusterSpec = SPEC) -> dict[tuple[str, str], int]:
    """Give the wave in which each step comes first."""
    found: dict[tuple[str, str], int] = {}
    for number, wave in enumerate(forecast(state, spec).waves):
        for step in wave:
            found.setdefault((step.key.verb, step.key.target), number)
    return found


def test_an_empty_project_becomes_a_cluster_in_nine_waves() -> None:
    verbs = [sorted({step.split()[0] for step in wave}) for wave in waves(nothing())]
    assert verbs == [
        ["EnsureFirewall", "EnsureNetwork", "EnsurePlacementGroup", "EnsureSshKey"],
        ["CreateServer", "EnsureLoadBalancer"],
        ["SecureHost"],
        ["InstallK3s"],
        ["RecordBirth"],
        ["InitControlPlane"],
        ["RecordBirth"],
        ["ApplyAddons", "JoinControlPlane", "JoinWorker", "KeepTokens", "MarkMember", "WriteKubeconfig"],
        ["MarkMember"],
    ]


@pytest.mark.parametrize("masters", [1, 3])
def test_k3s_started_by_hand_before_a_birth_holds_nothing_up(masters: int) -> None:
    """The start guard ends it again and again; the record comes first all the same, and then the birth."""
    spec = a_spec(masters, 1)
    state = prepared(spec)
    for name in spec.master_names:
        state = started_by_hand(state, spec, name)
    assert verbs(plan(state, spec).steps) == [RECORD]
    assert position(state, spec)["InitControlPlane", MASTER1] == 1


CUT_OFF = "failed to reconcile with local datastore: no bootstrap data found in datastore"


def cut_off(record: BirthRecord) -> ClusterState:
    """The seed's k3s was killed right after etcd had begun its log, and says so at each start."""
    state = recorded(prepared(), record)

    def change(facts: HostFacts) -> HostFacts:
        disk = replace(facts.disk, wal=True, server_ca=CA, config_present=True)
        unit = UnitFacts(active="activating", sub="auto-restart", restarts=7)
        return replace(facts, disk=disk, server_unit=unit, cut_off=CUT_OFF)

    return edit_facts(state, MASTER1, change)


def test_a_birth_whose_log_was_cut_off_begins_anew_and_says_so() -> None:
    (planned,) = plan(cut_off(BEGUN)).steps
    assert planned.step == InitControlPlane(target=MASTER1, server_id=FIRST_MASTER, anew=True)
    assert "the bootstrap begins anew with the same CA" in planned.because
    assert position(cut_off(BEGUN))["RecordBirth", "born"] == 1


@pytest.mark.parametrize("record", [BORN, NO_RECORD])
def test_only_a_birth_that_is_recorded_as_begun_is_begun_anew(record: BirthRecord) -> None:
    steps = [p.step for wave in forecast(cut_off(record)).waves for p in wave]
    assert not [step for step in steps if isinstance(step, InitControlPlane)]
    assert codes(cut_off(record))


def test_no_birth_begins_anew_beside_data_of_anybody_else() -> None:
    state = edit_facts(cut_off(BEGUN), MASTER2, lambda f: replace(f, disk=replace(f.disk, server_ca=CA, wal=True)))
    assert codes(state) == ["birth.not-empty"]


@pytest.mark.parametrize("masters", [1, 3, 5])
def test_a_cluster_is_born_once_and_recorded_before_a_second_master_starts_or_a_kubeconfig_is_written(
    masters: int,
) -> None:
    spec = a_spec(masters, 2)
    at = position(nothing(), spec)
    births = [p.key for wave in forecast(nothing(), spec).waves for p in wave if isinstance(p.step, InitControlPlane)]
    assert births == [StepKey(InitControlPlane, MASTER1)]
    assert at["RecordBirth", "bootstrapping"] < at["InitControlPlane", MASTER1] < at["RecordBirth", "born"]
    later = [wave for (verb, _), wave in at.items() if verb in {"JoinControlPlane", "JoinWorker", "WriteKubeconfig"}]
    assert min(later) > at["RecordBirth", "born"]


def test_whichever_master_is_ready_first_begins_the_cluster() -> None:
    state = booting(booting(prepared(), SPEC, MASTER1), SPEC, MASTER3)
    ordered = replace(state, ordered=frozenset(server.id for server in state.view.servers))
    assert RECORD in verbs(plan(ordered).steps)
    (step,) = [p.step for p in plan(ordered).steps if isinstance(p.step, RecordBirth)]
    assert step.record.seed == FIRST_MASTER + 1


@pytest.mark.parametrize("ordered", [True, False])
def test_only_a_server_of_this_runs_own_order_needs_no_look(ordered: bool) -> None:
    state = booting(prepared(), SPEC, WORKER1)
    worker = next(server.id for server in state.view.servers if server.name == WORKER1)
    state = replace(state, ordered=frozenset({worker} if ordered else ()))
    assert (RECORD in verbs(plan(state).steps)) == ordered


def test_what_is_seen_on_a_server_counts_whoever_ordered_it() -> None:
    state = edit_facts(prepared(), WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_ca=CA)))
    assert codes(replace(state, ordered=frozenset(s.id for s in state.view.servers))) == ["birth.not-empty"]


def test_at_birth_all_further_masters_join_at_once() -> None:
    spec = a_spec(5, 0)
    joins = [[p for p in wave if isinstance(p.step, JoinControlPlane)] for wave in forecast(nothing(), spec).waves]
    assert [len(wave) for wave in joins if wave] == [4]


def test_all_servers_are_asked_for_in_one_burst() -> None:
    spec = a_spec(3, 20)
    assert max(sum(s.startswith("CreateServer") for s in wave) for wave in waves(nothing(), spec)) == 23


def test_the_record_that_a_birth_writes_holds_what_the_seed_tells() -> None:
    (step,) = [p.step for p in plan(started(BEGUN, uid=UID)).steps if isinstance(p.step, RecordBirth)]
    assert step.record == BirthRecord(phase=Phase.BORN, seed=FIRST_MASTER, ca=CA[:40], uid=UID)


@pytest.mark.parametrize(
    ("point", "state", "expected"),
    [
        ("before a server answers", booting(prepared(), SPEC, MASTER2), [f"SecureHost {MASTER2}"]),
        ("before a boot key is replaced", with_boot_key(prepared(), SPEC, MASTER2), [f"SecureHost {MASTER2}", RECORD]),
        ("in the middle of the rotation", with_next_key(prepared(), SPEC, MASTER1), [f"SecureHost {MASTER1}", RECORD]),
        ("before k3s is on a worker", bare(prepared(), SPEC, WORKER1), [f"InstallK3s {WORKER1}", RECORD]),
        ("before the birth is recorded", prepared(), [RECORD]),
        ("before the first start", recorded(prepared(), BEGUN), [f"InitControlPlane {MASTER1}"]),
        ("during the first start", started(BEGUN, uid=None), [f"InitControlPlane {MASTER1}"]),
        ("between the first start and `born`", started(BEGUN, uid=UID), ["RecordBirth born"]),
    ],
)
def test_a_birth_that_was_cut_off_is_gone_on_with(point: str, state: ClusterState, expected: list[str]) -> None:
    assert verbs(plan(state).steps) == sorted(expected)
    assert in_order(state)[-1] == StepKey(MarkMember, MASTER3)


def test_a_seed_that_fell_over_in_its_first_start_is_started_again() -> None:
    state = edit_facts(
        started(BEGUN, uid=UID),
        MASTER1,
        lambda f: replace(f, etcd=type(f.etcd)(), server_unit=replace(f.server_unit, active="failed")),
    )
    assert verbs(plan(state).steps) == [f"InitControlPlane {MASTER1}"]


@pytest.mark.parametrize("carrier", ["placement_groups", "networks", "firewalls"])
def test_a_record_that_was_half_written_counts_whole(carrier: str) -> None:
    whole, empty = recorded(prepared(), BEGUN), prepared()
    half = with_listing(empty, **{carrier: getattr(whole.view, carrier)})
    assert verbs(plan(half).steps) == [f"InitControlPlane {MASTER1}"]


def test_a_born_record_that_was_half_written_counts_whole() -> None:
    whole = started(BORN, uid=UID)
    half = with_listing(started(BEGUN, uid=UID), placement_groups=whole.view.placement_groups)
    first, *later = [key.verb for key in in_order(half) if key.verb in {"RecordBirth", "InitControlPlane"}]
    assert (first, later) == ("RecordBirth", [])
    assert plan(half).refusals == ()


def test_a_seed_that_is_proven_gone_makes_room_for_another_one() -> None:
    state = replace(recorded(prepared(), replace(BEGUN, seed=99)), lookups={99: Known(False)})
    (step,) = plan(state).steps
    assert isinstance(step.step, RecordBirth)
    assert (step.step.record, step.reason) == (BEGUN, Reason.BIRTH)
    assert StepKey(InitControlPlane, MASTER1) in in_order(state)


def test_only_the_recorded_seed_goes_on_with_a_birth() -> None:
    state = recorded(prepared(), replace(BEGUN, seed=FIRST_MASTER + 1))
    assert verbs(plan(state).steps) == [f"InitControlPlane {MASTER2}"]


def test_no_birth_before_every_server_was_seen_empty() -> None:
    state = unreachable(prepared(), WORKER2)
    assert verbs(plan(state).steps) == [f"SecureHost {WORKER2}"]


def test_a_server_beyond_the_file_is_waited_for_too() -> None:
    surplus = server_of(SPEC, "prod-pool-small-worker3", joined=False)
    state = with_server(prepared(), replace(surplus, labels={**surplus.labels, "role": "worker"}))
    decided = plan(state)
    assert decided.steps == ()
    assert [w.what for w in decided.waits] == ["prod-pool-small-worker3 to answer"]
    assert StepKey(InitControlPlane, MASTER1) in in_order(state)


def test_no_birth_before_the_load_balancer_has_its_address() -> None:
    balancer = replace(prepared().view.load_balancers[0], public_ipv4=None, private_ips={})
    state = with_listing(prepared(), load_balancers=(balancer,))
    decided = plan(state)
    assert decided.steps == ()
    assert [w.what for w in decided.waits] == ["the API load balancer to get its address"]
    assert StepKey(InitControlPlane, MASTER1) in in_order(state)


def test_a_server_that_hetzner_has_not_started_yet_is_waited_for_by_adopting_it() -> None:
    state = edit_server(prepared(), MASTER2, lambda s: replace(s, status=ServerStatus.INITIALIZING))
    state = with_reading(state, MASTER2, None)
    assert verbs(plan(state).steps) == [f"CreateServer {MASTER2}"]


def test_a_server_without_its_private_address_is_waited_for_by_adopting_it() -> None:
    state = edit_server(bare(prepared(), SPEC, MASTER2), MASTER2, lambda s: replace(s, private_ips={}))
    assert f"CreateServer {MASTER2}" in verbs(plan(state).steps)


def test_a_server_without_a_public_address_is_right_when_the_file_wants_it_so() -> None:
    ssh = replace(SPEC.ssh, use_private_ip=True)
    spec = replace(SPEC, ssh=ssh, network=replace(SPEC.network, public_ipv4=False))
    state = edit_server(bare(prepared(spec), spec, MASTER2), MASTER2, lambda s: replace(s, public_ipv4=None))
    assert f"InstallK3s {MASTER2}" in verbs(plan(state, spec).steps)


def test_the_journal_of_this_very_birth_does_not_forbid_going_on() -> None:
    state = replace(recorded(prepared(), BEGUN), local=LocalEvidence(open_birth=True))
    assert codes(state) == []


def test_a_cluster_whose_servers_are_gone_before_the_birth_is_born_anew() -> None:
    view = surroundings(SPEC)
    state = with_listing(nothing(), placement_groups=view.placement_groups, networks=view.networks)
    assert StepKey(InitControlPlane, MASTER1) in in_order(state)
    assert recorded(state, NO_RECORD) == state


def test_a_replaced_seed_in_an_unfinished_birth_is_a_new_server() -> None:
    new = replacement_of(MASTER1)
    gone = with_listing(prepared(), servers=tuple(s for s in prepared().view.servers if s.name != MASTER1))
    state = ready(replace(recorded(gone, BEGUN), lookups={FIRST_MASTER: Known(False)}), SPEC, MASTER1, new)
    (step,) = [p.step for p in decide.plan(SPEC, state, CREATE).steps]
    assert isinstance(step, RecordBirth)
    assert step.record.seed == new


@pytest.mark.parametrize("stage", [with_next_key, bare])
def test_a_recorded_seed_that_is_not_ready_yet_is_made_ready_first(
    stage: Callable[[ClusterState, ClusterSpec, str], ClusterState],
) -> None:
    state = recorded(stage(prepared(), SPEC, MASTER1), BEGUN)
    assert {p.key.verb for p in plan(state).steps} <= {"SecureHost", "InstallK3s"}
    assert StepKey(InitControlPlane, MASTER1) in in_order(state)


def test_a_master_that_starts_already_may_need_its_token_completed_afterwards() -> None:
    """Its birth was cut off; it may be through before the next run could write the CA beside the token."""

    def begun(facts: HostFacts) -> HostFacts:
        disk = replace(facts.disk, config_token_ca=None)
        return replace(facts, server_unit=UnitFacts(active="activating"), etcd=EtcdFacts(), disk=disk)

    starting = edit_facts(started(BEGUN, uid=None), MASTER1, begun)
    way = [key.verb for key in in_order(starting) if key.target == MASTER1]
    assert "InitControlPlane" in way
    assert "RenewToken" in way
    assert "RenewToken" not in {key.verb for key in in_order(prepared())}
