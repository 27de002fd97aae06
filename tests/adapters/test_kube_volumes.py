"""Which of Hetzner's volumes a cluster names is read off its PersistentVolumes, and whose cluster that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adapters.test_kube import MASTER, with_api

from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.lab.k3s.api.resources import PERSISTENT_VOLUMES
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.model.errors import KubeError
from hetzner_k3s.model.kube import NamedVolumes

SERVED = {
    "ours": {"csi": {"driver": "csi.hetzner.cloud", "volumeHandle": "71"}},
    "another-drivers": {"csi": {"driver": "csi.example.com", "volumeHandle": "72"}},
    "on-a-disk": {"hostPath": {"path": "/x"}},
    "no-number": {"csi": {"driver": "csi.hetzner.cloud", "volumeHandle": "seventy-three"}},
    "no-handle": {"csi": {"driver": "csi.hetzner.cloud"}},
}


def test_only_volumes_of_hetzners_driver_are_named(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        for name, spec in SERVED.items():
            await store.create(PERSISTENT_VOLUMES, {"metadata": {"name": name}, "spec": spec})
        uid = (await api.view(MASTER)).uid
        assert await api.named_volumes(MASTER) == NamedVolumes(uid, frozenset({71}))

    with_api(tmp_path, test)


def test_an_api_that_does_not_tell_is_a_failure(tmp_path: Path) -> None:
    async def test(api: K3sApi, _store: Store) -> None:
        with pytest.raises(KubeError, match="cannot read the volumes"):
            await api.named_volumes(MASTER)

    with_api(tmp_path, test, lambda request: 500 if "persistentvolumes" in request.path else None)
