"""What a storm may have cost, and what it may not: from the cluster as it was, and from every consent that was given.

Without a consent nothing is given up: whatever a user's write was acknowledged for is there in the end. A consent
gives up exactly what it names, and what is left is read from the place at the moment of the consent: the data of the
survivor, of the side that is kept, or of the snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hetzner_k3s.lab.k3s.etcd.model_data import Data
from hetzner_k3s.lab.simulated.faults import Fault
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants
from .invariants import Picture
from .owner import Answer
from .strikes import CaRotated, ResetByHand, SecondCluster


@dataclass
class Expectation:
    """What must hold in the end.

    Args:
        picture: the cluster as it was initialized, with all that a user wrote since; None before and after it.
        births: how many there may be in all; None where the storm passes over a birth.
        split: whether a hand made a second cluster that no consent has ended yet.
        former_cas: until when (UNIX seconds) which CA was right; a snapshot brings back the one of its time.
    """

    picture: Picture | None = None
    births: int | None = None
    split: bool = False
    former_cas: list[tuple[float, str]] = field(default_factory=list)

    def written(self, key: str, value: bytes) -> None:
        """Note a write that was acknowledged."""
        if self.picture is not None:
            self.picture = replace(self.picture, users={**self.picture.users, key: value})

    def before(self, fault: Fault) -> None:
        """Note what a hand is about to do."""
        self.split |= isinstance(fault, SecondCluster | ResetByHand)
        if self.picture is not None and isinstance(fault, ResetByHand):
            self.picture = replace(self.picture, starts={})  # whoever is of the other side starts anew

    def after(self, place: World, fault: Fault) -> None:
        """Note that the CA is another one, and that its owner restarted the masters for that."""
        if self.picture is not None and isinstance(fault, CaRotated):
            self.former_cas.append((place.clock.now(), self.picture.ca))
            self.picture = replace(self.picture, ca=invariants.picture(place).ca, starts={})

    def consented(self, place: World, answer: Answer) -> None:
        """Give up what a consent gives up, and no more."""
        before = self.picture
        match answer.flag:
            case "--new-cluster-over":
                self.picture, self.births = None, len(place.site.births) + 1
            case "--reset-quorum-from" if before is not None:
                self._kept(before, _furthest(place, [host.name for host in place.site.hosts.values()]))
            case "--keep" if before is not None:
                self._kept(before, _furthest(place, answer.names))
            case "--restore" if before is not None:
                made, users = _restorable(place, before)
                ca = next((ca for until, ca in self.former_cas if made < until), before.ca)
                self.picture = replace(before, ca=ca, users=users, revision=0, cluster_id=0, starts={})

    def _kept(self, before: Picture, data: Data | None) -> None:
        """Expect what is in the data that goes on; whatever only others had acknowledged may be missing."""
        held = {key: entry.value for key, entry in data.keys.items()} if data is not None else {}
        users = {key: value for key, value in before.users.items() if held.get(key) == value}
        revision = min(before.revision, data.revision) if data is not None else 0
        self.picture = replace(before, users=users, revision=revision, starts={})

    def always(self, place: World) -> list[str]:
        """Ask what must hold after every run."""
        if self.split:
            return []
        broken = invariants.always(place, self.picture)
        if self.births is not None and len(place.site.births) > self.births:
            broken.append(f"I9: {len(place.site.births)} births, {self.births} were permitted")
        return broken

    def converged(self, place: World, spec: ClusterSpec, touched: Iterable[str]) -> list[str]:
        """Ask what must hold once a run said that all is up to date; `touched` may be other servers, or anew."""
        self.split = False
        wanted, before = {server.name for server in spec.servers()}, self.picture
        if before is not None:
            servers = {name: number for name, number in before.servers.items() if name in wanted}
            data = invariants.leading_data(place)
            restored = before.cluster_id == 0 and data is not None
            cluster_id = data.cluster_id if restored and data is not None else before.cluster_id
            before = replace(before, servers=servers, cluster_id=cluster_id)
        return [*self.always(place), *invariants.converged(place, spec, before, lost=touched)]


def _furthest(place: World, names: Iterable[str]) -> Data | None:
    """Give the data whose log is the longest on the disks of some masters."""
    wanted = set(names)
    found = [h.disk.drive.data for h in place.site.hosts.values() if h.name in wanted and h.disk.drive.data is not None]
    return max(found, key=lambda data: data.position, default=None)


def _restorable(place: World, before: Picture) -> tuple[float, Mapping[str, bytes]]:
    """Give when the newest snapshot was made, and what a user wrote that is in all snapshots of that moment."""
    ours = [
        (o.entry.created, o.backend) for o in place.site.bucket.objects.values() if o.entry.cluster_uid == before.uid
    ]
    files = (saved for host in place.site.hosts.values() for saved in host.disk.snapshots.values())
    ours += [(saved.entry.created, saved.backend) for saved in files]
    newest, kept = max((made for made, _ in ours), default=0.0), dict(before.users)
    for held in ({entry.key: entry.value for entry in backend.keys} for made, backend in ours if made == newest):
        kept = {key: value for key, value in kept.items() if held.get(key) == value}
    return newest, kept


def all_data_is_gone(place: World) -> bool:
    """Tell whether no disk that exists holds the data of a master."""
    return all(host.disk.drive.data is None or host.disk.restoring for host in place.site.hosts.values())


def snapshots_of(place: World, uid: str | None) -> list[str | None]:
    """Give the token hashes of the snapshots in S3 that are of a cluster; of every one where its UID is not given."""
    entries = [stored.entry for stored in place.site.bucket.objects.values()]
    return [entry.token_hash for entry in entries if uid is None or entry.cluster_uid == uid]


def tokens_at_hand(place: World) -> set[str | None]:
    """Give the hashes of the tokens in the configuration of any host that exists."""
    return {host.disk.facts().config_token_hash for host in place.site.hosts.values()} - {None}
