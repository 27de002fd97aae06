"""What is beyond the file: named and left alone without `--prune`, and with it let go only where that is safe."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.view import extra_servers
from hetzner_k3s.decide.view.context import Basis
from hetzner_k3s.decide.view.control_plane import NEVER_STARTED, TROUBLED, MasterView, Stage, labelled_member
from hetzner_k3s.decide.view.node_machine import NamedServer, doubt, whereabouts
from hetzner_k3s.decide.view.voters import healthy_ids, member_of
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.hosts.contact import private_ip
from hetzner_k3s.model.plan import Refusal, Way

_JOINING = NEVER_STARTED | {Stage.JOINING}


def notes(basis: Basis) -> tuple[str, ...]:
    """Name what is beyond the file and stays, and what an unfinished `--prune` has done to it."""
    if basis.intent.consents.prune:
        return tuple(_kept_back(basis))
    return (*_master_notes(basis), *_worker_notes(basis))


def _master_notes(basis: Basis) -> Iterator[str]:
    for master in basis.plane.surplus:
        found = _found(basis, master)
        yield f"{master.name} is beyond the file and is left as it is: {found}{_half_gone(basis, master.server)}"


def _worker_notes(basis: Basis) -> Iterator[str]:
    for server in extra_servers.surplus_workers(basis.spec, basis.view):
        yield f"{server.name} is beyond the file and is left as it is{_half_gone(basis, server)}"


def _kept_back(basis: Basis) -> Iterator[str]:
    """Name what even `--prune` leaves for now: what comes first, or whose Node may be that of another machine."""
    if missing := not_yet_members(basis):
        first = ", ".join(f"{master.name} is {master.stage.value}" for master in missing)
        for master in basis.plane.surplus:
            yield f"{master.name} is beyond the file and stays until every master of the file is a member: {first}"
    servers = [m.server for m in basis.plane.surplus if m.server is not None]
    for server in (*servers, *extra_servers.surplus_workers(basis.spec, basis.view)):
        if (why := anothers_node(basis, server)) is not None:
            yield f"{server.name} is beyond the file and stays all the same: its Node is of another machine, and {why}"
    for master in basis.plane.surplus:
        node = basis.node(master.name)
        if master.server is None and node is not None:
            why = doubt(node, master, basis.state, basis.plane.network_id)
            yield from (f"the Node {master.name} is beyond the file and stays all the same: {why}",) if why else ()


def anothers_node(basis: Basis, server: Server) -> str | None:
    """Say why the Node of a server's name may be that of another machine which is not proven gone."""
    node = basis.node(server.name)
    if node is None or node.machine in {None, server.id}:
        return None
    named = NamedServer(name=server.name, server=server, facts=basis.state.facts(server.id))
    return doubt(node, named, basis.state, basis.plane.network_id)


def _half_gone(basis: Basis, server: Server | None) -> str:
    """Say what an unfinished `--prune` left behind, and how it is ended."""
    node = basis.node(server.name) if server else None
    marks = {
        "taken off the API load balancer": server is not None and _is_taken_off(basis, server),
        "cordoned": node is not None and node.leaving is not None,
    }
    told = [mark for mark, there in marks.items() if there]
    return f"; an unfinished --prune left it {' and '.join(told)}: run it again to let it go" if told else ""


def _is_taken_off(basis: Basis, server: Server) -> bool:
    voter = any(m.server is server and m.stage is Stage.UNMARKED for m in basis.plane.surplus)
    return voter and not labelled_member(server)


def member_beyond(basis: Basis, master: MasterView) -> Member | None:
    """Find a master's member: its own, or the one at its address that has not started yet."""
    address = private_ip(master.server, basis.plane.network_id) if master.server else None
    unstarted = next((m for m in basis.plane.members if not m.name and m.address == address), None)
    return member_of(basis, master) or unstarted


def _found(basis: Basis, master: MasterView) -> str:
    if basis.plane.on_database and master.server is not None:
        return master.stage.value
    member = member_beyond(basis, master)
    if member is None:
        return "no member of etcd" if master.server else "only its Node is left"
    if master.server is None:
        return "its server is gone, its etcd member is not"
    if member.id in healthy_ids(basis):
        return "a healthy voter"
    return f"its etcd member is not healthy ({master.stage.value})"


def surplus_out_of_the_way(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse when a master must join while a member beyond the file is not healthy: etcd takes no new one then."""
    healthy = healthy_ids(basis)
    told = ((m, member_beyond(basis, m)) for m in basis.plane.surplus)
    sick = [(m, member) for m, member in told if member is not None and member.id not in healthy]
    joining = [m.name for m in basis.plane.masters if m.stage in _JOINING]
    if basis.plane.seed is None or not joining or basis.intent.consents.prune:
        return ()
    return tuple(_in_the_way(basis, master, joining) for master, _ in sick)


def _in_the_way(basis: Basis, master: MasterView, joining: list[str]) -> Refusal:
    return Refusal(
        code="surplus.in-the-way",
        saw=f"{master.name} is beyond the file, and {_found(basis, master)}; {', '.join(joining)} must join.",
        why="etcd takes no new member while one of its members is not healthy, and what is beyond the file goes only "
        "with your consent.",
        you_can="Raise masters_pool.instance_count again.",
        ways=(Way(text=_PRUNE, deletes=frozenset({master.name}), consent="--prune"),),
        passing=master.server is not None,
    )


_PRUNE = "Or run `create --prune` to let go what is beyond the file."


def surplus_may_go(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse `--prune` while a master beyond the file is not well: it may hold data, and counts in the quorum.

    Masters of the file that are no members yet come first: what is done about them must not be stopped by this.
    """
    if not basis.intent.consents.prune or basis.plane.seed is None:
        return ()
    return _protected(basis) + (() if not_yet_members(basis) else tuple(_all_unwell(basis)))


def in_the_way_of_joining(basis: Basis) -> Refusal | None:
    """Return what a join ends with that waits in vain: etcd takes no member while one beyond the file is sick."""
    return next(_all_unwell(basis), None)


def _all_unwell(basis: Basis) -> Iterator[Refusal]:
    for master in basis.plane.surplus:
        why = _cannot_go(basis, master)
        if master.server is not None and why is not None:
            yield _unwell(master, master.server, why)


def not_yet_members(basis: Basis) -> tuple[MasterView, ...]:
    """Give the masters of the file that are no members, for whatever reason: nothing living goes before they are."""
    return tuple(master for master in basis.plane.masters if master.stage is not Stage.MEMBER)


def _protected(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse what Hetzner would refuse at the end of the way, when the member is gone and the Node empty."""
    masters = [m.server for m in basis.plane.surplus if m.server is not None]
    servers = [s for s in (*masters, *extra_servers.surplus_workers(basis.spec, basis.view)) if s.protected]
    if not servers:
        return ()
    names = ", ".join(f"{s.name} (id {s.id})" for s in servers)
    return (
        Refusal(
            code="surplus.protected",
            saw=f"--prune was given. Beyond the file, and protected against deletion at Hetzner: {names}.",
            why="Somebody said that it must not be deleted, and half of the way there helps nobody.",
            you_can="Lift the protection in the Hetzner console and run the command again, or leave the flag away.",
        ),
    )


def _cannot_go(basis: Basis, master: MasterView) -> str | None:
    """Say why a server beyond the file is not deleted though `--prune` was given: what it holds is not known."""
    if master.server is None or master.server.status is ServerStatus.DELETING:
        return None
    if master.facts is None:
        return f"it is {master.stage.value}{f' ({master.detail})' if master.detail else ''}"
    member = member_beyond(basis, master)
    if master.stage in TROUBLED:
        return f"it is {master.stage.value} ({master.detail})"
    if member is not None and member.id not in healthy_ids(basis):
        return "its host does not say that it is a healthy voter"
    return None


_IF_IT_MAY_GO = "Or, if what it holds may go, delete the server at Hetzner and run the command again."


def _unwell(master: MasterView, server: Server, why: str) -> Refusal:
    return Refusal(
        code="surplus.unwell",
        saw=f"--prune was given. {master.name} ({whereabouts(server)}) is beyond the file, and {why}.",
        why="Only a master that is well, or whose server is gone, is let go: silence is not death.",
        you_can="Bring it back.",
        ways=(Way(text=_IF_IT_MAY_GO, deletes=frozenset({server.name})),),
        passing=True,
    )
