"""What 2.x applied is read as it is, and only this very object is deleted; what volumes rely on is only marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adapters.test_kube import MASTER, with_api
from tests.sim import manifests_of_2x as of_2x

from hetzner_k3s.adapters import kube
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.lab.k3s.api.resources import BUILT_IN, DAEMON_SETS, DEPLOYMENTS, Obj
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control import workloads
from hetzner_k3s.model.errors import DeadlineExceeded, KubeError
from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER, CSI_DRIVER
from hetzner_k3s.model.kubernetes.addons_of_2x import AddonFound, ObjectName

CIDR = "10.244.0.0/16"
CLASS, DRIVER = ObjectName("StorageClass", "hcloud-volumes"), ObjectName("CSIDriver", "csi.hetzner.cloud")
CONTROLLER, NODE = ObjectName("Deployment", "hcloud-csi-controller"), ObjectName("DaemonSet", "hcloud-csi-node")
_KIND = {resource.kind: resource for resource in BUILT_IN}


async def left(store: Store) -> set[str]:
    """Name what there is of the CSI driver."""
    kinds = (
        "Deployment",
        "DaemonSet",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "StorageClass",
        "CSIDriver",
    )
    return {f"{kind} {one['metadata']['name']}" for kind in kinds for one in (await store.list(_KIND[kind]))[0]}


def uids(found: AddonFound) -> dict[ObjectName, str]:
    return {name: workload.uid for name, workload in found.workloads.items()}


def test_what_is_there_is_read(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        assert await api.addon_of_2x(MASTER, CSI_DRIVER) == AddonFound()
        await of_2x.apply_instead_of_charts(store, CIDR)
        (controller,) = (await api.addon_of_2x(MASTER, CLOUD_CONTROLLER)).workloads.values()
        assert controller.images == ("docker.io/hetznercloud/hcloud-cloud-controller-manager:v1.33.0",)
        assert f"--cluster-cidr={CIDR}" in controller.arguments
        assert controller.settings == ("HCLOUD_TOKEN", "ROBOT_PASSWORD", "ROBOT_USER", "HCLOUD_NETWORK")
        assert (controller.release, controller.ending) == (None, False)
        found = await api.addon_of_2x(MASTER, CSI_DRIVER)
        assert (set(found.workloads), set(found.kept)) == ({CONTROLLER, NODE}, {CLASS, DRIVER})
        assert found.kept[CLASS].fields["storageclass.kubernetes.io/is-default-class"] == "true"
        assert found.kept[DRIVER].fields["volumeLifecycleModes"] == "Persistent"

    with_api(tmp_path, test)


def test_only_what_was_seen_goes_and_what_volumes_rely_on_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube, "_ENDED_WITHIN", 0.0)

    async def test(api: K3sApi, store: Store) -> None:
        await of_2x.apply_instead_of_charts(store, CIDR)
        before = uids(await api.addon_of_2x(MASTER, CSI_DRIVER))
        await store.delete(DEPLOYMENTS, CONTROLLER.name, of_2x.KUBE_SYSTEM)
        await store.create(DEPLOYMENTS, {"metadata": {"name": CONTROLLER.name}, "spec": {}}, of_2x.KUBE_SYSTEM)
        await workloads.look(store)
        with pytest.raises(DeadlineExceeded, match="DaemonSet hcloud-csi-node: its pods have not ended"):
            await api.clear_way(MASTER, CSI_DRIVER, before)
        assert (await api.addon_of_2x(MASTER, CSI_DRIVER)).workloads[NODE].ending
        for _ in range(3):
            await workloads.look(store)
        await api.clear_way(MASTER, CSI_DRIVER, before)
        theirs = {name for name in await left(store) if "csi" in name or "volumes" in name}
        assert theirs == {str(CONTROLLER), str(CLASS), str(DRIVER)}, (
            "another Deployment of that name is not ours to delete"
        )
        found = await api.addon_of_2x(MASTER, CSI_DRIVER)
        assert {kept.release for kept in found.kept.values()} == {"kube-system/hcloud-csi"}

    with_api(tmp_path, test)


def test_what_belongs_to_a_release_is_left(tmp_path: Path) -> None:
    def owned(old: Obj) -> Obj:
        marks = {"meta.helm.sh/release-name": "theirs", "meta.helm.sh/release-namespace": "apps"}
        return old | {"metadata": old["metadata"] | {"annotations": marks}}

    async def test(api: K3sApi, store: Store) -> None:
        await of_2x.apply_instead_of_charts(store, CIDR)
        for kind, name in (("ClusterRole", "hcloud-csi-controller"), ("StorageClass", CLASS.name)):
            await store.change(_KIND[kind], name, "", owned)
        await api.clear_way(MASTER, CSI_DRIVER, {})
        assert "ClusterRole hcloud-csi-controller" in await left(store)
        assert "ClusterRoleBinding hcloud-csi-controller" not in await left(store)
        assert (await api.addon_of_2x(MASTER, CSI_DRIVER)).kept[CLASS].release == "apps/theirs"
        assert len((await store.list(DAEMON_SETS))[0]) == 1

    with_api(tmp_path, test)


def test_a_deletion_that_is_refused_is_no_success(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await of_2x.apply_instead_of_charts(store, CIDR)
        found = uids(await api.addon_of_2x(MASTER, CSI_DRIVER))
        with pytest.raises(KubeError, match="403"):
            await api.clear_way(MASTER, CSI_DRIVER, found)

    with_api(tmp_path, test, lambda request: 403 if request.method == "DELETE" else None)
