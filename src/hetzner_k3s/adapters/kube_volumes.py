"""The PersistentVolumes that Hetzner's CSI driver serves."""

from __future__ import annotations

import asyncio
from typing import Final

from hetzner_k3s.adapters.kube_session import Session, path_of
from hetzner_k3s.model.kube import NamedVolumes
from hetzner_k3s.model.text.documents import Document, server_number

_DRIVER: Final = "csi.hetzner.cloud"


def is_hetzners(volume: Document) -> bool:
    """Check whether a PersistentVolume is one of Hetzner's CSI driver."""
    return volume.child_or_empty("spec").child_or_empty("csi").text_or("driver") == _DRIVER


async def named(session: Session) -> NamedVolumes:
    """Read which of Hetzner's volumes the PersistentVolumes name: a volume's id is the driver's handle of it."""
    namespace, found = await asyncio.gather(
        session.get(path_of("namespaces", "kube-system")), session.listed(path_of("persistentvolumes"))
    )
    handles = (v.child("spec").child("csi").text_or("volumeHandle") for v in found if is_hetzners(v))
    numbers = map(server_number, handles)
    return NamedVolumes(namespace.child("metadata").text("uid"), frozenset(n for n in numbers if n is not None))
