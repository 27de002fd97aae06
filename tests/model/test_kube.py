"""What a Node carries and how far it is on its way out."""

from __future__ import annotations

import pytest

from hetzner_k3s.model.kube import Leaving, Pod, leaving_of


@pytest.mark.parametrize(
    ("pod", "stays"),
    [
        (Pod(namespace="d", name="web", uid="1", controller="ReplicaSet"), False),
        (Pod(namespace="d", name="debug", uid="1", controller=None), False),
        (Pod(namespace="d", name="agent", uid="1", controller="DaemonSet"), True),
        (Pod(namespace="d", name="static", uid="1", controller="Node", mirror=True), True),
        (Pod(namespace="d", name="job", uid="1", controller="Job", finished=True), True),
    ],
)
def test_what_goes_with_its_node_stays(pod: Pod, stays: bool) -> None:
    assert pod.stays is stays


def test_our_mark_counts_only_on_a_node_that_is_still_cordoned() -> None:
    assert leaving_of("drained", unschedulable=True) is Leaving.DRAINED
    assert leaving_of("drained", unschedulable=False) is None
    assert leaving_of("something else", unschedulable=True) is None
    assert leaving_of(None, unschedulable=True) is None
