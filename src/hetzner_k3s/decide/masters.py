"""Gates about masters that exist and are not well: whatever they may hold, it is not ours to judge."""

from __future__ import annotations

from hetzner_k3s.decide import disaster, losses, quorum
from hetzner_k3s.decide.basis import Basis
from hetzner_k3s.decide.control_plane import TROUBLED, MasterView, Stage
from hetzner_k3s.decide.machines import whereabouts
from hetzner_k3s.decide.remediate import healthy_ids
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Refusal


def healthy_master_left(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse when a cluster was born and no healthy master answers: silence is not death."""
    record, masters = basis.plane.record, basis.plane.all_masters
    explained = disaster.is_lost(basis) or disaster.is_starting(basis) or losses.all_lost(basis.plane)
    if not _none_is_healthy(basis) or explained or losses.restored_master(basis.plane):
        return ()
    born = f"The birth record says that '{basis.spec.name}' was born (CA {(record.ca or '-')[:8]}, UID "
    born += f"{(record.uid or '-')[:8]}); "
    seen = "; ".join(f"{m.name}: {_seen(m)}" for m in masters)
    left = sum(m.server is not None for m in masters)
    advice = _GIVE_BACK if left >= quorum.majority(len(masters)) else _TOO_FEW_LEFT
    coming = sum(_has_data_and_runs(m) for m in masters)
    return (_no_quorum(born, seen, advice, passing=coming >= quorum.majority(len(masters))),)


def _seen(master: MasterView) -> str:
    if master.stage in {Stage.MEMBER, Stage.UNMARKED}:
        return "a voter whose CA and UID are not the recorded ones, or could not be read"
    return f"{master.stage.value}{f' ({master.detail})' if master.detail else ''}"


def _none_is_healthy(basis: Basis) -> bool:
    return basis.plane.record.phase is Phase.BORN and basis.plane.seed is None


_GIVE_BACK = (
    "Power on what is off, restore SSH access and the network between the masters, then run `create` again: quorum "
    "comes back by itself when enough masters run. Delete no server meanwhile."
)
_TOO_FEW_LEFT = (
    "Too few masters are left for a quorum, and resetting it on one of them is not supported yet. Delete nothing more: "
    "the data is on their disks, and in the snapshots in /var/lib/rancher/k3s/server/db/snapshots."
)


def _no_quorum(born: str, seen: str, you_can: str, *, passing: bool) -> Refusal:
    return Refusal(
        code="masters.none-healthy",
        saw=f"{born}no master answers as a healthy voter: {seen}.",
        why="What does not answer may hold the only copy of the data. Nothing was created, stopped or removed.",
        you_can=you_can,
        passing=passing,
    )


def masters_explained(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse while a master is in a state that only its owner can judge.

    Where none is healthy, the gate above tells of all of them: there "delete that server" would be bad advice.
    """
    if _none_is_healthy(basis):
        return ()
    told = ((m, m.server) for m in basis.plane.masters if m.stage in _CODE)
    return tuple(_troubled(basis, master, server) for master, server in told if server is not None)


_FIRST = {
    Stage.OFF: "Power it on; it rejoins by itself.",
    Stage.SILENT: "Restore SSH access to it.",
    Stage.REBUILT: "Find out who rebuilt it.",
    Stage.SICK: "Look at it: `journalctl -u k3s` on its host.",
}

_CODE = {
    Stage.OFF: "master.off",
    Stage.SILENT: "master.unreachable",
    Stage.REBUILT: "master.rebuilt",
    Stage.SICK: "master.not-ready",
}
"""Of the troubled stages `identity` speaks of the others: KEY_CHANGED and DENIED."""
assert _CODE.keys() | {Stage.KEY_CHANGED, Stage.DENIED} == TROUBLED


def _troubled(basis: Basis, master: MasterView, server: Server) -> Refusal:
    saw = f"Master {master.name} ({whereabouts(server)}) is {master.stage.value}: {master.detail}."
    return Refusal(
        code=_CODE[master.stage],
        saw=f"{saw}{_second_witness(basis, master)}{_healthy_voters(basis)}",
        why="The server exists and may hold data; silence is not death, so it is neither replaced nor restarted.",
        you_can=f"{_FIRST[master.stage]} {_if_it_is_lost(basis, master)}",
        passing=master.stage is Stage.SICK and _has_data_and_runs(master),
    )


def _has_data_and_runs(master: MasterView) -> bool:
    """Tell whether it may get well by itself: its k3s runs or starts, and has its data."""
    facts = master.facts
    return facts is not None and facts.disk.wal and facts.server_unit.runs


def _if_it_is_lost(basis: Basis, master: MasterView) -> str:
    """Say how it is replaced, unless too few healthy voters would be left without it."""
    own = master.facts.etcd.member_id if master.facts else None
    voters = quorum.voters(basis.plane.members)
    needed = quorum.majority(len(voters))
    if not voters or len(healthy_ids(basis) - {own}) >= needed:
        return (
            "If its data is really lost, delete the server at Hetzner and run `create` again: it is then replaced like "
            "any lost master."
        )
    return f"Delete no server now: with fewer than {needed} healthy voters the cluster stops."


def _second_witness(basis: Basis, master: MasterView) -> str:
    """Say what the other masters notice of one that we cannot reach: it may be well, and only SSH broken."""
    member = next((m for m in basis.plane.members if m.name.rpartition("-")[0] == master.name), None)
    if master.stage is not Stage.SILENT or member is None:
        return ""
    peers = [m.name for m in basis.plane.all_masters if m.facts and member.id in m.facts.etcd.active_peers]
    return f" Its etcd is alive: connected to it are {', '.join(peers)}." if peers else ""


def _healthy_voters(basis: Basis) -> str:
    healthy, voters = healthy_ids(basis), quorum.voters(basis.plane.members)
    names = [m.name for m in basis.plane.all_masters if m.facts and m.facts.etcd.member_id in healthy]
    return f" Healthy voters: {len(names)} of {len(voters)} ({', '.join(names)})." if names else ""
