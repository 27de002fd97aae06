"""The report of `status`: how well a cluster is, who its members are, and what drifted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.decide.refused import CASES
from tests.decide.world import (
    CREATE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NO_RECORD,
    NOW,
    OTHER_CA,
    OTHER_UID,
    SPEC,
    UID,
    VERSION,
    WORKER1,
    WORKER2,
    a_spec,
    edit_etcd,
    edit_facts,
    edit_node,
    edit_server,
    forecast,
    healthy,
    lose,
    member_id_of,
    nothing,
    ordered_as_surge,
    other_identity,
    plan,
    rebuilt,
    recorded,
    server_id_of,
    unlistable,
    unreachable,
    with_reading,
    with_snapshot,
    without_quorum,
)

from hetzner_k3s import decide
from hetzner_k3s.cli.render.status import remarks
from hetzner_k3s.decide.status.report import NEWEST, SPLIT_CODES
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import HostFacts, Member, Snapshot, UnitFacts
from hetzner_k3s.model.identity import RecordConflict
from hetzner_k3s.model.report import Health, MemberState, Quorum, Report
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

FULL = f"memberID:{member_id_of(FIRST_MASTER)} alarm:NOSPACE "


def report(state: ClusterState, spec: ClusterSpec = SPEC) -> Report:
    return decide.report(spec, state, CREATE, forecast(state, spec))


def test_a_healthy_cluster_is_healthy() -> None:
    told = report(healthy())
    assert (told.health, told.because) == (Health.HEALTHY, ())
    assert told.quorum == Quorum(voters=3, healthy=3, needed=2)
    assert [(m.name[:12], m.state.value) for m in told.members] == [
        (MASTER1, "leader"),
        (MASTER2, "voter"),
        (MASTER3, "voter"),
    ]
    assert [(s.name, s.in_file, s.stage, s.node) for s in told.servers] == [
        (server.name, True, "member", "Ready") for server in SPEC.servers()
    ]
    assert told.versions == {VERSION: tuple(server.name for server in SPEC.servers())}
    assert (told.drift, told.strangers, told.beyond_file, told.snapshots) == ((), (), (), ())
    assert [node.name for node in told.nodes] == sorted(server.name for server in SPEC.servers())


def _conflicting(state: ClusterState) -> ClusterState:
    return edit_server(state, MASTER2, lambda s: replace(s, labels={**s.labels, naming.LABEL_UID: OTHER_UID}))


@pytest.mark.parametrize(
    ("change", "health", "because"),
    [
        (lambda s: lose(s, MASTER2), Health.DEGRADED, "not as the file wants them: prod-master2"),
        (lambda s: lose(s, WORKER1), Health.DEGRADED, "not as the file wants them: prod-pool-small-worker1"),
        (lambda s: edit_node(s, WORKER1, lambda n: replace(n, ready=False)), Health.DEGRADED, "worker.not-ready"),
        (lambda s: recorded(s, NO_RECORD), Health.DEGRADED, "`create` would refuse"),
        (_conflicting, Health.DEGRADED, "record.conflict"),
        (without_quorum, Health.NO_QUORUM, "no master answers"),
        (lambda s: other_identity(s, MASTER3), Health.SPLIT, "Two clusters answer"),
        (unlistable, Health.UNKNOWN, "the Hetzner listing is incomplete"),
    ],
)
def test_the_worst_that_is_true_is_said(
    change: Callable[[ClusterState], ClusterState], health: Health, because: str
) -> None:
    told = report(change(healthy()))
    assert told.health is health
    assert because in " ".join(told.because)


def test_a_cluster_that_is_not_there_is_pending_not_lost() -> None:
    told = report(nothing())
    assert told.health is Health.DEGRADED
    assert told.quorum is None
    assert [(s.hetzner, s.id, s.host) for s in told.servers] == [("absent", None, None)] * 5
    assert any("would take" in why for why in told.because)


def test_one_step_is_one_step() -> None:
    state = edit_facts(
        healthy(), MASTER1, lambda f: replace(f, disk=replace(f.disk, config_server="https://10.9.9.9:6443"))
    )
    assert "`create` would take 1 step" in report(state).because


def test_a_wait_is_named() -> None:
    assert "waiting for the Kubernetes API" in report(replace(healthy(), kube={})).because


def _last_learns(members: tuple[Member, ...]) -> tuple[Member, ...]:
    return (*members[:-1], replace(members[-1], learner=True))


def test_split_codes_are_codes_of_refusals() -> None:
    said = {code for case in CASES.values() for code in case.codes}
    assert said >= SPLIT_CODES


def test_members_are_told_by_their_own_hosts() -> None:
    def state_of(state: ClusterState) -> dict[str, MemberState]:
        return {member.name[:12]: member.state for member in report(state).members}

    assert state_of(unreachable(healthy(), MASTER3))[MASTER3] is MemberState.UNREACHABLE
    assert state_of(lose(healthy(), MASTER3))[MASTER3] is MemberState.DEAD
    sick = edit_facts(healthy(), MASTER3, lambda f: replace(f, etcd=replace(f.etcd, healthy=False)))
    assert state_of(sick)[MASTER3] is MemberState.UNHEALTHY
    learner = edit_etcd(healthy(), lambda etcd: replace(etcd, members=_last_learns(etcd.members or ())))
    assert state_of(learner)[MASTER3] is MemberState.LEARNER


def test_a_member_whose_disk_is_new_is_erased() -> None:
    (gone,) = [m for m in report(rebuilt(healthy(), MASTER3)).members if m.name.startswith(MASTER3)]
    assert gone.state is MemberState.ERASED


def test_a_version_that_only_lies_there_does_not_run() -> None:
    idle = UnitFacts(active="inactive")
    state = edit_facts(healthy(), WORKER1, lambda f: replace(f, agent_unit=idle))
    assert WORKER1 not in report(state).versions[VERSION]


def test_who_is_connected_to_a_silent_member_is_told() -> None:
    (silent,) = [m for m in report(unreachable(healthy(), MASTER3)).members if m.state is MemberState.UNREACHABLE]
    assert silent.connected == (MASTER1, MASTER2)


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        (SshStage.TCP, "no answer"),
        (SshStage.HOST_KEY, "host key"),
        (SshStage.AUTH, "authentication"),
        (SshStage.SESSION, "session"),
        (SshStage.ANSWER, "unreadable answer"),
    ],
)
def test_how_a_host_answers(stage: SshStage, says: str) -> None:
    hosts = {server.name: server.host for server in report(unreachable(healthy(), MASTER3, stage)).servers}
    assert hosts[MASTER3] == says
    assert hosts[MASTER1] == "answers"


def test_a_host_that_was_not_looked_at_says_nothing() -> None:
    (server,) = [s for s in report(with_reading(healthy(), WORKER1, None)).servers if s.name == WORKER1]
    assert (server.host, server.version, server.unit, server.etcd) == (None, None, None, None)


@pytest.mark.parametrize(
    ("learner", "reason", "says"),
    [(True, "", "learner"), (False, "RAFT NO LEADER", "RAFT NO LEADER"), (False, "", "unhealthy")],
)
def test_an_etcd_that_does_not_serve_says_why(learner: bool, reason: str, says: str) -> None:
    state = edit_facts(
        healthy(), MASTER3, lambda f: replace(f, etcd=replace(f.etcd, healthy=False, learner=learner, reason=reason))
    )
    assert {s.name: s.etcd for s in report(state).servers}[MASTER3] == says


def test_what_is_beyond_the_file_is_named_and_no_harm() -> None:
    told = report(healthy(a_spec(3, 2)), a_spec(3, 1))
    assert told.health is Health.HEALTHY
    assert told.beyond_file == (WORKER2,)
    (surplus,) = [server for server in told.servers if not server.in_file]
    assert (surplus.name, surplus.role, surplus.stage) == (WORKER2, "worker", "member")


def test_a_surge_server_that_is_left_is_told_as_such_and_no_harm() -> None:
    told = report(ordered_as_surge(healthy(a_spec(3, 2)), WORKER2), a_spec(3, 1))
    assert (told.health, told.beyond_file) == (Health.HEALTHY, (WORKER2,))
    (sentence,) = told.surge
    assert sentence.startswith(f"{WORKER2} is a surge server of a rollout that was not ended")
    assert sentence in "".join(remarks(told))


def test_a_silent_server_beyond_the_file_is_told_as_such() -> None:
    told = report(unreachable(healthy(a_spec(3, 2)), WORKER2), a_spec(3, 1))
    assert [s.stage for s in told.servers if s.name == WORKER2] == ["unreachable"]


def test_a_master_beyond_the_file_is_a_member_like_the_others() -> None:
    told = report(healthy(a_spec(5)), a_spec(3))
    assert [(s.name, s.stage) for s in told.servers if not s.in_file] == [
        ("prod-master4", "member"),
        ("prod-master5", "member"),
    ]
    assert told.quorum == Quorum(voters=5, healthy=5, needed=3)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("clock", lambda facts: replace(facts, ahead=12.0)),
        ("alarm", lambda f: replace(f, etcd=replace(f.etcd, errors=(FULL,)))),
    ],
)
def test_what_every_join_would_be_refused_for_is_drift(code: str, change: Callable[[HostFacts], HostFacts]) -> None:
    told = report(edit_facts(healthy(), MASTER1, change))
    assert code in {drift.code for drift in told.drift}
    assert told.health is Health.DEGRADED


def test_another_version_is_a_difference() -> None:
    state = edit_facts(healthy(), WORKER1, lambda f: replace(f, k3s_version="v1.35.1+k3s1"))
    told = report(state)
    assert [(d.field, d.subject) for d in told.forecast.differences] == [("k3s_version", WORKER1)]
    assert told.health is Health.DEGRADED
    assert "not as the file says, and left as it is: k3s_version" in told.because
    assert told.versions["v1.35.1+k3s1"] == (WORKER1,)


def test_a_version_that_does_not_run_is_no_drift() -> None:
    idle = UnitFacts(active="inactive")
    state = edit_facts(healthy(), WORKER1, lambda f: replace(f, k3s_version="v1.35.1+k3s1", agent_unit=idle))
    assert report(state).drift == ()


def test_a_token_that_the_datastore_does_not_know_is_drift() -> None:
    def holding(hash_: str) -> ClusterState:
        return edit_facts(healthy(), MASTER2, lambda f: replace(f, disk=replace(f.disk, config_token_hash=hash_)))

    assert [(d.code, d.subject) for d in report(holding("0" * 12)).drift] == [("token", MASTER2)]
    assert report(holding("f" * 12)).drift == ()


def test_a_server_line_that_leads_nowhere_is_drift() -> None:
    def pointing(url: str) -> ClusterState:
        return edit_facts(healthy(), WORKER1, lambda f: replace(f, disk=replace(f.disk, config_server=url)))

    assert [d.code for d in report(pointing("https://10.77.0.1:6443")).drift] == ["server-line"]
    alive = (
        "https://10.0.0.101:6443",
        "https://203.0.0.101:6443",
        "https://10.0.9.40:6443",
        "https://api.example:6443",
    )
    assert [report(pointing(url)).drift for url in alive] == [()] * 4


def test_without_a_balancer_its_address_is_no_living_one() -> None:
    spec = a_spec(load_balancer=False)
    state = edit_facts(
        healthy(spec), WORKER1, lambda f: replace(f, disk=replace(f.disk, config_server="https://10.0.9.40:6443"))
    )
    assert [d.code for d in report(state, spec).drift] == ["server-line"]


def test_a_server_without_a_public_address_is_reached_by_its_private_one() -> None:
    state = edit_server(healthy(), WORKER1, lambda s: replace(s, public_ipv4=None))
    assert {s.name: s.address for s in report(state).servers}[WORKER1] == "10.0.0.201"


def test_strangers_are_named() -> None:
    by_ca = report(edit_facts(healthy(), WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_ca=OTHER_CA))))
    assert [(s.server, s.saw) for s in by_ca.strangers] == [(WORKER1, "its disk holds CA cd34cd34")]
    by_uid = report(edit_facts(healthy(), MASTER3, lambda f: replace(f, etcd=replace(f.etcd, uid=OTHER_UID))))
    assert [s.saw for s in by_uid.strangers] == [f"its datastore has kube-system UID {OTHER_UID}"]


def test_who_is_of_the_clusters_past_is_named() -> None:
    told = report(edit_facts(healthy(), MASTER3, lambda f: replace(f, lineage="9999", parent_lineage="8888")))
    assert [(s.server, s.saw) for s in told.strangers] == [(MASTER3, "its data is of lineage 9999, the cluster's past")]
    assert told.health is Health.DEGRADED


def test_the_newest_snapshots_come_first() -> None:
    taken = tuple(Snapshot(name=f"s{n}", size=n, created=NOW - 60 * n) for n in range(NEWEST + 3, 0, -1))
    told = report(edit_facts(healthy(), MASTER2, lambda f: replace(f, snapshots=taken))).snapshots
    assert [(s.name, s.where, s.age) for s in told] == [(f"s{n}", MASTER2, 60.0 * n) for n in range(1, NEWEST + 1)]


def test_what_lies_in_s3_counts_where_it_is_this_clusters() -> None:
    ours = StoredSnapshot(name="s-1799999940", folder="prod", size=9, modified=NOW, cluster_uid=UID)
    others = replace(ours, name="s-1799999941", cluster_uid=OTHER_UID)
    told = report(replace(healthy(), snapshots=Known((ours, others))))
    assert [(s.name, s.where, s.age) for s in told.snapshots] == [("s-1799999940", "S3 prod/", 60.0)]
    assert told.not_seen == ()


def test_a_bucket_that_could_not_be_listed_is_said() -> None:
    assert report(replace(healthy(), snapshots=Unknown("no answer"))).not_seen == ("S3 (no answer)",)


def test_a_clock_that_is_behind_makes_no_snapshot_younger_than_now() -> None:
    (told,) = report(with_snapshot(replace(healthy(), observed_at=0.0), MASTER1, FIRST_MASTER)).snapshots
    assert told.age == 0.0


def test_a_record_of_two_births_is_passed_on() -> None:
    assert isinstance(report(_conflicting(healthy())).record, RecordConflict)


def test_what_create_would_leave_alone_is_said() -> None:
    state = unreachable(healthy(), MASTER3)
    told = report(state)
    assert told.health is Health.DEGRADED
    assert told.forecast.degraded
    assert set(told.forecast.degraded) <= set(told.because)


def test_the_report_carries_what_create_would_do() -> None:
    state = lose(healthy(), MASTER1)
    assert report(state).forecast.waves[0] == plan(state).steps


def test_a_node_that_stands_for_a_lost_server_is_drift() -> None:
    """A restored master takes its old Node over, whose provider id names the server that is gone."""
    state = edit_node(healthy(), MASTER1, lambda n: replace(n, provider_id="hcloud://77"))
    (drift,) = report(state).drift
    assert (drift.code, drift.subject) == ("provider-id", MASTER1)
    assert "server 77" in drift.saw
    assert report(state).health is Health.HEALTHY, "nobody can change it, so it is no alarm for ever"
    own = edit_node(healthy(), MASTER1, lambda n: replace(n, provider_id=f"hcloud://{server_id_of(MASTER1)}"))
    assert report(own).drift == ()
