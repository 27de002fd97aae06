"""What a lost cluster could be restored from: snapshots in S3, on its masters' disks, and the file that was named.

Each is this cluster's only if it says so itself (or, in S3, what k3s wrote beside it), and of use only with the token
that its keys are sealed with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from hetzner_k3s.decide.view import all_lost
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.snapshots import KEPT, SnapshotFile, StoredSnapshot, of_cluster


class Place(Enum):
    """Where a snapshot lies."""

    S3 = "in S3"
    HOST = "on a host"
    HERE = "on this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A snapshot to restore from.

    `created` is UNIX seconds; `token_hashes` are those of the tokens that may open it. `stored` is its entry in S3;
    `server_id` and `server` say on which host it lies; `sha256` and `size` are those of a file.
    """

    place: Place
    name: str
    created: float
    cluster_uid: str | None
    token_hashes: tuple[str, ...]
    stored: StoredSnapshot | None = None
    server_id: int | None = None
    server: str = ""
    sha256: str | None = None
    size: int = 0

    @property
    def original(self) -> str:
        """Return the name under which k3s saved it."""
        return self.name.removeprefix(KEPT)

    @property
    def where(self) -> str:
        """Return where it lies."""
        return f"on {self.server}" if self.server else self.place.value


def in_s3(context: DecisionContext) -> tuple[StoredSnapshot, ...]:
    """Return what lies in S3; nothing where it is not known, of which the gate speaks."""
    found = context.state.snapshots
    return found.value if isinstance(found, Known) else ()


def everything(context: DecisionContext) -> tuple[Source, ...]:
    """Return every snapshot that was found, whosever it is."""
    here = context.state.local.snapshot
    stored = tuple(_stored(snapshot) for snapshot in in_s3(context))
    return (*((_file(here, Place.HERE),) if here else ()), *_hosted(context), *stored)


def ours(context: DecisionContext) -> tuple[Source, ...]:
    """Return this cluster's snapshots, newest first and each once, on a host before S3; a file that was named alone."""
    uid = context.control_plane.record.uid
    here = context.state.local.snapshot
    if here is not None:
        return (_file(here, Place.HERE),) if uid is not None and here.cluster_uid == uid else ()
    stored = tuple(_stored(snapshot) for snapshot in of_cluster(in_s3(context), uid))
    hosted = tuple(s for s in _hosted(context) if uid is not None and s.cluster_uid == uid)
    once: dict[str, Source] = {}
    for source in sorted((*hosted, *stored), key=lambda s: (-s.created, s.original, s.place is Place.S3, s.server)):
        once.setdefault(source.original, source)
    return tuple(once.values())


def unread(context: DecisionContext) -> tuple[str, ...]:
    """Name the masters without data whose snapshots could not be read."""
    told = ((server, context.state.on_hosts.get(server.id)) for server in _masters(context))
    return tuple(server.name for server, reading in told if reading is not None and not isinstance(reading, Known))


def _masters(context: DecisionContext) -> list[Server]:
    wanted = {master.name for master in context.control_plane.masters}
    return [s for s in lookup.owned_masters(context.spec.name, context.view) if s.name in wanted]


def begun_on(context: DecisionContext) -> tuple[str, ...]:
    """Return the masters on which half a restore lies."""
    return tuple(m.name for m in context.control_plane.masters if all_lost.is_being_restored(m))


def beside_a_begun_one(context: DecisionContext) -> tuple[Source, ...]:
    """Return the snapshots on masters beside the one on which a restore was begun: they are not chosen from there."""
    begun = begun_on(context)
    return _on(context, [s for s in _masters(context) if s.name not in begun]) if begun else ()


def _hosted(context: DecisionContext) -> tuple[Source, ...]:
    """Return the snapshots on masters that the file wants; where a restore was begun, on that one alone."""
    begun = begun_on(context)
    return _on(context, [s for s in _masters(context) if not begun or s.name in begun])


def _on(context: DecisionContext, servers: list[Server]) -> tuple[Source, ...]:
    readings = ((server, context.state.on_hosts.get(server.id)) for server in servers)
    return tuple(
        _on_host(server, found) for server, told in readings if isinstance(told, Known) for found in told.value
    )


def _on_host(server: Server, found: SnapshotFile) -> Source:
    return replace(_file(found, Place.HOST), server_id=server.id, server=server.name)


def _file(found: SnapshotFile, place: Place) -> Source:
    return Source(
        place=place,
        name=found.name,
        created=found.made,
        cluster_uid=found.cluster_uid,
        token_hashes=found.token_hashes,
        sha256=found.sha256,
        size=found.size,
    )


def _stored(found: StoredSnapshot) -> Source:
    return Source(
        place=Place.S3,
        name=found.name,
        created=found.created,
        cluster_uid=found.cluster_uid,
        token_hashes=(found.token_hash,) if found.token_hash else (),
        stored=found,
        size=found.size,
    )
