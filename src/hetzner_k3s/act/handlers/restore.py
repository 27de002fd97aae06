"""Carries out the steps after the loss of all masters: a snapshot is kept, restored, started; workers find it."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.act import birth_record, journal, k3s
from hetzner_k3s.act.context import Context, LabelChange, Outcome
from hetzner_k3s.act.handlers.tokens import found_tokens
from hetzner_k3s.act.labels import take_off
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import StorageError, WrongCluster
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.identity import token_ca, token_password
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.operations import snapshots
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone, StartWithAgent, StartWithoutAgent, StopK3s
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.steps import (
    ForgetBirth,
    KeepSnapshot,
    RestoreSnapshot,
    StartRestored,
    UploadSnapshot,
)
from hetzner_k3s.model.text import wording
from hetzner_k3s.model.tokens import ClusterTokens

_LINEAGE_BYTES = 8
_NODE_WITHIN = 180.0
_ANSWERS_WITHIN = 300.0


async def forget_birth(step: ForgetBirth, context: Context) -> Outcome:
    """Take the record of a cluster that was given up off everything that carries it; cut off, it is gone on with.

    This machine closes its memory first: a run that is killed in between still finds the record.
    """
    context.say(step.target, "is given up; forgetting its birth")
    journal.birth_closed(context.ports.local, context.spec.name, step.ca)
    changes = await birth_record.write(context, dict.fromkeys(step.record.labels()))
    return Outcome(labels=changes)


async def keep_snapshot(step: KeepSnapshot, context: Context) -> Outcome:
    """Copy the chosen snapshot under a name that no retention takes away; a copy that is there is replaced."""
    if context.ports.objects is None:
        raise StorageError("the file names no S3 any more", hint="Run the command again with the file as it was.")
    context.say(step.snapshot.name, f"keeping a copy as {step.folder}/{step.target}")
    await context.ports.objects.copy(step.snapshot, step.folder, step.target)
    return Outcome(snapshots=(step.copy,))


async def upload_snapshot(step: UploadSnapshot, context: Context) -> Outcome:
    """Send the snapshot file to the host, which holds it against its checksum before it counts as there.

    Raises:
        WrongCluster: the file is another one by now.
    """
    here = context.ports.local.evidence().snapshot
    if here is None or here.sha256 != step.sha256:
        raise WrongCluster("the snapshot file is not the one that was looked at", hint="Run it again.")
    context.say(step.target, f"copying {here.name} there ({wording.size(here.size)})")
    receive = ReceiveSnapshot(name=step.name, size=step.size, sha256=step.sha256)
    await context.ports.hosts.send(context.target(step.server_id), receive, context.ports.local.snapshot())
    return Outcome()


async def restore_snapshot(step: RestoreSnapshot, context: Context) -> Outcome:
    """Restore a snapshot on a host that holds no data; k3s is not started yet."""
    server = context.server(step.server_id)
    target = context.target_of(server)
    tokens = await _tokens(step, context)
    changes = await _unmark(context, server)
    facts = await context.ports.hosts.perform(target, Probe())
    await k3s.configure(context, server, tokens, server_url=None, facts=facts)
    await k3s.leave_2x(context, server, facts)
    context.say(step.target, f"restoring {step.snapshot}")
    restore = snapshots.RestoreSnapshot(
        snapshot=step.snapshot,
        sha256=step.sha256,
        lineage=context.ports.rng.token_hex(_LINEAGE_BYTES),
        parent=step.parent,
        fence=context.fence,
    )
    await context.ports.hosts.perform(target, restore)
    return Outcome(labels=changes)


async def _unmark(context: Context, server: Server) -> tuple[LabelChange, ...]:
    """Take it off the API load balancer: it is no member until it was started and recorded again."""
    if naming.LABEL_STATE not in server.labels:
        return ()
    return (await take_off(context, server.id, (naming.LABEL_STATE,)),)


async def _tokens(step: RestoreSnapshot, context: Context) -> ClusterTokens:
    """Get the token that the snapshot is sealed with and that of the agents, from who holds them.

    One that pins another CA than the birth record names is from before a rotation of the CA, as the snapshot may be:
    its password alone opens that, and whose cluster it is shows when it is started.

    Raises:
        WrongCluster: it is another one by now.
    """
    found = await found_tokens(context, step)
    pinned, recorded = token_ca(found.server.reveal()), birth_record.recorded(context).ca
    if pinned is not None and recorded is not None and not pinned.startswith(recorded):
        return replace(found, server=Secret(token_password(found.server.reveal())))
    return found


async def start_restored(step: StartRestored, context: Context) -> Outcome:
    """Start the restored master and see that it is the recorded cluster: k3s' own success line proves nothing.

    Its agent starts only when the old Nodes are gone: with one that has another host's address k3s would end two
    seconds after READY, at every start. A snapshot from before a rotation of the CA brings the earlier CA back; that
    is for the user to accept.

    Raises:
        WrongCluster: it has another kube-system UID.
        OperationFailed: its UID could not be read.
    """
    for other in map(context.target, step.quiet):
        context.say(other.name, "stopping its k3s, which holds nothing: it joins anew afterwards")
        await context.ports.hosts.perform(other, StopK3s(role=K3sRole.SERVER, fence=context.fence))
    target = context.target(step.server_id)
    context.say(step.target, "starting the restored cluster, without its agent yet")
    await context.ports.hosts.perform(target, StartWithoutAgent(fence=context.fence))
    await _is_the_recorded_cluster(context, target)
    await _forget_masters(context, target)
    context.say(step.target, "starting it with its agent")
    await context.ports.hosts.perform(target, StartWithAgent(fence=context.fence))
    await _is_the_recorded_cluster(context, target)
    await context.ports.kube.wait_node_ready(target, step.target, _NODE_WITHIN)
    context.say(step.target, "answers as the recorded cluster")
    return Outcome()


async def _is_the_recorded_cluster(context: Context, target: HostTarget) -> None:
    await k3s.reach(context, target, K3sRole.SERVER, Milestone.IDENTITY, _ANSWERS_WITHIN)
    facts = await k3s.reach(context, target, K3sRole.SERVER, Milestone.ACTIVE, _ANSWERS_WITHIN)
    uid, record = k3s.uid_of(facts, target.name), birth_record.recorded(context)
    if uid != record.uid:
        raise WrongCluster(
            f"{target.name}: the snapshot is of another cluster (UID {uid}, recorded {record.uid})",
            hint="Nothing joins it. Delete that server at Hetzner and choose another snapshot.",
        )


async def _forget_masters(context: Context, target: HostTarget) -> None:
    """Delete the Nodes of the lost masters, and every node password that no Node stands for any more.

    The finalizer that deletes such a password goes with the Node, before k3s has heeded it; a new host of that name has
    another password.
    """
    kube, view = context.ports.kube, await k3s.cluster_view(context, target)
    lost = [node for node in view.nodes if _is_of_a_lost_master(node, context)]
    if lost:
        context.say(target.name, f"deleting the Nodes of lost masters: {', '.join(node.name for node in lost)}")
    for node in lost:
        await kube.drop_node(target, node.name, node.uid)
    left = {node.name for node in view.nodes} - {node.name for node in lost}
    for name in view.node_passwords:
        if name not in left:
            await kube.delete_node_password(target, name)


def _is_of_a_lost_master(node: KubeNode, context: Context) -> bool:
    """Check whether a master's Node stands for another server than the one that has its name, or another address.

    The Node of a master that only lost its data is right as it is, and the proof that its server is the same.
    """
    if not node.control_plane or any(worker.name == node.name for worker in context.spec.workers()):
        return False
    server = context.state.server(node.name)
    if server is None or node.machine != server.id or node.provided not in {None, server.id}:
        return True
    return node.internal_ip not in {server.public_ipv4, *server.private_ips.values()}
