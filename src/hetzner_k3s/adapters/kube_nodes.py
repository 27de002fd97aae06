"""Single requests about Nodes: looks and writes that the adapter asks again where the API does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from hetzner_k3s.adapters import kube_objects
from hetzner_k3s.adapters.kube_session import MERGE, Session, path_of
from hetzner_k3s.model.text.documents import Document

_NODE_LEASES: Final = "kube-node-lease"


def heartbeat_of(name: str) -> Callable[[Session], Awaitable[str | None]]:
    """Make the look at the lease that a Node's kubelet renews every ten seconds."""

    async def read(session: Session) -> str | None:
        lease = await session.find(path_of("leases", name, namespace=_NODE_LEASES, group="coordination.k8s.io/v1"))
        return lease.child_or_empty("spec").optional_text("renewTime") if lease else None

    return read


def deleting(name: str, uid: str) -> Callable[[Session], Awaitable[None]]:
    """Make the request that deletes a Node, unless it is gone or another Node has its name by now."""

    async def delete(session: Session) -> None:
        await session.delete(path_of("nodes", name), uid)

    return delete


def gone(name: str, uid: str) -> Callable[[Session], Awaitable[bool]]:
    """Make the look whether this very Node is there no more."""

    async def is_gone(session: Session) -> bool:
        node = await session.find(path_of("nodes", name))
        return node is None or kube_objects.node(node).uid != uid

    return is_gone


async def patch(session: Session, name: str, changes: Mapping[str, Any]) -> Document:
    """Merge changes into a Node."""
    return await session.send("PATCH", path_of("nodes", name), changes, MERGE)
