"""A HelmChart is deleted only while it is the one that we applied, and what needs one is read beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adapters.test_kube import MASTER, with_api

from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.lab.k3s.api.resources import PERSISTENT_VOLUMES, SERVICES, Obj
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.cloud import HELM_CHARTS
from hetzner_k3s.model.errors import DeadlineExceeded, KubeError


def _chart(name: str, digest: str | None) -> Obj:
    annotations = {"hetzner-k3s/digest": digest} if digest else {}
    return {"metadata": {"name": name, "annotations": annotations}, "spec": {}}


def test_a_chart_of_ours_goes_and_no_other_does(tmp_path: Path) -> None:
    """One that somebody applied without our mark, or that was applied anew since the look, is left."""

    async def test(api: K3sApi, store: Store) -> None:
        for name, digest in (("hcloud-csi", "now"), ("theirs", None)):
            await store.create(HELM_CHARTS, _chart(name, digest), "kube-system")
        assert (await api.view(MASTER)).addons == {"hcloud-csi": "now"}
        for name, digest in (("hcloud-csi", "before"), ("theirs", "now")):
            await api.remove_chart(MASTER, name, digest)
        assert len((await store.list(HELM_CHARTS))[0]) == 2
        await api.remove_chart(MASTER, "hcloud-csi", "now")
        await api.remove_chart(MASTER, "hcloud-csi", "now")
        assert [chart["metadata"]["name"] for chart in (await store.list(HELM_CHARTS))[0]] == ["theirs"]

    with_api(tmp_path, test)


def test_a_chart_that_is_not_uninstalled_is_no_success(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        chart = _chart("hcloud-csi", "now")
        chart["metadata"]["finalizers"] = ["wrangler.cattle.io/on-helm-chart-remove"]
        await store.create(HELM_CHARTS, chart, "kube-system")
        with pytest.raises(DeadlineExceeded, match="k3s has not uninstalled HelmChart hcloud-csi"):
            await api.remove_chart(MASTER, "hcloud-csi", "now")

    with_api(tmp_path, test)


def test_a_deletion_that_is_refused_is_no_success(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await store.create(HELM_CHARTS, _chart("hcloud-csi", "now"), "kube-system")
        with pytest.raises(KubeError, match="403"):
            await api.remove_chart(MASTER, "hcloud-csi", "now")

    with_api(tmp_path, test, lambda request: 403 if request.method == "DELETE" else None)


def test_what_needs_a_chart_is_read(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        for name, driver in (("pvc-1", "csi.hetzner.cloud"), ("pvc-2", "csi.example.com")):
            await store.create(PERSISTENT_VOLUMES, {"metadata": {"name": name}, "spec": {"csi": {"driver": driver}}})
        await store.create(PERSISTENT_VOLUMES, {"metadata": {"name": "pvc-3"}, "spec": {"hostPath": {"path": "/x"}}})
        held = {"finalizers": ["service.kubernetes.io/load-balancer-cleanup"]}
        for name, more, kind in (("a", held, "LoadBalancer"), ("b", {}, "LoadBalancer"), ("c", held, "ClusterIP")):
            await store.create(SERVICES, {"metadata": {"name": name, **more}, "spec": {"type": kind}}, "default")
        assert await api.dependents(MASTER, "hcloud-csi") == ("PersistentVolume pvc-1",)
        assert await api.dependents(MASTER, "hcloud-cloud-controller-manager") == ("Service default/a",)
        assert await api.dependents(MASTER, "cert-manager") == ()

    with_api(tmp_path, test)
