"""Charts come and go as Helm has them: refused over what is another's, failed over what cannot change.

See docs/facts/addons.md#ownership.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from hetzner_k3s.lab.k3s.api.resources import BUILT_IN, DEPLOYMENTS, NAMESPACES, PODS, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control import helm, workloads
from hetzner_k3s.lab.k3s.control.cloud import HELM_CHARTS
from hetzner_k3s.lab.simulated.virtual_time import run

from .memory_kv import MemoryKeyValues

SYSTEM = "kube-system"
CHART = helm.CSI_CHART
CONTROLLER = "hcloud-csi-controller"
CLASSES, DRIVERS = (next(r for r in BUILT_IN if r.kind == kind) for kind in ("StorageClass", "CSIDriver"))
MARKS = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": CHART, "meta.helm.sh/release-namespace": SYSTEM},
}
CLASS = {
    "metadata": {"name": "hcloud-volumes"},
    "provisioner": "csi.hetzner.cloud",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}
DRIVER = {"metadata": {"name": "csi.hetzner.cloud"}, "spec": {"seLinuxMount": False}}


def told(happens: Callable[[Store], Awaitable[None]]) -> None:
    async def play() -> None:
        store = Store(MemoryKeyValues())
        await store.create(NAMESPACES, {"metadata": {"name": SYSTEM}})
        await store.create(HELM_CHARTS, {"metadata": {"name": CHART}, "spec": {}}, SYSTEM)
        await happens(store)

    run(play())


async def look(store: Store, times: int = 1) -> None:
    for _ in range(times):
        await helm.look(store)


async def status(store: Store) -> str:
    found = await store.find(SECRETS, f"sh.helm.release.v1.{CHART}.v1", SYSTEM)
    return found["metadata"]["labels"]["status"] if found else "none"


def marked(one: Obj, **annotations: str) -> Obj:
    return one | {
        "metadata": one["metadata"] | MARKS | {"annotations": {**MARKS["annotations"], **annotations}},
    }


def test_a_chart_brings_its_objects_and_takes_them_along() -> None:
    async def happens(store: Store) -> None:
        await look(store)
        assert (await status(store), len((await store.list(PODS, SYSTEM))[0])) == ("deployed", 2)
        await store.delete(HELM_CHARTS, CHART, SYSTEM)
        await look(store, 3)
        assert (await status(store), await store.find(CLASSES, "hcloud-volumes")) == ("none", None)
        assert (await store.list(DEPLOYMENTS))[0] == []
        assert (await store.list(PODS, SYSTEM))[0] == []

    told(happens)


def test_over_what_is_another_s_nothing_is_installed_until_it_is_marked() -> None:
    async def happens(store: Store) -> None:
        made = await store.create(CLASSES, CLASS)
        await look(store, 2)
        assert (await status(store), (await store.list(DEPLOYMENTS))[0]) == ("none", [])
        await store.change(CLASSES, "hcloud-volumes", "", marked)
        await look(store)
        assert await status(store) == "deployed"
        assert (await store.get(CLASSES, "hcloud-volumes"))["metadata"]["uid"] == made["metadata"]["uid"]

    told(happens)


@pytest.mark.parametrize(
    "old",
    [
        marked({"metadata": {"name": CONTROLLER}, "spec": {"selector": {"matchLabels": {"app": CONTROLLER}}}}),
        marked(
            {"metadata": {"name": "csi.hetzner.cloud"}, "spec": {"seLinuxMount": False}}, **{helm.KUBECTL_APPLIED: "{}"}
        ),
    ],
    ids=["its selector cannot change", "kubectl owns a field"],
)
def test_a_release_that_fails_is_uninstalled_with_all_that_it_took_over(old: Obj) -> None:
    async def happens(store: Store) -> None:
        made = await store.create(CLASSES, marked(CLASS))
        resource, namespace = (DRIVERS, "") if "seLinuxMount" in old["spec"] else (DEPLOYMENTS, SYSTEM)
        await store.create(resource, old, namespace)
        await look(store)
        assert await status(store) == "failed"
        await look(store, 2)
        assert await status(store) == "deployed"
        assert (await store.get(CLASSES, "hcloud-volumes"))["metadata"]["uid"] != made["metadata"]["uid"]

    told(happens)


def test_what_is_deleted_in_the_foreground_goes_after_its_pods() -> None:
    async def happens(store: Store) -> None:
        await look(store)
        await store.delete(HELM_CHARTS, CHART, SYSTEM)
        await store.delete(DEPLOYMENTS, CONTROLLER, SYSTEM, foreground=True)
        while await store.find(DEPLOYMENTS, CONTROLLER, SYSTEM):
            ending = [pod["metadata"]["name"] for pod in (await store.list(PODS, SYSTEM))[0]]
            await workloads.look(store)
        assert not any(name.startswith(CONTROLLER) for name in ending)

    told(happens)


@pytest.mark.parametrize(
    ("resource", "one", "change"),
    [
        (CLASSES, CLASS, {"reclaimPolicy": "Retain"}),
        (DRIVERS, {"metadata": {"name": "d"}, "spec": {"attachRequired": True}}, {"spec": {"attachRequired": False}}),
    ],
)
def test_what_cannot_change_is_refused(resource: object, one: Obj, change: Obj) -> None:
    async def happens(store: Store) -> None:
        kind = CLASSES if resource is CLASSES else DRIVERS
        await store.create(kind, one)
        with pytest.raises(ApiError, match="field is immutable"):
            await store.change(kind, one["metadata"]["name"], "", lambda old: old | change)

    told(happens)
