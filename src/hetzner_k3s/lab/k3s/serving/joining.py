"""A new member's way into etcd: find a place in the list, start, wait until it votes."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.etcd import membership
from hetzner_k3s.lab.k3s.etcd.port import Etcd, EtcdError, Launch, Member, Status
from hetzner_k3s.lab.k3s.logfmt import ShutdownRequested
from hetzner_k3s.lab.k3s.node.cluster_client import SupervisorClient
from hetzner_k3s.lab.k3s.setup.timing import Timing

_POLL = 0.05
_FIRST_TEST = 0.35  # the joiner tests its connection this long after etcd's start
_COMPLAIN_EVERY = 15.0


async def join(client: SupervisorClient, name: str, address: str) -> Launch:
    """Get into the member list, for ever retrying what passes by itself.

    Args:
        client: the server to join through.
        name, address: of this member.

    Raises:
        ShutdownRequested: another member has this node's name, or etcd refuses for good.
    """
    while True:
        try:
            members = await _take_place(client, name, address)
            return Launch(name, membership.peers_with(members, name, address), existing=True)
        except membership.DuplicateName as problem:
            raise ShutdownRequested(str(problem)) from problem
        except EtcdError as problem:
            if not membership.is_retried(problem.message):
                raise ShutdownRequested(f"etcd cluster join failed: {problem.message}") from problem
            logfmt.info(f"Waiting for other members to finish joining etcd cluster: {problem.message}")
        await asyncio.sleep(1)


async def _take_place(client: SupervisorClient, name: str, address: str) -> tuple[Member, ...]:
    members = await client.members()
    if membership.plan_join(members, name, address) is membership.Join.ADOPT:
        return members
    peer_url = f"https://{address}:2380"
    after = await client.add_learner(peer_url)
    known = " ".join(f"{member.name}={member.peer_urls[0]}" for member in members)
    logfmt.info(f"Adding member {name}={peer_url} to etcd cluster [{known}]")
    return after


async def wait_for_voter(etcd: Etcd, timing: Timing, joining: bool) -> Status:
    """Wait until this member has a leader and votes.

    Args:
        etcd: this member, just started.
        timing: a `typical` joiner whose first test comes too early loses 15 s (docs/facts/k3s.md#promotion).
        joining: it was added as a learner.
    """
    if joining and timing.connection_stall:
        await asyncio.sleep(_FIRST_TEST)
        await _stall(etcd, timing)
    waited = 0.0
    while True:
        status = await _status(etcd)
        if status is not None and status.leader and not status.learner:
            return status
        await asyncio.sleep(_POLL)
        waited += _POLL
        if waited >= _COMPLAIN_EVERY:
            waited = 0.0
            logfmt.info("Failed to test etcd connection: failed to get etcd status: context deadline exceeded")


async def _stall(etcd: Etcd, timing: Timing) -> None:
    status = await _status(etcd)
    try:
        voters = sum(not member.learner for member in await etcd.members())
    except EtcdError:
        voters = 0
    if status is None or membership.connection_stalls(voters, status.learner):
        await asyncio.sleep(timing.connection_stall)


async def _status(etcd: Etcd) -> Status | None:
    try:
        return await etcd.status()
    except EtcdError:
        return None
