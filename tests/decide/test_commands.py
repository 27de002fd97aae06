"""The file's own commands on a host: waited for a while, and told where they failed."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.world import MASTER1, NOW, SPEC, WORKER1, edit_facts, edit_node, healthy, plan

from hetzner_k3s.decide.assume_waits_done import come_true
from hetzner_k3s.decide.lifecycle.user_commands import PATIENCE
from hetzner_k3s.model.state import ClusterState


def waiting(age: float) -> ClusterState:
    """Have a worker that registered so many seconds ago still run its commands."""
    state = edit_facts(healthy(), MASTER1, lambda f: replace(f, clock=NOW))
    state = edit_facts(state, WORKER1, lambda f: replace(f, commands_wait=True))
    return edit_node(state, WORKER1, lambda n: replace(n, created=NOW - age))


def test_commands_after_k3s_are_waited_for() -> None:
    (wait,) = plan(waiting(10)).waits
    assert wait.what == f"additional_post_k3s_commands on {WORKER1}"
    assert wait.tolerated
    assert plan(come_true(SPEC, waiting(10))).settled


def test_commands_that_do_not_end_are_told_and_no_longer_waited_for() -> None:
    planned = plan(waiting(PATIENCE + 1))
    assert planned.settled
    (told,) = planned.degraded
    assert told.startswith(f"{WORKER1}: additional_post_k3s_commands have not ended yet")


def test_what_failed_is_told_with_its_last_lines_and_stops_nothing() -> None:
    said = "additional_pre_k3s_commands 2 of 3 failed (exit 3): no such disk"
    planned = plan(edit_facts(healthy(), MASTER1, lambda f: replace(f, failed_commands=(said,))))
    assert planned.settled
    (told,) = planned.degraded
    assert told.startswith(f"{MASTER1}: {said}. ")
    assert "touch /var/lib/hetzner-k3s/commands/put-right" in told
