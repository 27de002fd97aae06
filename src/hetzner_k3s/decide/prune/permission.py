"""What is beyond the file: named and left alone without `Prune`, and with it let go only where that is safe."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.rollout import surge
from hetzner_k3s.decide.view import extra_servers
from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.node_machine import NamedServer, doubt, whereabouts
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.decide.view.voters import healthy_ids, member_of
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.consents import Consent, Prune, Surge
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.plan import Refusal, Way


def notes(context: DecisionContext) -> tuple[str, ...]:
    """Name what is beyond the file and stays, and what an unfinished `Prune` has done to it."""
    if Prune() in context.consents:
        return tuple(_kept_back(context))
    return (*_master_notes(context), *_worker_notes(context))


def let_go(context: DecisionContext) -> tuple[tuple[Server, Consent], ...]:
    """Return the workers beyond the file that a consent lets go, each with that: surge servers go without `Prune`."""
    if Prune() in context.consents:
        return tuple((server, Prune()) for server in extra_servers.surplus_workers(context.spec, context.view))
    consent = context.consents.get(Surge)
    return tuple((server, consent) for server in surge.spare(context)) if consent is not None else ()


def _master_notes(context: DecisionContext) -> Iterator[str]:
    for master in context.control_plane.surplus:
        found = _found(context, master)
        yield f"{master.name} is beyond the file and is left as it is: {found}{_half_gone(context, master.server)}"


def _worker_notes(context: DecisionContext) -> Iterator[str]:
    going = {server.id for server, _ in let_go(context)}
    for server in extra_servers.surplus_workers(context.spec, context.view):
        if server.id in going:
            yield from _kept_for_its_node(context, server)
        elif surge.is_surge(server):
            yield surge.note(context, server)
        else:
            yield f"{server.name} is beyond the file and is left as it is{_half_gone(context, server)}"


def _kept_back(context: DecisionContext) -> Iterator[str]:
    """Name what even `Prune` leaves for now: what comes first, or whose Node may be that of another machine."""
    if missing := not_yet_members(context):
        first = ", ".join(f"{master.name} is {master.condition}" for master in missing)
        for master in context.control_plane.surplus:
            yield f"{master.name} is beyond the file and stays until every master of the file is a member: {first}"
    for server in _beyond(context):
        yield from _kept_for_its_node(context, server)
    for master in context.control_plane.surplus:
        node = context.node(master.name)
        if master.server is None and node is not None:
            why = doubt(node, master, context.state, context.control_plane.internal_ips)
            yield from (f"the Node {master.name} is beyond the file and stays all the same: {why}",) if why else ()


def _kept_for_its_node(context: DecisionContext, server: Server) -> Iterator[str]:
    if (why := anothers_node(context, server)) is not None:
        yield f"{server.name} is beyond the file and stays all the same: its Node is of another machine, and {why}"


def anothers_node(context: DecisionContext, server: Server) -> str | None:
    """Return why the Node of a server's name may be that of another machine which is not proven gone."""
    node = context.node(server.name)
    if node is None or node.machine in {None, server.id}:
        return None
    named = NamedServer(name=server.name, server=server, facts=context.state.facts(server.id))
    return doubt(node, named, context.state, context.control_plane.internal_ips)


def _half_gone(context: DecisionContext, server: Server | None) -> str:
    """Return what an unfinished `Prune` left behind, and how it is ended."""
    node = context.node(server.name) if server else None
    marks = {
        "taken off the API load balancer": server is not None and _is_taken_off(context, server),
        "cordoned": node is not None and node.leaving is not None,
    }
    told = [mark for mark, there in marks.items() if there]
    return f"; an unfinished {Prune()} left it {' and '.join(told)}: run it again to let it go" if told else ""


def _is_taken_off(context: DecisionContext, server: Server) -> bool:
    return not labelled_member(server) and any(m.server is server and m.serves for m in context.control_plane.surplus)


def member_beyond(context: DecisionContext, master: MasterView) -> Member | None:
    """Find a master's member: its own, or the one at its address that has not started yet."""
    address = context.control_plane.internal_ips.of(master.server) if master.server else None
    unstarted = next((m for m in context.control_plane.members if not m.name and m.address == address), None)
    return member_of(context, master) or unstarted


def _found(context: DecisionContext, master: MasterView) -> str:
    if context.control_plane.on_database and master.server is not None:
        return master.condition
    member = member_beyond(context, master)
    if member is None:
        return "no member of etcd" if master.server else "only its Node is left"
    if master.server is None:
        return "its server is gone, its etcd member is not"
    if member.id in healthy_ids(context):
        return "a healthy voter"
    return f"its etcd member is not healthy ({master.condition})"


def surplus_out_of_the_way(context: ServingContext) -> tuple[Refusal, ...]:
    """Refuse when a master must join while a member beyond the file is not healthy: etcd takes no new one then."""
    healthy = healthy_ids(context)
    told = ((m, member_beyond(context, m)) for m in context.control_plane.surplus)
    sick = [(m, member) for m, member in told if member is not None and member.id not in healthy]
    joining = [m.name for m in context.control_plane.masters if m.has_yet_to_join]
    if not joining or Prune() in context.consents:
        return ()
    return tuple(_in_the_way(context, master, joining) for master, _ in sick)


def _in_the_way(context: DecisionContext, master: MasterView, joining: list[str]) -> Refusal:
    return Refusal(
        code="surplus.in-the-way",
        saw=f"{master.name} is beyond the file, and {_found(context, master)}; {', '.join(joining)} must join.",
        why="etcd takes no new member while one of its members is not healthy, and what is beyond the file goes only "
        "with your consent.",
        you_can="Raise masters_pool.instance_count again.",
        ways=(Way(text=_PRUNE, deletes=frozenset({master.name}), consent=Prune()),),
        transient=master.server is not None,
    )


_PRUNE = f"Or run `create {Prune()}` to let go what is beyond the file."


def surplus_may_go(context: ServingContext) -> tuple[Refusal, ...]:
    """Refuse `Prune` while a master beyond the file is not well: it may hold data, and counts in the quorum.

    Masters of the file that are no members yet come first: what is done about them must not be stopped by this.
    """
    if Prune() not in context.consents:
        return _protected(tuple(server for server, _ in let_go(context)), Surge.flag)
    return _protected(_beyond(context), str(Prune())) + (
        () if not_yet_members(context) else tuple(_all_unwell(context))
    )


def in_the_way_of_joining(context: DecisionContext) -> Refusal | None:
    """Return what a join ends with that waits in vain: etcd takes no member while one beyond the file is sick."""
    return next(_all_unwell(context), None)


def _all_unwell(context: DecisionContext) -> Iterator[Refusal]:
    for master in context.control_plane.surplus:
        why = _cannot_go(context, master)
        if master.server is not None and why is not None:
            yield _unwell(master, master.server, why)


def not_yet_members(context: DecisionContext) -> tuple[MasterView, ...]:
    """Return the masters of the file that are no members, for whatever reason: nothing living goes before they are."""
    return tuple(master for master in context.control_plane.masters if not master.is_member)


def _beyond(context: DecisionContext) -> tuple[Server, ...]:
    """Return the servers beyond the file, masters first."""
    masters = (m.server for m in context.control_plane.surplus if m.server is not None)
    return (*masters, *extra_servers.surplus_workers(context.spec, context.view))


def _protected(going: tuple[Server, ...], flag: str) -> tuple[Refusal, ...]:
    """Refuse what Hetzner would refuse at the end of the way, when the member is gone and the Node empty."""
    servers = [server for server in going if server.protected]
    if not servers:
        return ()
    names = ", ".join(f"{s.name} (id {s.id})" for s in servers)
    return (
        Refusal(
            code="surplus.protected",
            saw=f"{flag} was given. Beyond the file, and protected against deletion at Hetzner: {names}.",
            why="Somebody said that it must not be deleted, and half of the way there helps nobody.",
            you_can="Lift the protection in the Hetzner console and run the command again, or leave the flag away.",
        ),
    )


def _cannot_go(context: DecisionContext, master: MasterView) -> str | None:
    """Return why a server beyond the file is not deleted though `Prune` was given: what it holds is not known."""
    if master.server is None or master.server.status is ServerStatus.DELETING:
        return None
    if master.facts is None:
        return f"it is {master.described}"
    member = member_beyond(context, master)
    if master.trouble is not None:
        return f"it is {master.condition} ({master.detail})"
    if member is not None and member.id not in healthy_ids(context):
        return "its host does not say that it is a healthy voter"
    return None


_IF_IT_MAY_GO = "Or, if what it holds may go, delete the server at Hetzner and run the command again."


def _unwell(master: MasterView, server: Server, why: str) -> Refusal:
    return Refusal(
        code="surplus.unwell",
        saw=f"{Prune()} was given. {master.name} ({whereabouts(server)}) is beyond the file, and {why}.",
        why="Only a master that is well, or whose server is gone, is let go: silence is not death.",
        you_can="Bring it back.",
        ways=(Way(text=_IF_IT_MAY_GO, deletes=frozenset({server.name})),),
        transient=True,
    )
