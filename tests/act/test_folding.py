"""What steps learn is put together, whatever the order in which they end."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from hetzner_k3s.act.context import Gone, LabelChange, Outcome
from hetzner_k3s.act.state_patch import fold, learn
from hetzner_k3s.model.cloud import CloudView, PlacementGroup, Server, ServerStatus
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.state import ClusterState, unseen

VIEW = CloudView(
    servers=tuple(
        Server(id=i, name=f"s{i}", status=ServerStatus.RUNNING, labels={"cluster": "c", "host-key": "old"})
        for i in (1, 3)
    ),
    placement_groups=(PlacementGroup(id=1, name="g"),),
)


def test_a_made_resource_takes_its_place() -> None:
    made = Server(id=2, name="s2", status=ServerStatus.RUNNING)
    assert [s.name for s in fold(VIEW, Outcome((made,))).servers] == ["s1", "s2", "s3"]


def test_labels_that_steps_set_side_by_side_are_all_kept() -> None:
    birth = Outcome(
        labels=(LabelChange("server", 1, {"phase": "born"}), LabelChange("placement_group", 1, {"phase": "born"}))
    )
    key = Outcome(labels=(LabelChange("server", 1, {"host-key": "new"}),))
    state = Outcome(labels=(LabelChange("server", 1, {"state": "member"}),))
    for order in permutations((birth, key, state)):
        view = VIEW
        for outcome in order:
            view = fold(view, outcome)
        assert view.servers[0].labels == {"cluster": "c", "host-key": "new", "phase": "born", "state": "member"}
        assert view.servers[1] == VIEW.servers[1]
        assert view.placement_groups[0].labels == {"phase": "born"}


def test_a_removed_label_is_gone() -> None:
    outcome = Outcome(labels=(LabelChange("server", 3, {"host-key": None}),))
    assert fold(VIEW, outcome).servers[1].labels == {"cluster": "c"}


def test_what_was_deleted_is_gone_whatever_an_older_listing_says() -> None:
    assert [s.id for s in fold(VIEW, Outcome(gone=(Gone("server", 1),))).servers] == [3]
    assert fold(VIEW, Outcome(gone=(Gone("placement_group", 1),))).placement_groups == ()


def test_a_kept_snapshot_takes_the_place_of_one_of_its_name() -> None:
    stored = StoredSnapshot(folder="kept", name="a", size=1, modified=1.0)
    newer, other = replace(stored, modified=2.0), replace(stored, folder="others")
    state = ClusterState(observed_at=0.0, cloud=Known(VIEW), snapshots=Known((stored, other)))
    assert learn(state, Outcome(snapshots=(newer,))).snapshots == Known((other, newer))


def test_a_listing_that_failed_stays_unknown() -> None:
    state = unseen("no answer", 0.0)
    assert learn(state, Outcome((Server(id=2, name="s2", status=ServerStatus.RUNNING),))) == state
