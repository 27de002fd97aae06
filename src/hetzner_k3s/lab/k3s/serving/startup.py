"""What a starting server does with its datastore: docs/facts/k3s.md#start-decision. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Start(Enum):
    """The ways a server can start."""

    EXISTING_MEMBER = "existing member"
    JOIN = "join"
    REJOIN_AFTER_REMOVAL = "rejoin"
    NEW_CLUSTER = "new cluster"
    RESET = "reset"


class Refused(ValueError):
    """k3s exits instead of starting; the text is its message."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What decides on a server's disk."""

    wal: bool = False
    tombstone: bool = False
    reset_flag: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What decides in a server's configuration."""

    server: str = ""
    cluster_reset: bool = False


TOMBSTONE_WITHOUT_SERVER = (
    "tombstone file has been detected but --server is empty; this node has been removed from the cluster, "
    "set --server to rejoin it or delete the server/db directory"
)


def decide(disk: Disk, wish: Wish) -> Start:
    """Choose how to start.

    `cluster-init` is no argument: without a WAL and without `server:` k3s makes a new cluster, no question asked.

    Raises:
        Refused: a reset is asked for beside `server:` or twice, or a removed member has nobody to rejoin.
    """
    if wish.cluster_reset:
        return _reset(disk, wish)
    if disk.tombstone:
        if not wish.server:
            raise Refused(TOMBSTONE_WITHOUT_SERVER)
        return Start.REJOIN_AFTER_REMOVAL
    if disk.wal:
        return Start.EXISTING_MEMBER
    return Start.JOIN if wish.server else Start.NEW_CLUSTER


def _reset(disk: Disk, wish: Wish) -> Start:
    if wish.server:
        raise Refused("invalid flag use; --server is not valid with --cluster-reset")
    if disk.reset_flag:
        raise Refused(
            "Managed etcd cluster membership was already reset, please remove the cluster-reset flag and start k3s "
            "normally. If you need to perform another cluster reset, you must first manually delete the file "
            "/var/lib/rancher/k3s/server/db/reset-flag"
        )
    return Start.RESET


def announcement(start: Start) -> str:
    """Return the line k3s prints about its managed etcd before anything else happens."""
    if start is Start.EXISTING_MEMBER:
        return "Managed etcd cluster bootstrap already complete and initialized"
    if start in (Start.JOIN, Start.REJOIN_AFTER_REMOVAL):
        return "Managed etcd cluster not yet initialized"
    return "Managed etcd cluster initializing"
