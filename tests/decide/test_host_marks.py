"""A mark that lies on a host is believed where the labels of its server agree."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.world import (
    MASTER1,
    MASTER2,
    MASTER3,
    codes,
    edit_facts,
    edit_server,
    healthy,
    lose,
    plan,
    stopped,
    verbs,
    without_quorum,
)

from hetzner_k3s.model import naming
from hetzner_k3s.model.state import ClusterState


def marked() -> ClusterState:
    """One master is left, stopped, with its data; and a mark of a restore lies there that ended long ago."""
    state = without_quorum(lose(lose(stopped(healthy(), MASTER1), MASTER2), MASTER3))
    return edit_facts(state, MASTER1, lambda f: replace(f, restoring=True))


def test_a_member_that_bears_the_mark_of_a_restore_holds_the_clusters_data() -> None:
    """Believed, its data counted as lost: `create` asked for a snapshot to be restored over it."""
    assert codes(marked()) == []
    assert verbs(plan(marked()).steps) == [f"StartMaster {MASTER1}"]


def test_a_restore_that_was_begun_is_known_by_the_label_that_it_took_off() -> None:
    def unlabelled(labels: dict[str, str]) -> dict[str, str]:
        return {key: value for key, value in labels.items() if key != naming.LABEL_STATE}

    state = edit_server(marked(), MASTER1, lambda s: replace(s, labels=unlabelled(dict(s.labels))))
    assert "masters.all-lost" in codes(state)
