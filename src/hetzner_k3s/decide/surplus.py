"""What is beyond the file: named and left alone, unless it stands in the way of what the file wants."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide import beyond
from hetzner_k3s.decide.basis import Basis
from hetzner_k3s.decide.control_plane import NEVER_STARTED, MasterView, Stage
from hetzner_k3s.decide.remediate import healthy_ids
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.plan import Refusal

_UNDER_WAY = NEVER_STARTED | {Stage.JOINING}


def notes(basis: Basis) -> tuple[str, ...]:
    """Name what is beyond the file, and how it is found."""
    return (*_master_notes(basis), *_worker_notes(basis))


def _master_notes(basis: Basis) -> Iterator[str]:
    for master in basis.plane.surplus:
        yield f"{master.name} is beyond the file and is left as it is: {_found(basis, master)}"


def _worker_notes(basis: Basis) -> Iterator[str]:
    for server in beyond.surplus_workers(basis.spec, basis.view):
        yield f"{server.name} is beyond the file and is left as it is"


def member_of(basis: Basis, master: MasterView) -> Member | None:
    """Find a master's member: the one that its host says it is, else the one of its name."""
    own = master.facts.etcd.member_id if master.facts else None
    listed = [m for m in basis.plane.members if m.id == own or m.name.rpartition("-")[0] == master.name]
    return min(listed, key=lambda m: m.id != own, default=None)


def _found(basis: Basis, master: MasterView) -> str:
    member = member_of(basis, master)
    if member is None:
        return "no member of etcd" if master.server else "only its Node is left"
    if master.server is None:
        return "its server is gone, its etcd member is not"
    if member.id in healthy_ids(basis):
        return "a healthy voter"
    return f"its etcd member is not healthy: {master.stage.value}"


def surplus_out_of_the_way(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse when a master must join while a member beyond the file is not healthy: etcd takes no new one then."""
    healthy = healthy_ids(basis)
    told = ((m, member_of(basis, m)) for m in basis.plane.surplus)
    sick = [(m, member) for m, member in told if member is not None and member.id not in healthy]
    joining = [m.name for m in basis.plane.masters if m.stage in _UNDER_WAY]
    if basis.plane.seed is None or not joining:
        return ()
    return tuple(_in_the_way(basis, master, joining) for master, _ in sick)


def _in_the_way(basis: Basis, master: MasterView, joining: list[str]) -> Refusal:
    return Refusal(
        code="surplus.in-the-way",
        saw=f"{master.name} is beyond the file, and {_found(basis, master)}; {', '.join(joining)} must join.",
        why="etcd takes no new member while one of its members is not healthy, and what is beyond the file goes only "
        "with your consent.",
        you_can="Run `create --prune` to let go what is beyond the file, or raise masters_pool.instance_count again.",
        passing=master.server is not None,
    )
