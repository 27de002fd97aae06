"""A cluster in an external database: what is done about a loss, in which order, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide import on_database as d
from tests.decide import world as w
from tests.decide.lost import S3_SPEC
from tests.decide.world import MASTER1, MASTER2, MASTER3
from tests.properties.safety import violations

from hetzner_k3s import decide
from hetzner_k3s.decide.lifecycle import external_database
from hetzner_k3s.decide.status.report import report
from hetzner_k3s.decide.view.control_plane import EtcdMembers, OutsideDatabase, view_of
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import ServerStatus
from hetzner_k3s.model.consents import AcceptCa, Consents, Prune, Replace
from hetzner_k3s.model.host import EtcdFacts, HostFacts
from hetzner_k3s.model.identity import BirthRecord, Phase, RecordConflict, merge_records
from hetzner_k3s.model.plan import Intent, Plan, StepKey
from hetzner_k3s.model.report import Health
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import RecordBirth, StartOnDatabase

PRUNE = replace(w.CREATE, consents=Consents.of(Prune()))


def _plan(state: ClusterState, spec: ClusterSpec = d.SPEC, intent: Intent = w.CREATE) -> Plan:
    planned = w.plan(state, spec, intent)
    assert violations(spec, state, planned) == []
    return planned


def _order(state: ClusterState, spec: ClusterSpec = d.SPEC, intent: Intent = w.CREATE) -> list[str]:
    return [str(key) for key in w.in_order(state, spec, intent)]


def _starts(state: ClusterState) -> list[StartOnDatabase]:
    planned = (p.step for wave in w.forecast(state, d.SPEC).waves for p in wave)
    return [step for step in planned if isinstance(step, StartOnDatabase)]


def test_nothing_is_done_to_a_cluster_that_is_well() -> None:
    assert _plan(d.served()).settled


def test_where_the_data_lies_is_one_thing_or_the_other() -> None:
    assert view_of(d.SPEC, d.served()).store == OutsideDatabase()
    assert isinstance(view_of(w.SPEC, w.healthy()).store, EtcdMembers)


def test_a_lost_master_is_replaced_without_a_word_about_members() -> None:
    order = _order(d.lost(d.served(), MASTER2))
    assert order.index(f"StartOnDatabase {MASTER2}") < order.index(f"MarkMember {MASTER2}")
    assert f"DeleteNode {MASTER2}" in order
    assert not [step for step in order if step.startswith(("RemoveMember", "SaveSnapshot", "JoinControlPlane"))]


def test_all_masters_come_back_one_before_the_others_with_the_token_of_a_worker() -> None:
    order = _order(d.all_lost())
    first = order.index(f"StartOnDatabase {MASTER1}")
    assert [step for step in order[:first] if step.startswith("CreateServer")] == [f"CreateServer {MASTER1}"]
    assert {f"StartOnDatabase {MASTER2}", f"StartOnDatabase {MASTER3}"} <= set(order[first:])
    started = _starts(d.all_lost())[0]
    assert started == StartOnDatabase(
        target=MASTER1, server_id=started.server_id, token_hash=d.TOKEN, token_from=w.FIRST_WORKER
    )


def test_a_token_that_the_user_gives_comes_before_those_of_workers() -> None:
    state = d.all_lost(local=("e" * 12,))
    started = _starts(state)[0]
    assert (started.token_hash, started.token_from) == ("e" * 12, None)


def test_a_better_token_is_tried_where_another_one_was_refused() -> None:
    tried = d.begun(d.all_lost(token=False, local=(d.TOKEN,)), MASTER1, d.SEALED, token="e" * 12)
    (started,) = (p.step for p in _plan(tried).steps if isinstance(p.step, StartOnDatabase))
    assert started.token_hash == d.TOKEN


def test_a_worker_whose_token_pins_another_ca_is_not_asked() -> None:
    state = d.all_lost()
    for worker in d.SPEC.workers():
        state = w.edit_facts(state, worker.name, lambda f: replace(f, disk=replace(f.disk, config_token_ca=None)))
    assert w.codes(state, d.SPEC) == ["datastore.token-unknown"]


def test_a_start_that_was_cut_off_is_gone_on_with() -> None:
    state = d.begun(d.lost(d.served(), MASTER2), MASTER2)
    assert f"StartOnDatabase {MASTER2}" in w.verbs(_plan(w.without_node(state, MASTER2)).steps)
    alone = d.begun(d.all_lost(), MASTER1)
    assert w.verbs(_plan(alone).steps) == [f"StartOnDatabase {MASTER1}"]


def test_what_is_being_started_is_not_judged_by_what_it_said_before() -> None:
    state = d.begun(d.all_lost(), MASTER1, d.KINE)
    assert w.codes(state, d.SPEC) == ["datastore.unreachable"]
    under_way = decide.plan(d.SPEC, state, w.CREATE, frozenset({StepKey(StartOnDatabase, MASTER1)}))
    assert (under_way.refusals, under_way.steps) == ((), ())


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_a_stopped_master_is_started(active: str) -> None:
    state = d.said(d.served(), MASTER2, active=active)
    assert w.verbs(_plan(state).steps) == [f"StartMaster {MASTER2}"]
    assert _order(state) == [f"StartMaster {MASTER2}"]


def test_a_master_that_is_off_gets_power_and_serves_again() -> None:
    state = d.served()
    for name in d.SPEC.master_names:
        state = w.off(state, name)
    assert _order(replace(state, kube={}))[:3] == [f"PowerOn {name}" for name in d.SPEC.master_names]


def test_a_master_whose_files_are_gone_is_started_anew() -> None:
    def emptied(facts: HostFacts) -> HostFacts:
        return replace(facts, disk=replace(facts.disk, server_ca=None))

    state = w.edit_facts(d.said(d.served(), MASTER2, active="failed"), MASTER2, emptied)
    assert view_of(d.SPEC, state).master(MASTER2).k3s is K3s.EMPTIED  # type: ignore[union-attr]
    assert w.verbs(_plan(state).steps) == [f"StartOnDatabase {MASTER2}"]


def test_a_silent_master_may_be_discarded_while_another_one_serves() -> None:
    state = d._elsewhere(w.unreachable(d.served(), MASTER2))
    assert w.codes(state, d.SPEC) == ["master.unreachable"]
    consented = replace(w.CREATE, consents=Consents.of(Replace(MASTER2)))
    assert w.verbs(_plan(state, intent=consented).steps) == [f"DeleteServer {MASTER2}"]


def test_a_birth_ends_in_a_record_that_names_the_database() -> None:
    waves = w.forecast(w.nothing(), d.SPEC).waves
    planned = [p for wave in waves for p in wave if p.key == StepKey(RecordBirth, "born")]
    recorded = [p.step.record for p in planned if isinstance(p.step, RecordBirth)]
    assert [record.database for record in recorded] == [d.DIGITS]
    order = _order(w.nothing())
    assert order.index(f"InitControlPlane {MASTER1}") < order.index(f"StartOnDatabase {MASTER2}")
    assert not [step for step in order if step.startswith("JoinControlPlane")]


def test_a_master_beyond_the_file_is_drained_and_goes_without_its_member() -> None:
    order = _order(d.served(), d.spec_of(2), PRUNE)
    way_out = ("UnmarkMember", "CordonNode", "DrainNode", "DeleteServer", "DeleteNode")
    assert [step for step in order if step.endswith(MASTER3)] == [f"{verb} {MASTER3}" for verb in way_out]
    assert not [p for p in _plan(d.served(), d.spec_of(2)).steps if p.step.target == MASTER3]
    assert f"{MASTER3} is beyond the file and is left as it is: member" in _plan(d.served(), d.spec_of(2)).notes


@pytest.mark.parametrize(
    "state",
    [
        replace(d.served(), kube={}),
        d.lost(d.served(), MASTER1),
        w.edit_server(d.served(), MASTER3, lambda s: replace(s, status=ServerStatus.DELETING)),
    ],
    ids=["the API is not read", "a master of the file is lost", "it is going already"],
)
def test_nothing_beyond_the_file_goes_before_its_time(state: ClusterState) -> None:
    planned = decide.plan(d.spec_of(2), state, PRUNE)
    assert not [p for p in planned.steps if p.step.target == MASTER3]


def test_nothing_beyond_the_file_goes_before_all_of_the_file_serve() -> None:
    waiting = w.served(d.spec_of(2), d.said(d.served(), MASTER1), PRUNE)
    assert external_database.remove_masters(waiting) is None


def test_a_cluster_in_a_database_has_no_snapshots_of_etcd() -> None:
    with pytest.raises(ValueError, match="no snapshots"):
        replace(d.SPEC, etcd=S3_SPEC.etcd)


def test_an_api_that_is_not_read_is_waited_for() -> None:
    waiting = _plan(replace(d.served(), kube={}))
    assert [wait.what for wait in waiting.waits] == ["the Kubernetes API"]
    silent = waiting.waits[0].otherwise
    assert silent is not None
    assert silent.saw.startswith(f"The external database is read on {MASTER1}, {MASTER2}, {MASTER3}, but")


def test_a_database_that_moved_is_known_by_the_master_that_runs_on_it() -> None:
    spec = d.spec_of(endpoint=d.OTHER_ENDPOINT)
    digits = spec.database.digits if spec.database else ""
    state = d.served()
    for name in spec.master_names:
        state = w.edit_facts(state, name, lambda f: replace(f, disk=replace(f.disk, config_database=digits)))
    assert w.plan(state, spec).refusals == ()


def test_k3s_goes_on_with_an_etcd_whatever_its_configuration_says() -> None:
    facts = w.healthy().facts(w.FIRST_MASTER)
    assert facts is not None
    named = replace(facts, disk=replace(facts.disk, config_database=d.DIGITS))
    assert (named.on_database, named.serves, named.uid) == (False, True, w.UID)


def test_what_a_master_on_a_database_tells_of_its_token() -> None:
    facts = d.served().facts(w.FIRST_MASTER)
    assert facts is not None
    assert facts.bootstrap_keys == (d.TOKEN,)
    assert replace(facts, supervisor=replace(facts.supervisor, token_accepted=False)).bootstrap_keys == ()
    assert replace(facts, disk=replace(facts.disk, token_hash=None)).bootstrap_keys == ()
    assert facts.etcd == EtcdFacts()


def test_a_rotated_ca_is_accepted_where_one_database_is_served() -> None:
    state = d.served()
    rotated = "99" * 32
    for name in d.SPEC.master_names:
        state = w.edit_facts(
            state, name, lambda f: replace(f, disk=replace(f.disk, server_ca=rotated, config_token_ca=rotated))
        )
    accepted = replace(w.CREATE, consents=Consents.of(AcceptCa(rotated[:8])))
    assert w.verbs(w.plan(state, d.SPEC, accepted).steps) == ["RecordBirth born"]


def test_two_databases_in_one_record_are_a_contradiction() -> None:
    one, other = replace(d.record(), database="a" * 12), replace(d.record(), database="b" * 12)
    assert merge_records((one, other)) == RecordConflict("database", ("a" * 12, "b" * 12))
    assert merge_records((one, BirthRecord(phase=Phase.BORN))) == one
    assert one.labels()[naming.LABEL_DATABASE] == "a" * 12


def test_status_tells_of_no_members_and_of_a_database_that_is_down() -> None:
    state = d.served()
    told = report(d.SPEC, state, w.CREATE, w.forecast(state, d.SPEC))
    assert (told.on_database, told.members, told.quorum, told.health) == (True, (), None, Health.HEALTHY)
    state = d.down()
    told = report(d.SPEC, state, w.CREATE, w.forecast(state, d.SPEC))
    assert (told.health, told.because) == (Health.NO_QUORUM, ("no master serves the recorded cluster",))
