"""The owner of a cluster in a storm: reads what a refusal says they can do, and does that to the letter.

What they answer is taken from the refusal's own words, never from what the simulation knows: an advice that does not
lead to a whole cluster leaves a storm broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model.consents import (
    KINDS,
    AcceptCa,
    Consents,
    Keep,
    NamingConsent,
    NewClusterOver,
    Replace,
    ResetQuorumFrom,
    Restore,
    SkipAddressCheck,
)
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.plan import Refusal

from . import mischief

_OFFERED: Final = re.compile(r"`(?:create )?(--[a-z-]+)(?: ([\w-]+))?`")
_DELETION: Final = re.compile(r"(?i)\bdelete (?:or rebuild )?(?:that|the|its) server\b|\bdelete it at Hetzner\b")
_SERVER: Final = re.compile(r"\bid (\d+)")
_KEPT: Final = r"--keep {}` keeps ([\w, -]+\d)"
_NAME: Final = re.compile(r"\bprod-[\w-]+\d\b")
_MOVE: Final = re.compile(r"^Move that file away")
_CONSENTS: Final = {kind.flag: kind for kind in KINDS if kind is not SkipAddressCheck}
"""What this owner gives when it is offered: nobody shuts themselves out."""
_RESTART: Final = "systemctl restart k3s-agent"
_RESTART_MASTERS: Final = re.compile(r"^Restart k3s on ([\w ,-]+), one master after another")


@dataclass(frozen=True)
class Answer:
    """What the owner does about a refusal: a consent for the next run, or something done to a server by hand.

    Args:
        flag: the consent's flag, or the word for what is done by hand.
        target: name of the object: a master, digits, a snapshot, a server.
        consents: for the next run; None where something is done by hand.
        names: the masters of the side that is kept.
    """

    flag: str
    target: str
    consents: Consents | None = None
    names: tuple[str, ...] = ()


def answers(refusals: Iterable[Refusal]) -> list[Answer]:
    """Give everything that refusals offer, in their order, consents before deeds."""
    told = list(refusals)
    consents = [a for r in told for flag, target in _OFFERED.findall(r.you_can) if (a := _consent(flag, target, r))]
    return [*consents, *(deed for refusal in told for deed in _deeds(refusal))]


def _consent(flag: str, target: str, refusal: Refusal) -> Answer | None:
    kind = _CONSENTS.get(flag)
    if kind is None or target in {"NAME", "PATH"}:
        return None
    given = kind(target) if issubclass(kind, NamingConsent) else kind()
    kept = re.search(_KEPT.format(target), refusal.you_can) if kind is Keep else None
    return Answer(flag, target, Consents.of(given), tuple(kept.group(1).split(", ")) if kept else ())


def _deeds(refusal: Refusal) -> Iterable[Answer]:
    names = _NAME.findall(refusal.saw)
    if _RESTART in refusal.you_can and names:
        yield Answer("restart agent", names[0])
    for masters in _RESTART_MASTERS.findall(refusal.you_can):
        yield Answer("restart masters", masters, names=tuple(_NAME.findall(masters)))
    if _MOVE.search(refusal.you_can):
        yield Answer("move kubeconfig", "kubeconfig")
    if _DELETION.search(refusal.you_can):
        yield from (Answer("delete server", number) for number in _SERVER.findall(refusal.saw)[:1])
        if not _SERVER.search(refusal.saw) and names:
            yield Answer("delete server", names[0])


async def do(place: World, answer: Answer) -> str:
    """Do by hand what an answer is, unless its object is gone; give the name of the server."""
    if answer.flag == "move kubeconfig":
        place.laptop.kubeconfig = None
    for name in answer.names if answer.flag == "restart masters" else ():
        await mischief.restart_master(place, name)
    servers = place.project.servers.values()
    server = next((s for s in servers if answer.target in {s.name, str(s.id)}), None)
    if server is None:
        return answer.target
    agent = place.site.hosts[server.id].units.get(K3sRole.AGENT) if server.id in place.site.hosts else None
    if answer.flag == "delete server":
        await ServerDeleted(server.name).strike(place)
    elif agent is not None:
        host = place.site.hosts[server.id]
        token = next(h.disk.token for h in place.site.hosts.values() if h.server is not None and h.disk.token)
        lines = (host.disk.config or "").splitlines()
        host.disk.config = "\n".join([f'token: "{token}"', *(x for x in lines if not x.startswith("token:")), ""])
        agent.stop()
        agent.start()
    return server.name


def wrong(chance: Chance) -> Consents:
    """Give a consent for an object that there is not, in any state of any storm."""
    return chance.choice(
        (
            Consents.of(ResetQuorumFrom("prod-master9")),
            Consents.of(Restore("etcd-snapshot-of-nobody")),
            Consents.of(NewClusterOver("00000000")),
            Consents.of(Keep("00000000")),
            Consents.of(AcceptCa("00000000")),
            Consents.of(Replace("prod-master9")),
        )
    )


def needless(chance: Chance, ca: str, masters: tuple[str, ...]) -> Consents:
    """Give a consent for an object that there is, on a healthy cluster: it fits in no such state."""
    return chance.choice(
        (
            Consents.of(ResetQuorumFrom(chance.choice(masters))),
            Consents.of(Restore("latest")),
            Consents.of(NewClusterOver(ca[:8])),
            Consents.of(Replace(chance.choice(masters))),
        )
    )
