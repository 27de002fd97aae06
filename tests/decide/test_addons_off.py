"""An add-on that the file switched off is named, goes with `--prune`, and stays while something needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.decide.world import CREATE, MASTER1, PRUNE, SPEC, edit_facts, edit_kube, edit_node, forecast, healthy, waves

from hetzner_k3s.model.consents import Prune
from hetzner_k3s.model.difference import Remedy, left_as_it_is
from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER, CSI_DRIVER
from hetzner_k3s.model.plan import Intent, Reason
from hetzner_k3s.model.spec import AddonsSpec, ClusterSpec, ComponentArgs
from hetzner_k3s.model.state import ClusterState

CHARTS = {CLOUD_CONTROLLER: "digest-c", CSI_DRIVER: "digest-v"}
WITHOUT_CSI = replace(SPEC, addons=AddonsSpec(csi_driver=False))
WITHOUT_CLOUD = replace(SPEC, addons=AddonsSpec(cloud_controller_manager=False))
OWN_CLOUD = replace(WITHOUT_CLOUD, args=ComponentArgs(kubelet=("cloud-provider=external",)))
FREE: Mapping[str, tuple[str, ...]] = {CLOUD_CONTROLLER: (), CSI_DRIVER: ()}


def installed(spec: ClusterSpec, dependents: Mapping[str, tuple[str, ...]] = FREE) -> ClusterState:
    """Return a healthy cluster that has both charts."""
    return edit_kube(healthy(spec), lambda kube: replace(kube, addons=CHARTS, dependents=dependents))


def asked(intent: Intent, spec: ClusterSpec) -> Intent:
    """Return an intent that wants what the file wants, as the real one does."""
    on = {CLOUD_CONTROLLER: spec.addons.cloud_controller_manager, CSI_DRIVER: spec.addons.csi_driver}
    return replace(intent, addons={name: digest for name, digest in CHARTS.items() if on[name]})


def left(state: ClusterState, spec: ClusterSpec, intent: Intent) -> list[str]:
    found = forecast(state, spec, asked(intent, spec)).differences
    return [sentence.partition("left as it is: ")[2] for sentence in left_as_it_is(found)]


@pytest.mark.parametrize(
    ("spec", "chart", "field"),
    [
        (WITHOUT_CSI, CSI_DRIVER, "addons.csi_driver.enabled"),
        (WITHOUT_CLOUD, CLOUD_CONTROLLER, "addons.cloud_controller_manager.enabled"),
    ],
)
def test_it_is_named_and_goes_with_consent_only(spec: ClusterSpec, chart: str, field: str) -> None:
    state = installed(spec)
    (difference,) = forecast(state, spec, asked(CREATE, spec)).differences
    assert (difference.field, difference.remedy, difference.left) == (field, Remedy.APPLY, True)
    assert waves(state, spec, asked(CREATE, spec)) == []
    assert left(state, spec, CREATE) == ["`create --prune` uninstalls it"]
    assert left(state, spec, PRUNE) == []
    assert waves(state, spec, asked(PRUNE, spec)) == [[f"RemoveAddon {chart}"]]
    ((planned,),) = forecast(state, spec, asked(PRUNE, spec)).waves
    assert (planned.consent, planned.reason) == (Prune(), Reason.SHRINK)


def test_what_the_file_wants_or_is_not_ours_is_never_touched() -> None:
    """A chart without our digest is not in the view: somebody else's."""
    assert waves(installed(SPEC), SPEC, asked(PRUNE, SPEC)) == []
    theirs = edit_kube(healthy(WITHOUT_CSI), lambda kube: replace(kube, addons={CLOUD_CONTROLLER: "digest-c"}))
    assert waves(theirs, WITHOUT_CSI, asked(PRUNE, WITHOUT_CSI)) == []
    assert left(theirs, WITHOUT_CSI, CREATE) == []


@pytest.mark.parametrize(
    ("spec", "dependents", "why"),
    [
        (WITHOUT_CSI, {CSI_DRIVER: ("PersistentVolume pvc-1",)}, "PersistentVolume pvc-1 would be left behind"),
        (WITHOUT_CLOUD, {CLOUD_CONTROLLER: ("Service default/web",)}, "Service default/web would be left behind"),
        (WITHOUT_CSI, {}, "what needs it could not be read"),
    ],
)
@pytest.mark.parametrize("intent", [CREATE, PRUNE])
def test_it_stays_while_something_needs_it(
    spec: ClusterSpec, dependents: Mapping[str, tuple[str, ...]], why: str, intent: Intent
) -> None:
    state = installed(spec, dependents)
    assert waves(state, spec, asked(intent, spec)) == []
    (told,) = left(state, spec, intent)
    assert told.startswith(f"it stays, with --prune too: {why}")


def test_the_cloud_controller_stays_while_a_node_waits_for_it() -> None:
    state = edit_node(installed(WITHOUT_CLOUD), MASTER1, lambda node: replace(node, uninitialized=True))
    assert waves(state, WITHOUT_CLOUD, asked(PRUNE, WITHOUT_CLOUD)) == []
    (told,) = left(state, WITHOUT_CLOUD, PRUNE)
    assert told.startswith(f"it stays, with --prune too: {MASTER1} would keep the taint")
    assert waves(state, OWN_CLOUD, asked(PRUNE, OWN_CLOUD)) == [[f"RemoveAddon {CLOUD_CONTROLLER}"]]


def test_hosts_whose_nodes_would_wait_for_ever_are_named() -> None:
    config = {"kubelet-arg": ("cloud-provider=external", "resolv-conf=/etc/k8s-resolv.conf")}
    state = edit_facts(installed(WITHOUT_CLOUD), MASTER1, lambda f: replace(f, disk=replace(f.disk, config=config)))
    warned = [told for told in left(state, WITHOUT_CLOUD, CREATE) if "--prune" in told]
    assert [MASTER1 in told and "keeps the taint" in told for told in warned] == [True]
    assert MASTER1 in reason(state, WITHOUT_CLOUD)
    assert "taint" not in reason(state, OWN_CLOUD)


def reason(state: ClusterState, spec: ClusterSpec) -> str:
    (removal,) = (p for wave in forecast(state, spec, asked(PRUNE, spec)).waves for p in wave if p.consent)
    return removal.because
