"""Add-ons of ours that the file switches off: named, uninstalled with `--prune`, kept while something needs them."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.lab.k3s.api.resources import CUSTOM_RESOURCE_DEFINITIONS, PERSISTENT_VOLUMES, SERVICES, from_definition
from hetzner_k3s.lab.k3s.control.cloud import HELM_CHARTS
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.kubernetes.addons import CERT_MANAGER, CLOUD_CONTROLLER, CSI_DRIVER
from hetzner_k3s.model.spec import AddonsSpec

from . import mischief
from .scenario import Told, converges
from .situation import PRUNE, Situations
from .story import Story
from .tool import Run

ADDONS = Situations("addons")
_tell = ADDONS.tell

_VOLUME = {"metadata": {"name": "pvc-1"}, "spec": {"csi": {"driver": "csi.hetzner.cloud", "volumeHandle": "7"}}}
_SERVICE = {
    "metadata": {"name": "web", "finalizers": ["service.kubernetes.io/load-balancer-cleanup"]},
    "spec": {"type": "LoadBalancer"},
}


_DEFINITION = {
    "metadata": {"name": "certificates.cert-manager.io"},
    "spec": {
        "group": "cert-manager.io",
        "names": {"plural": "certificates", "singular": "certificate", "kind": "Certificate"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
}
_CERTIFICATES = from_definition(_DEFINITION)[0]


async def _charts(story: Story) -> set[str]:
    found, _ = await mischief.store(story.world).list(HELM_CHARTS)
    return {chart["metadata"]["name"] for chart in found}


async def _switch_off(story: Story, addons: AddonsSpec) -> Run:
    """Switch add-ons off in the file; without consent nothing is done."""
    story.wish(replace(story.spec, addons=addons))
    run = await story.create()
    assert run.code is ExitCode.PENDING, run.story()
    assert not run.writes, run.story()
    return run


@_tell("one-that-is-switched-off-goes", converges())
async def _(story: Story) -> Run:
    """What a user installed under another name stays, and so does the Secret, which his own programs may read."""
    theirs = {"metadata": {"name": "theirs"}, "spec": {"chart": CSI_DRIVER}}
    await mischief.store(story.world).create(HELM_CHARTS, theirs, "kube-system")
    left = await _switch_off(story, AddonsSpec(csi_driver=False))
    assert [one.because for one in left.differences] == ["`create --prune` uninstalls it"]
    run = await story.create(consents=PRUNE)
    assert run.told.steps == [("RemoveAddon", CSI_DRIVER)], run.story()
    assert await _charts(story) == {CLOUD_CONTROLLER, "theirs"}
    return run


@_tell("the-csi-driver-stays-while-volumes-are-its-own", converges())
async def _(story: Story) -> Run:
    """Without it nobody could mount, detach or delete them."""
    store = mischief.store(story.world)
    await store.create(PERSISTENT_VOLUMES, _VOLUME)
    left = await _switch_off(story, AddonsSpec(csi_driver=False))
    assert "PersistentVolume pvc-1 would be left behind" in left.differences[0].because
    kept = await story.create(consents=PRUNE)
    assert (kept.code, kept.writes) == (ExitCode.PENDING, []), kept.story()
    assert CSI_DRIVER in await _charts(story)
    await store.delete(PERSISTENT_VOLUMES, "pvc-1")
    return await story.create(consents=PRUNE)


@_tell("the-csi-driver-is-wanted-again", converges())
async def _(story: Story) -> None:
    await _switch_off(story, AddonsSpec(csi_driver=False))
    gone = await story.create(consents=PRUNE)
    assert gone.code is ExitCode.CONVERGED, gone.story()
    story.wish(replace(story.spec, addons=AddonsSpec()))


@_tell("cert-manager-comes-and-goes", converges())
async def _(story: Story) -> Run:
    """It comes into a cluster that lives; it stays while it has certificates to renew, and its definitions for ever."""
    story.wish(replace(story.spec, addons=AddonsSpec(cert_manager=True)))
    came = await story.create()
    assert (came.code, [verb for verb, _ in came.told.steps]) == (ExitCode.CONVERGED, ["ApplyAddons"]), came.story()
    assert CERT_MANAGER in await _charts(story)
    store = mischief.store(story.world)
    await store.create(CUSTOM_RESOURCE_DEFINITIONS, _DEFINITION)
    await store.create(_CERTIFICATES, {"metadata": {"name": "web"}, "spec": {"secretName": "web"}}, "default")
    left = await _switch_off(story, AddonsSpec())
    assert "Certificate default/web would be left behind: nobody would renew them" in left.differences[0].because
    kept = await story.create(consents=PRUNE)
    assert (kept.code, kept.writes) == (ExitCode.PENDING, []), kept.story()
    await store.delete(_CERTIFICATES, "web", "default")
    run = await story.create(consents=PRUNE)
    assert run.told.steps == [("RemoveAddon", CERT_MANAGER)], run.story()
    return run


@_tell("the-cloud-controller-is-switched-off", Told())
async def _(story: Story) -> Run:
    """It stays while a Service has a load balancer; hosts whose Nodes would wait for it for ever stay named."""
    store = mischief.store(story.world)
    await store.create(SERVICES, _SERVICE, "default")
    left = await _switch_off(story, AddonsSpec(cloud_controller_manager=False))
    reasons = {one.field: one.because for one in left.differences}
    assert "Service default/web would be left behind" in reasons["addons.cloud_controller_manager.enabled"]
    assert "kubelet_args" in reasons
    await store.change(SERVICES, "web", "default", lambda old: old | {"metadata": old["metadata"] | {"finalizers": []}})
    await store.delete(SERVICES, "web", "default")
    run = await story.create(consents=PRUNE)
    assert (run.code, run.told.steps) == (ExitCode.PENDING, [("RemoveAddon", CLOUD_CONTROLLER)]), run.story()
    assert {one.field for one in (await story.create()).differences} == {"kubelet_args"}
    assert await _charts(story) == {CSI_DRIVER}
    return run
