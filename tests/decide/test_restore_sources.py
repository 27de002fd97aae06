"""What a restore can come from beside S3: a master's own disk, and a file that the user names."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.lost import (
    FROM_FILE,
    S3_SPEC,
    TOKEN_HASH,
    a_file,
    all_lost,
    emptied,
    naming_a_file,
    on_disk,
    prepared,
    restoring,
    stored,
    to_restore,
    with_disk,
    with_snapshots,
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
    SPEC,
    codes,
    edit_facts,
    forecast,
    healthy,
    in_order,
    lose,
    plan,
    server_id_of,
    stopped,
    unreachable,
    verbs,
)

from hetzner_k3s.decide.disaster import restore, restore_sources
from hetzner_k3s.decide.disaster.restore_sources import Place
from hetzner_k3s.decide.forecast import predict
from hetzner_k3s.decide.repair import power
from hetzner_k3s.decide.view.context import DecisionContext, context_of
from hetzner_k3s.model.consents import LATEST, Restore
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, Snapshot, UnitFacts
from hetzner_k3s.model.plan import Intent, StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import JoinControlPlane, MarkMember, RestoreSnapshot, StartRestored, UploadSnapshot

ALL = SPEC.master_names


def context(state: ClusterState, intent: Intent = FROM_FILE) -> DecisionContext:
    return context_of(SPEC, state, intent, frozenset())


def two_disks() -> ClusterState:
    """Delete all databases; the newest snapshot lies on master2."""
    state = with_disk(emptied(SPEC, *ALL), MASTER1, on_disk(600), on_disk(900))
    return with_disk(state, MASTER2, on_disk(60, node=MASTER2))


def test_the_newest_on_any_disk_is_restored_where_it_lies() -> None:
    (planned,) = plan(two_disks(), SPEC, restoring()).steps
    assert planned.step == RestoreSnapshot(
        target=MASTER2,
        server_id=server_id_of(MASTER2),
        snapshot=on_disk(60, node=MASTER2).name,
        sha256=on_disk(60, node=MASTER2).sha256,
        token_hash=TOKEN_HASH,
        token_from=FIRST_WORKER,
        parent=LINEAGE,
    )
    assert planned.consent == LATEST


def test_one_that_is_named_is_restored_where_it_lies() -> None:
    wanted = restoring(on_disk(900).name)
    assert verbs(plan(two_disks(), SPEC, wanted).steps) == [f"RestoreSnapshot {MASTER1}"]


def test_what_lies_on_disks_is_counted_by_place() -> None:
    (refusal,) = plan(two_disks(), SPEC).refusals
    assert refusal.code == "restore.consent"
    assert f"3 snapshots of this cluster (2 on {MASTER1}, 1 on {MASTER2})" in refusal.saw
    assert f"{on_disk(60, node=MASTER2).name}, on {MASTER2}) 1 min old" in refusal.saw


def test_a_disk_comes_before_s3_for_the_same_snapshot_and_a_newer_one_in_s3_before_a_disk() -> None:
    same = with_snapshots(with_disk(emptied(S3_SPEC, MASTER1), MASTER1, on_disk(60)), stored(60, kept=True))
    found = restore_sources.ours(context_of(S3_SPEC, same, CREATE, frozenset()))
    assert [(s.place, s.original) for s in found] == [(Place.HOST, stored(60).name)]
    newer = with_snapshots(with_disk(emptied(S3_SPEC, MASTER1), MASTER1, on_disk(600)), stored(60))
    assert [s.place for s in restore_sources.ours(context_of(S3_SPEC, newer, CREATE, frozenset()))] == [
        Place.S3,
        Place.HOST,
    ]


def test_a_disk_with_anothers_or_a_damaged_snapshot_offers_nothing() -> None:
    for uid in (OTHER_UID, None):
        state = with_disk(emptied(SPEC, MASTER1), MASTER1, on_disk(60, uid=uid))
        assert codes(state, SPEC, restoring()) == ["masters.all-lost"]
        assert "on a master's disk" in plan(state, SPEC).refusals[0].saw


def test_anothers_snapshot_that_is_named_is_told_apart() -> None:
    state = with_disk(emptied(SPEC, MASTER1), MASTER1, on_disk(60, uid=OTHER_UID), on_disk(90))
    (refusal,) = plan(state, SPEC, restoring(on_disk(60).name)).refusals
    assert OTHER_UID[:8] in refusal.saw


def test_disks_that_could_not_be_read_hold_back_the_newest_but_not_one_that_is_named() -> None:
    state = replace(two_disks(), on_hosts={**two_disks().on_hosts, server_id_of(MASTER3): Unknown("no answer", NOW)})
    assert codes(state, SPEC, restoring()) == ["restore.unknown"]
    assert codes(state, SPEC) == ["restore.unknown"]
    assert MASTER3 in plan(state, SPEC).refusals[0].saw
    assert verbs(plan(state, SPEC, restoring(on_disk(900).name)).steps) == [f"RestoreSnapshot {MASTER1}"]


def test_a_silent_s3_holds_back_the_newest_but_neither_a_name_nor_a_file() -> None:
    silent = replace(with_disk(emptied(S3_SPEC, MASTER1), MASTER1, on_disk(60)), snapshots=Unknown("no answer", NOW))
    assert codes(silent, S3_SPEC, restoring()) == ["restore.unknown"]
    assert not codes(silent, S3_SPEC, restoring(on_disk(60).name))
    assert not codes(
        naming_a_file(replace(all_lost(), snapshots=Unknown("no answer", NOW)), a_file()), S3_SPEC, FROM_FILE
    )


def test_a_restore_that_was_begun_goes_on_on_its_own_host() -> None:
    state = edit_facts(two_disks(), MASTER1, lambda f: replace(f, restoring=True))
    (planned,) = plan(state, SPEC, restoring()).steps
    assert planned.step.target == MASTER1
    (refusal,) = plan(state, SPEC, restoring(on_disk(60, node=MASTER2).name)).refusals
    assert refusal.code == "consent.unfit"
    assert f"It lies on {MASTER2}, and half a restore lies on {MASTER1}" in refusal.saw
    assert "--restore PATH" in refusal.you_can


def test_a_file_is_sent_before_it_is_restored_and_only_to_a_host_that_is_ready() -> None:
    state = naming_a_file(all_lost(SPEC, token=False), a_file())
    assert verbs(plan(state, SPEC, FROM_FILE).steps) == [f"CreateServer {MASTER1}"]
    (upload,) = plan(prepared(state), SPEC, FROM_FILE).steps
    assert upload.step == UploadSnapshot(
        target=MASTER1, server_id=900, name=f"kept-{a_file().name}", size=a_file().size, sha256=a_file().sha256
    )
    assert upload.consent == Restore("/backups/monday")
    sent = predict(SPEC, prepared(state), upload.step)
    (planned,) = plan(sent, SPEC, FROM_FILE).steps
    assert isinstance(planned.step, RestoreSnapshot)
    assert (planned.step.snapshot, planned.step.sha256) == (f"kept-{a_file().name}", a_file().sha256)
    assert (planned.step.token_hash, planned.step.token_from) == (TOKEN_HASH, None)


def test_another_file_of_that_name_on_the_host_does_not_count() -> None:
    state = prepared(naming_a_file(all_lost(SPEC), a_file()))
    half = Snapshot(name=f"kept-{a_file().name}", size=a_file().size - 1, created=NOW)
    state = edit_facts(state, MASTER1, lambda f: replace(f, snapshots=(half,)))
    assert verbs(plan(state, SPEC, FROM_FILE).steps) == [f"UploadSnapshot {MASTER1}"]


def test_a_file_stands_alone_whatever_is_newer_elsewhere() -> None:
    state = naming_a_file(prepared(to_restore(stored(1, kept=True))), a_file(90000.0))
    chosen = restore.choose(context_of(S3_SPEC, state, FROM_FILE, frozenset()))
    assert chosen is not None
    assert (chosen.source.place, chosen.source.where) == (Place.HERE, "on this machine")


def test_a_file_is_refused_beside_data() -> None:
    for state in (
        healthy(),
        stopped(lose(lose(healthy(), MASTER1), MASTER2), MASTER3),
        unreachable(lose(lose(healthy(), MASTER1), MASTER2), MASTER3),
    ):
        assert "consent.unfit" in codes(naming_a_file(state, a_file()), SPEC, FROM_FILE)


def test_of_a_birth_without_a_uid_nothing_is_ours() -> None:
    unborn = context(naming_a_file(healthy(), a_file()))
    nameless = replace(
        unborn, control_plane=replace(unborn.control_plane, record=replace(unborn.control_plane.record, uid=None))
    )
    assert restore_sources.ours(nameless) == ()
    assert [s.place for s in restore_sources.everything(nameless)] == [Place.HERE]


def restored_beside_loopers() -> ClusterState:
    """Let master2 hold a restored snapshot, not started; the others' k3s looks for somebody to join."""
    disk = DiskFacts(wal=True, reset_flag=True, server_ca="ab12" * 16, token_hash=TOKEN_HASH, config_present=True)
    state = edit_facts(
        two_disks(),
        MASTER2,
        lambda f: replace(f, disk=disk, lineage="2222", parent_lineage=LINEAGE, etcd=EtcdFacts(), snapshots=()),
    )
    state = edit_facts(state, MASTER2, lambda f: replace(f, server_unit=UnitFacts(active="inactive")))
    return edit_facts(state, MASTER1, lambda f: replace(f, server_unit=UnitFacts(active="activating")))


def test_a_restored_master_is_started_by_the_restore_and_those_that_would_join_by_themselves_are_stopped() -> None:
    state = restored_beside_loopers()
    assert power.power_on(context(state, restoring())) is None
    (planned,) = plan(state, SPEC, restoring()).steps
    assert planned.step == StartRestored(
        target=MASTER2, server_id=server_id_of(MASTER2), quiet=(server_id_of(MASTER1),)
    )
    after = predict(SPEC, state, planned.step)
    facts = after.facts(server_id_of(MASTER1))
    assert facts is not None
    assert facts.server_unit.active == "inactive"


def test_the_way_back_from_disks_ends_with_all_masters_joined_anew() -> None:
    way = in_order(two_disks(), SPEC, restoring())
    assert way[0] == StepKey(RestoreSnapshot, MASTER2)
    assert {
        StepKey(JoinControlPlane, MASTER1),
        StepKey(JoinControlPlane, MASTER3),
        StepKey(MarkMember, MASTER1),
    } <= set(way)
    assert not [key.verb for key in way if key.verb in {"CreateServer", "DeleteServer"}]


def test_a_lineage_that_is_yet_to_be_drawn_is_called_a_new_one() -> None:
    shown = [p.because for wave in forecast(two_disks(), SPEC, restoring()).waves for p in wave]
    assert f"{MASTER2} began a new lineage, and not everything says so yet" in shown
