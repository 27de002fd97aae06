"""The snapshot before a rollout: of each release its own, and not that of a server that was replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    NOW,
    ROLLOUT,
    SPEC,
    UPGRADE,
    VERSION,
    configured_otherwise,
    edit_facts,
    forecast,
    healthy,
    member_id_of,
    running_release,
)

from hetzner_k3s.model.host import Snapshot
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.state import ClusterState

OLDER = "v1.36.0+k3s1"
OF_RELEASE = f"pre-rollout-{VERSION.replace('+', '-')}"
UPGRADED = running_release(healthy(), MASTER1, OLDER)
RESTARTED = configured_otherwise(healthy(), MASTER1)


def saved(state: ClusterState, name: str, *, ago: float = 1500.0, size: int = 4_700_000) -> ClusterState:
    """Lay a snapshot on the disk of a master."""
    snapshot = Snapshot(name=f"{name}-{MASTER2}-1800000000", size=size, created=NOW - ago)
    return edit_facts(state, MASTER2, lambda facts: replace(facts, snapshots=(*facts.snapshots, snapshot)))


def snapshots(state: ClusterState, intent: Intent) -> list[str]:
    """Name the snapshots that are foreseen."""
    return [key.target for key in forecast(state, SPEC, intent).keys if key.verb == "SaveSnapshot"]


@pytest.mark.parametrize(
    "earlier", [None, "pre-rollout", "pre-rollout-v1.36.4-k3s1", f"pre-rollout-{member_id_of(FIRST_MASTER)}"]
)
def test_each_release_has_its_own(earlier: str | None) -> None:
    state = UPGRADED if earlier is None else saved(UPGRADED, earlier)
    assert snapshots(state, UPGRADE) == [OF_RELEASE]


@pytest.mark.parametrize("earlier", [None, OF_RELEASE, f"pre-rollout-{member_id_of(FIRST_MASTER)}", "pre-rollout-101"])
def test_a_restart_takes_that_of_a_restart_alone(earlier: str | None) -> None:
    state = RESTARTED if earlier is None else saved(RESTARTED, earlier)
    assert snapshots(state, ROLLOUT) == ["pre-rollout"]


@pytest.mark.parametrize(
    ("state", "intent", "name"), [(UPGRADED, UPGRADE, OF_RELEASE), (RESTARTED, ROLLOUT, "pre-rollout")]
)
def test_a_run_that_goes_on_saves_no_second_one(state: ClusterState, intent: Intent, name: str) -> None:
    assert snapshots(saved(state, name), intent) == []
    assert snapshots(saved(state, name, ago=3600.0), intent) == [name]
    assert snapshots(saved(state, name, size=0), intent) == [name]
