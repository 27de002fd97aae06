"""All masters lost: what is offered, what is refused, and the way back from a snapshot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.lost import (
    S3_SPEC,
    TOKEN_HASH,
    all_lost,
    half_restored,
    prepared,
    restored,
    restoring,
    stored,
    to_restore,
    with_snapshots,
    with_token,
)
from tests.decide.world import (
    CREATE,
    FIRST_WORKER,
    LINEAGE,
    MASTER1,
    MASTER2,
    MASTER3,
    NOW,
    OTHER_UID,
    WORKER1,
    WORKER2,
    booting,
    codes,
    database_deleted,
    edit_facts,
    forecast,
    healthy,
    in_order,
    lose,
    plan,
    rebuilt,
    stopped,
    unreachable,
    verbs,
)

from hetzner_k3s.decide.disaster import restore
from hetzner_k3s.decide.forecast import predict
from hetzner_k3s.decide.view.context import DecisionContext, context_of
from hetzner_k3s.model.consents import LATEST
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.snapshots import StoredSnapshot, of_cluster
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import InstallK3s, JoinControlPlane, KeepSnapshot, ReconnectWorker, RestoreSnapshot


def context(state: ClusterState, wanted: str = "latest") -> DecisionContext:
    return context_of(S3_SPEC, state, restoring(wanted), frozenset())


def test_without_a_consent_the_newest_is_offered_and_nothing_is_done() -> None:
    planned = plan(to_restore(), S3_SPEC)
    (refusal,) = planned.refusals
    assert refusal.code == "restore.consent"
    assert "2 snapshots of this cluster" in refusal.saw
    assert "37 min old" in refusal.saw
    assert f"hash {TOKEN_HASH}" in refusal.saw
    assert WORKER1 in refusal.saw
    assert not planned.steps


def test_the_way_back_in_order() -> None:
    way = in_order(to_restore(), S3_SPEC, restoring())
    verbs_only = [key.verb for key in way]
    order = ["KeepSnapshot", "SecureHost", "InstallK3s", "RestoreSnapshot", "StartRestored", "JoinControlPlane"]
    assert [verbs_only.index(verb) for verb in order] == sorted(verbs_only.index(verb) for verb in order)
    assert {StepKey(JoinControlPlane, MASTER2), StepKey(JoinControlPlane, MASTER3)} <= set(way)
    assert {StepKey(ReconnectWorker, WORKER1), StepKey(ReconnectWorker, WORKER2)} <= set(way)
    assert not [verb for verb in verbs_only if verb == "DeleteNode"], "the lost masters' go before the agent starts"
    before = way[: way.index(StepKey(RestoreSnapshot, MASTER1))]
    assert [key.target for key in before if key.verb == "CreateServer"] == [MASTER1]


def test_what_is_done_for_the_consent_says_so() -> None:
    first = plan(to_restore(), S3_SPEC, restoring()).steps
    assert verbs(first) == [f"CreateServer {MASTER1}", f"KeepSnapshot kept-{stored(2220).name}"]
    assert {step.consent for step in first} == {LATEST}
    assert "all masters are lost" in first[0].because


def test_the_newest_is_chosen_or_the_one_that_is_named() -> None:
    state = to_restore()
    newest = restore.choose(context(state))
    assert newest is not None
    assert newest.source.stored == stored(2220)
    assert newest.token_from == FIRST_WORKER
    named = restore.choose(context(state, stored(5820).name))
    assert named is not None
    assert named.source.stored == stored(5820)
    assert restore.choose(context(state, "etcd-snapshot-of-nobody")) is None


def test_a_kept_copy_stands_for_its_original_and_is_not_kept_again() -> None:
    state = prepared(to_restore(stored(2220), stored(2220, kept=True), stored(9000)))
    (step,) = plan(state, S3_SPEC, restoring()).steps
    assert isinstance(step.step, RestoreSnapshot)
    assert step.step.snapshot == f"kept-{stored(2220).name}"
    assert (step.step.token_hash, step.step.token_from, step.step.parent) == (TOKEN_HASH, FIRST_WORKER, LINEAGE)


def test_a_snapshot_in_the_root_of_the_bucket_is_kept_in_our_folder() -> None:
    (planned,) = (
        p
        for p in plan(to_restore(stored(60, folder="")), S3_SPEC, restoring()).steps
        if isinstance(p.step, KeepSnapshot)
    )
    assert isinstance(planned.step, KeepSnapshot)
    assert planned.step.folder == "prod"


def test_a_token_of_this_machine_does_too() -> None:
    state = with_snapshots(all_lost(token=False), stored(60))
    assert codes(state, S3_SPEC) == ["restore.no-token"]
    handed = replace(state, local=replace(state.local, token_hashes=(TOKEN_HASH,)))
    choice = restore.choose(context(handed))
    assert choice is not None
    assert choice.token_from is None
    (refusal,) = plan(handed, S3_SPEC).refusals
    assert "which this machine holds" in refusal.saw


def test_only_some_may_have_the_token_that_is_known() -> None:
    state = to_restore(stored(60, token_hash="f" * 12), stored(2220))
    (refusal,) = plan(state, S3_SPEC).refusals
    assert "1 of them" in refusal.saw
    chosen = restore.choose(context(state))
    assert chosen is not None
    assert chosen.source.stored == stored(2220)
    (unfit,) = plan(state, S3_SPEC, restoring(stored(60, token_hash="f" * 12).name)).refusals
    assert "which was not found" in unfit.saw


def test_without_the_token_its_hash_is_named() -> None:
    state = with_snapshots(all_lost(token=False), stored(60, token_hash=None))
    (refusal,) = plan(state, S3_SPEC, restoring()).refusals
    assert refusal.code == "restore.no-token"
    assert "(none noted)" in refusal.saw
    other = with_token(state, S3_SPEC)
    (refusal,) = plan(with_snapshots(other, stored(60, token_hash="e" * 12)), S3_SPEC).refusals
    assert "e" * 12 in refusal.saw
    assert TOKEN_HASH in refusal.saw


@pytest.mark.parametrize("wanted", ["latest", stored(60, uid=OTHER_UID).name])
def test_others_snapshots_are_never_restored(wanted: str) -> None:
    state = to_restore(stored(60, uid=OTHER_UID))
    assert codes(state, S3_SPEC, restoring(wanted)) == ["masters.all-lost"]
    both = to_restore(stored(60, uid=OTHER_UID), stored(120))
    if wanted != "latest":
        (refusal,) = plan(both, S3_SPEC, restoring(wanted)).refusals
        assert refusal.code == "consent.unfit"
        assert OTHER_UID[:8] in refusal.saw


def test_unknown_is_not_absent() -> None:
    state = replace(all_lost(), snapshots=Unknown("it did not answer", NOW))
    for intent in (CREATE, restoring()):
        planned = plan(state, S3_SPEC, intent)
        assert [r.code for r in planned.refusals] == ["restore.unknown"]


def test_a_master_that_may_hold_data_is_not_lost() -> None:
    silent = unreachable(lose(lose(healthy(S3_SPEC), MASTER1), MASTER2), MASTER3)
    has_data = stopped(lose(lose(healthy(S3_SPEC), MASTER1), MASTER2), MASTER3)
    for state in (silent, has_data):
        found = codes(with_snapshots(with_token(state, S3_SPEC), stored(60)), S3_SPEC, restoring())
        assert "consent.unfit" in found
        assert not plan(with_snapshots(with_token(state, S3_SPEC), stored(60)), S3_SPEC, restoring()).steps


def test_a_disk_without_data_is_a_loss_too() -> None:
    gone = lose(lose(healthy(S3_SPEC), MASTER2), MASTER3)
    for state in (rebuilt(gone, MASTER1), database_deleted(gone, MASTER1)):
        assert "restore.consent" in codes(with_snapshots(with_token(state, S3_SPEC), stored(60)), S3_SPEC)


def test_a_master_whose_database_is_gone_is_restored_where_it_is() -> None:
    gone = database_deleted(lose(lose(healthy(S3_SPEC), MASTER2), MASTER3), MASTER1)
    state = with_snapshots(with_token(gone, S3_SPEC), stored(60, kept=True))
    assert verbs(plan(state, S3_SPEC, restoring()).steps) == [f"RestoreSnapshot {MASTER1}"]


def test_what_boots_is_looked_at_before_anything_is_restored_beside_it() -> None:
    state = booting(prepared(to_restore(stored(60, kept=True))), S3_SPEC, MASTER2, 901)
    planned = plan(state, S3_SPEC, restoring())
    assert not [p for p in planned.steps if isinstance(p.step, RestoreSnapshot)]
    assert any(wait.what == f"{MASTER2} to answer" for wait in planned.waits)


def test_the_only_one_with_a_server_is_restored_on() -> None:
    state = prepared(to_restore(stored(60, kept=True)), MASTER3)
    assert verbs(plan(state, S3_SPEC, restoring()).steps) == [f"RestoreSnapshot {MASTER3}"]


def test_half_a_restore_is_begun_again_there() -> None:
    state = half_restored(to_restore(stored(60, kept=True)))
    assert verbs(plan(state, S3_SPEC, restoring()).steps) == [f"RestoreSnapshot {MASTER1}"]
    (refusal,) = plan(state, S3_SPEC).refusals
    assert "half a restore lies on it" in refusal.saw


def test_a_restored_master_is_started_with_or_without_the_consent() -> None:
    state = restored(to_restore(), LINEAGE)
    for intent in (CREATE, restoring()):
        assert verbs(plan(state, S3_SPEC, intent).steps) == [f"StartRestored {MASTER1}"]


def test_a_restored_master_without_its_agent_is_no_seed_and_is_gone_on_with() -> None:
    """Its etcd votes and its API answers, but the lost masters' Nodes are not proven deleted, and no kubelet runs."""
    state = restored(to_restore(), LINEAGE)
    (planned,) = plan(state, S3_SPEC).steps
    voting = predict(S3_SPEC, state, planned.step)
    unread = replace(voting, kube={})
    state = edit_facts(unread, MASTER1, lambda f: replace(f, agentless=True))
    assert context(state).control_plane.gateway is None
    assert verbs(plan(state, S3_SPEC).steps) == [f"StartRestored {MASTER1}"]
    running = edit_facts(voting, MASTER1, lambda f: replace(f, agentless=False))
    assert context(running).control_plane.gateway is not None


def test_data_of_another_lineage_is_not_started() -> None:
    for changed in (
        restored(to_restore(), "9999"),
        edit_facts(restored(to_restore(), LINEAGE), MASTER1, lambda f: replace(f, held=True)),
    ):
        assert not plan(changed, S3_SPEC, restoring()).steps


def test_the_consent_does_not_fit_a_cluster_that_lives() -> None:
    state = with_snapshots(healthy(S3_SPEC), stored(60))
    (refusal,) = plan(state, S3_SPEC, restoring()).refusals
    assert refusal.code == "consent.unfit"
    assert "not lost" in refusal.saw


def test_the_consent_was_acted_on_where_a_voter_says_that_it_was_restored() -> None:
    state = edit_facts(healthy(S3_SPEC), MASTER1, lambda f: replace(f, lineage=LINEAGE))
    assert codes(state, S3_SPEC, restoring()) == []


def test_the_workers_version_is_installed() -> None:
    state = edit_facts(to_restore(), WORKER1, lambda f: replace(f, k3s_version="v1.35.1+k3s1"))
    state = edit_facts(state, WORKER2, lambda f: replace(f, k3s_version="v1.35.9+k3s1"))
    way = forecast(state, S3_SPEC, restoring())
    installs = [p.step for wave in way.waves for p in wave if p.key == StepKey(InstallK3s, MASTER1)]
    assert [getattr(step, "version", None) for step in installs] == ["v1.35.9+k3s1"]


def test_ages() -> None:
    assert [restore.age(s) for s in (-5, 119 * 60, 7200, 47 * 3600, 48 * 3600)] == [
        "0 min",
        "119 min",
        "2 h",
        "47 h",
        "2 days",
    ]


def test_snapshots_are_told_apart_by_cluster_and_counted_once() -> None:
    old, new = stored(9000), stored(60)
    empty = replace(stored(30), size=0)
    unnamed = StoredSnapshot(name="by-hand", folder="", size=1, modified=NOW, cluster_uid=new.cluster_uid)
    found = (old, new, stored(60, kept=True), stored(10, uid=None), empty, unnamed)
    assert of_cluster(found, new.cluster_uid) == (unnamed, stored(60, kept=True), old)
    assert of_cluster(found, None) == ()


def test_s3_is_not_needed_to_say_what_is_lost() -> None:
    state = replace(all_lost(), snapshots=Known(()))
    (refusal,) = plan(state, S3_SPEC).refusals
    assert "S3 holds no snapshot of this cluster (bucket backups, folder prod)" in refusal.saw
