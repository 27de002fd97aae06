"""A server in three facts: what is in the way of its host or what its k3s does, and what is recorded of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide import world as w
from tests.decide.world import MASTER2, SPEC, WORKER1

from hetzner_k3s.decide.lifecycle.workers import view_worker
from hetzner_k3s.decide.view.context import context_of
from hetzner_k3s.decide.view.control_plane import MasterView, view_of
from hetzner_k3s.decide.view.servers.contact import BEFORE_FIRST_CONTACT, CONTACT_LOST, Barrier, NotReached, Reached
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.servers.membership import Membership
from hetzner_k3s.decide.view.servers.server_view import ServerView
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.state import ClusterState

NONE, INCOMPLETE, RECORDED = Membership.NONE, Membership.INCOMPLETE, Membership.RECORDED

_NEW = w.without_node(w.lose(w.healthy(), MASTER2), MASTER2)
"""A cluster in which the second master's place is free."""


def _status(state: ClusterState, status: ServerStatus) -> ClusterState:
    return w.edit_server(state, MASTER2, lambda s: replace(s, status=status))


def _ordered(status: ServerStatus) -> ClusterState:
    return _status(w.booting(_NEW, SPEC, MASTER2), status)


def _told(**changes: bool) -> ClusterState:
    return w.edit_facts(w.healthy(), MASTER2, lambda facts: replace(facts, **changes))  # type: ignore[arg-type]


def _unlabelled(state: ClusterState) -> ClusterState:
    def strip(server: Server) -> Server:
        return replace(server, labels={k: v for k, v in server.labels.items() if k != naming.LABEL_STATE})

    return w.edit_server(state, MASTER2, strip)


_DETACHED = w.edit_server(w.healthy(), MASTER2, lambda s: replace(s, private_ips={}))

NOT_REACHED = {
    "no server": (_NEW, Barrier.ABSENT, NONE),
    "new and silent": (w.booting(_NEW, SPEC, MASTER2), Barrier.BOOTING, NONE),
    "new and off": (_ordered(ServerStatus.OFF), Barrier.BOOTING, NONE),
    "new and starting": (_ordered(ServerStatus.STARTING), Barrier.BOOTING, NONE),
    "new and being deleted": (_ordered(ServerStatus.DELETING), Barrier.CHANGING, NONE),
    "new, by its boot key": (w.with_boot_key(_NEW, SPEC, MASTER2), Barrier.UNSECURED, NONE),
    "new, its key being replaced": (w.with_next_key(_NEW, SPEC, MASTER2), Barrier.UNSECURED, NONE),
    "new, with the image's key": (
        w.unreachable(w.ready(_NEW, SPEC, MASTER2), MASTER2, SshStage.HOST_KEY),
        Barrier.BOOTING,
        NONE,
    ),
    "new, and refuses us": (
        w.unreachable(w.ready(_NEW, SPEC, MASTER2), MASTER2, SshStage.AUTH),
        Barrier.DENIED,
        NONE,
    ),
    "a member, silent": (w.unreachable(w.healthy(), MASTER2), Barrier.SILENT, RECORDED),
    "a member, off": (w.off(w.healthy(), MASTER2), Barrier.OFF, RECORDED),
    "a member, starting": (_status(w.healthy(), ServerStatus.STARTING), Barrier.CHANGING, RECORDED),
    "a member, in a status nobody knows": (_status(w.healthy(), ServerStatus.OTHER), Barrier.SILENT, RECORDED),
    "a member, with another key": (
        w.unreachable(w.healthy(), MASTER2, SshStage.HOST_KEY),
        Barrier.KEY_CHANGED,
        RECORDED,
    ),
    "a member, by its boot key": (w.rebuilt(w.healthy(), MASTER2), Barrier.REBUILT, RECORDED),
    "a member without its address": (_DETACHED, Barrier.DETACHED, RECORDED),
    "known by its Node alone, silent": (
        w.unreachable(_unlabelled(w.healthy()), MASTER2),
        Barrier.SILENT,
        INCOMPLETE,
    ),
}

REACHED = {
    "without k3s": (w.bare(_NEW, SPEC, MASTER2), K3s.MISSING, NONE),
    "ready": (w.ready(_NEW, SPEC, MASTER2), K3s.READY, NONE),
    "joining": (w.joining(_NEW, SPEC, MASTER2), K3s.JOINING, NONE),
    "a voter": (w.healthy(), K3s.SERVING, RECORDED),
    "a voter without a label": (_unlabelled(w.healthy()), K3s.SERVING, INCOMPLETE),
    "a voter without a Node": (w.without_node(w.healthy(), MASTER2), K3s.SERVING, INCOMPLETE),
    "a voter that nothing names": (
        w.without_node(_unlabelled(w.healthy()), MASTER2),
        K3s.SERVING,
        NONE,
    ),
    "a voter while the API is silent": (replace(w.healthy(), kube={}), K3s.SERVING, RECORDED),
    "a voter whose Node is NotReady": (w.not_ready(w.healthy(), MASTER2), K3s.SICK, RECORDED),
    "stopped": (w.stopped(w.healthy(), MASTER2), K3s.STOPPED, RECORDED),
    "without its database": (w.database_deleted(w.healthy(), MASTER2), K3s.EMPTIED, RECORDED),
    "masked": (_told(held=True), K3s.HELD, RECORDED),
    "restored": (_told(agentless=True), K3s.RESTORED, RECORDED),
}


def _master(state: ClusterState) -> MasterView:
    master = view_of(SPEC, state).master(MASTER2)
    assert master is not None
    return master


def _worker(state: ClusterState) -> ServerView:
    context = context_of(SPEC, state, w.CREATE, frozenset())
    return view_worker(context, next(spec for spec in SPEC.workers() if spec.name == WORKER1))


@pytest.mark.parametrize("name", NOT_REACHED)
def test_what_is_in_the_way_depends_on_whether_it_had_joined(name: str) -> None:
    state, why, membership = NOT_REACHED[name]
    master = _master(state)
    assert (master.barrier, master.k3s, master.membership) == (why, None, membership)
    assert (master.never_started, master.trouble is not None) == (why in BEFORE_FIRST_CONTACT, why in CONTACT_LOST)


def test_every_barrier_is_met() -> None:
    assert {why for _, why, _ in NOT_REACHED.values()} == set(Barrier)


@pytest.mark.parametrize("name", REACHED)
def test_k3s_is_told_by_the_host_and_membership_by_the_records(name: str) -> None:
    state, k3s, membership = REACHED[name]
    master = _master(state)
    assert (master.barrier, master.k3s, master.membership) == (None, k3s, membership)
    assert master.is_member == (k3s is K3s.SERVING and membership is RECORDED)
    assert master.has_yet_to_be_recorded == (k3s is K3s.SERVING and membership is not RECORDED)


def test_every_state_of_k3s_is_met() -> None:
    """A rotated token takes two masters to tell: tests/decide/test_tokens.py has it."""
    assert {k3s for _, k3s, _ in REACHED.values()} == set(K3s) - {K3s.LOCKED_OUT}


@pytest.mark.parametrize(
    ("state", "contact", "membership"),
    [
        (w.healthy(), Reached(K3s.SERVING), RECORDED),
        (w.not_ready(w.healthy(), WORKER1), Reached(K3s.SICK, "its Node is NotReady"), RECORDED),
        (w.without_node(w.healthy(), WORKER1), Reached(K3s.JOINING), NONE),
        (w.unreachable(w.healthy(), WORKER1), NotReached(Barrier.SILENT, "no answer"), RECORDED),
        (
            w.unreachable(w.without_node(w.healthy(), WORKER1), WORKER1),
            NotReached(Barrier.BOOTING, "no answer"),
            NONE,
        ),
        (w.lose(w.healthy(), WORKER1), NotReached(Barrier.ABSENT), NONE),
    ],
)
def test_a_worker_is_recorded_by_its_node_alone(
    state: ClusterState, contact: NotReached | Reached, membership: Membership
) -> None:
    worker = _worker(state)
    assert (worker.contact, worker.membership) == (contact, membership)
