"""A simulated host's own etcd as a script asks it through the gateway, and what each removal reads again first."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.model_data import UNHEALTHY
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, Member
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.lab.simulated.operations import host_facts
from hetzner_k3s.model.operations.members import MembersPrecondition

_NOT_FOUND = 5
_AGAIN = 0.5


def etcd_of(host: Host) -> ModelEtcd:
    """Return the etcd that answers on a host.

    Raises:
        OperationRefused: none does.
    """
    server = host.server
    if server is None or server.etcd is None or server.removed:
        raise failed("etcd did not answer (HTTP 000)")
    return server.etcd


async def members_of(etcd: ModelEtcd) -> tuple[Member, ...]:
    """Read the member list that a quorum agrees on.

    Raises:
        OperationRefused: there is no quorum.
    """
    try:
        return await etcd.members()
    except EtcdError as problem:
        raise failed(f"etcd did not give its member list: {problem.message}") from problem


async def members_as_decided(host: Host, precondition: MembersPrecondition, victim: int) -> tuple[Member, ...]:
    """Read the list again before the member `victim` goes; empty where it has gone already.

    Raises:
        OperationRefused: UID or list are not those of `precondition`, or etcd does not answer.
    """
    uid = host_facts.etcd_facts(host).uid
    if uid != precondition.uid:
        raise precondition_changed(f"kube-system has UID {uid or 'none'}, not {precondition.uid}")
    members = await members_of(etcd_of(host))
    if all(member.id != victim for member in members):
        return ()
    if sorted(str(member.id) for member in members) != sorted(precondition.ids):
        raise precondition_changed("etcd has other members than decided on")
    return members


async def remove(host: Host, victim: int, *, within: float = 0.0) -> None:
    """Remove a member; one that is not there is removed already.

    Args:
        host: whose etcd is asked.
        victim: the member's id.
        within: seconds for which it is asked again while others have not been connected for long enough.

    Raises:
        OperationRefused: etcd does not.
    """
    ends = host.site.now() + within
    while True:
        try:
            await etcd_of(host).remove(victim)
        except EtcdError as problem:
            if problem.code == _NOT_FOUND:
                return
            if problem.message != UNHEALTHY or host.site.now() >= ends:
                raise failed(f"etcd did not remove member {victim}: {problem.message}") from problem
        else:
            return
        await host.changed(_AGAIN)
