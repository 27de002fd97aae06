"""What 2.x applied makes room for charts of ours: with consent, or where it is gone; else it is left and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decide.world import (
    CREATE,
    ROLLOUT,
    SPEC,
    codes,
    edit_kube,
    forecast,
    healthy,
    plan,
    waves,
)
from tests.properties.safety import violations

from hetzner_k3s.decide.desired.addons_of_2x import installed
from hetzner_k3s.decide.view.predictions import map_servers
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import ROLLOUT_ADDONS, Consents, Rollout
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER, CSI_DRIVER
from hetzner_k3s.model.kubernetes.addons_of_2x import OF_2X, AddonFound, KeptObject, ObjectName, Workload
from hetzner_k3s.model.plan import Intent, Reason
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import TakeOverAddon

CHARTS = {CLOUD_CONTROLLER: "digest-c", CSI_DRIVER: "digest-v"}
PLAIN = replace(CREATE, addons=CHARTS)
ASKED = replace(PLAIN, consents=Consents.of(Rollout(ROLLOUT_ADDONS)))
CONTROLLER = ObjectName("Deployment", CLOUD_CONTROLLER)
DRIVER = ObjectName("Deployment", "hcloud-csi-controller")
NODE = ObjectName("DaemonSet", "hcloud-csi-node")
CLASS = ObjectName("StorageClass", "hcloud-volumes")
BOTH = [[f"TakeOverAddon {CLOUD_CONTROLLER}"], [f"TakeOverAddon {CSI_DRIVER}"]]

_IMAGE = "docker.io/hetznercloud/hcloud-cloud-controller-manager"
_CCM = Workload(
    uid="1",
    images=(f"{_IMAGE}:v1.33.0",),
    arguments=("/bin/hcloud-cloud-controller-manager", "--cloud-provider=hcloud", "--cluster-cidr=10.244.0.0/16"),
    settings=("HCLOUD_TOKEN", "HCLOUD_NETWORK"),
)
_CSI = Workload(
    uid="2",
    images=("registry.k8s.io/sig-storage/csi-attacher:v4.11.0", "docker.io/hetznercloud/hcloud-csi-driver:v2.21.2"),
    arguments=("-controller",),
    settings=("CSI_ENDPOINT", "HCLOUD_TOKEN"),
)
_AUTOSCALED = "prod-small-3f2a"
_KEPT = {name: replace(kept, release=None) for name, kept in installed(CSI_DRIVER).kept.items()}
OF_THEIRS = {
    CLOUD_CONTROLLER: AddonFound(workloads={CONTROLLER: _CCM}),
    CSI_DRIVER: AddonFound(workloads={DRIVER: _CSI, NODE: replace(_CSI, uid="3")}, kept=_KEPT),
}


def adopted(change: Callable[[KubeView], KubeView] = lambda kube: kube) -> ClusterState:
    """Return a healthy cluster that 2.x made and that was adopted, with its add-ons."""
    labels = {naming.LABEL_ADOPTED: "2026-11-30"}
    state = map_servers(healthy(), lambda server: replace(server, labels={**server.labels, **labels}))
    view = state.view
    state = state.with_view(
        replace(
            view,
            networks=tuple(replace(one, labels={**one.labels, **labels}) for one in view.networks),
            firewalls=tuple(replace(one, labels={**one.labels, **labels}) for one in view.firewalls),
            placement_groups=tuple(replace(one, labels={**one.labels, **labels}) for one in view.placement_groups),
        )
    )
    return edit_kube(state, lambda kube: change(replace(kube, addons={}, of_2x=OF_THEIRS)))


def with_found(chart: str, found: AddonFound | None) -> ClusterState:
    """Return it with something else in the place of one add-on; None: nobody could read it."""
    others = {name: there for name, there in OF_THEIRS.items() if name != chart}
    return adopted(lambda kube: replace(kube, of_2x=others if found is None else {**others, chart: found}))


def controller(**changes: object) -> ClusterState:
    return with_found(CLOUD_CONTROLLER, AddonFound(workloads={CONTROLLER: replace(_CCM, **changes)}))  # type: ignore[arg-type]


def storage_class(**changes: str) -> ClusterState:
    kept = replace(_KEPT[CLASS], fields={**_KEPT[CLASS].fields, **changes})
    return with_found(CSI_DRIVER, replace(OF_THEIRS[CSI_DRIVER], kept={**_KEPT, CLASS: kept}))


def beside_silent(state: ClusterState) -> ClusterState:
    """Add a Node that the file does not know, as the autoscaler makes them, and that fell silent."""
    silent = KubeNode(name=_AUTOSCALED, uid="9", ready=False, provider_id="hcloud://990")
    return edit_kube(state, lambda kube: replace(kube, nodes=(*kube.nodes, silent)))


def steps(state: ClusterState, intent: Intent, spec: ClusterSpec = SPEC) -> list[list[str]]:
    return waves(state, spec, intent)


def told(state: ClusterState, intent: Intent) -> tuple[list[str], list[str]]:
    """Return what is said of it beside the way, and what is said to be not well."""
    way = forecast(state, SPEC, intent)
    return [note for note in way.notes if "2.x" in note], [one for one in way.degraded if "hcloud" in one]


@pytest.mark.parametrize("intent", [PLAIN, replace(ROLLOUT, addons=CHARTS)], ids=["create", "--rollout"])
def test_without_its_own_consent_it_is_left_and_the_way_is_named(intent: Intent) -> None:
    assert steps(adopted(), intent) == []
    ((note,), degraded) = told(adopted(), intent)
    assert note.startswith(f"{CLOUD_CONTROLLER}, {CSI_DRIVER} stay as hetzner-k3s 2.x applied them; `create --rollout")
    assert degraded == []


def test_with_consent_one_goes_after_the_other() -> None:
    assert steps(adopted(), ASKED) == BOTH
    (first,) = plan(adopted(), SPEC, ASKED).steps
    assert isinstance(first.step, TakeOverAddon)
    assert (first.step.workloads, first.step.digest) == ({CONTROLLER: "1"}, "digest-c")
    assert (first.consent, first.reason) == (Rollout(ROLLOUT_ADDONS), Reason.DIFFERS)
    assert told(adopted(), ASKED) == ([], [])


def test_a_cluster_of_ours_has_nothing_to_take_over() -> None:
    assert steps(edit_kube(healthy(), lambda kube: replace(kube, addons=CHARTS)), ASKED) == []
    assert steps(edit_kube(healthy(), lambda kube: replace(kube, addons={})), ASKED) == [["ApplyAddons prod"]]


def test_while_k3s_installs_one_the_other_stays() -> None:
    begun = adopted(lambda kube: replace(kube, addons={CLOUD_CONTROLLER: "digest-c"}))
    first = plan(begun, SPEC, ASKED)
    assert (first.steps, [wait.tolerated for wait in first.waits]) == ((), [True])
    assert [one for one in first.degraded if f"job/helm-install-{CLOUD_CONTROLLER}" in one]
    assert steps(begun, ASKED) == BOTH[1:]
    done = {**OF_THEIRS, CLOUD_CONTROLLER: installed(CLOUD_CONTROLLER)}
    assert plan(edit_kube(begun, lambda kube: replace(kube, of_2x=done)), SPEC, ASKED).waits == ()


@pytest.mark.parametrize(
    "workloads",
    [{}, {CONTROLLER: replace(_CCM, ending=True)}],
    ids=["gone", "ending"],
)
def test_a_cloud_controller_that_is_gone_comes_back_unasked(workloads: dict[ObjectName, Workload]) -> None:
    state = with_found(CLOUD_CONTROLLER, AddonFound(workloads=workloads))
    assert steps(state, PLAIN) == BOTH[:1]
    (planned,) = plan(state, SPEC, PLAIN).steps
    assert (planned.consent, planned.reason) == (None, Reason.MISSING)
    assert isinstance(planned.step, TakeOverAddon)
    assert set(planned.step.workloads) == set(workloads)


def test_half_a_driver_is_gone_on_with_unasked() -> None:
    state = with_found(CSI_DRIVER, replace(OF_THEIRS[CSI_DRIVER], workloads={NODE: _CSI}))
    assert steps(state, PLAIN) == BOTH[1:]


@pytest.mark.parametrize(
    ("state", "held", "why"),
    [
        (with_found(CLOUD_CONTROLLER, None), CLOUD_CONTROLLER, "could not be read"),
        (controller(release="apps/hccm"), CLOUD_CONTROLLER, "belongs to the Helm release apps/hccm"),
        (controller(images=("example.com/ccm:v1.33.0",)), CLOUD_CONTROLLER, "runs example.com/ccm:v1.33.0"),
        (controller(images=()), CLOUD_CONTROLLER, "runs nothing"),
        (
            controller(images=(f"{_IMAGE}:v1.34.0",)),
            CLOUD_CONTROLLER,
            "v1.34.0, and",
        ),
        (controller(images=(f"{_IMAGE}:latest",)), CLOUD_CONTROLLER, ":latest, and"),
        (controller(settings=("HCLOUD_NETWORK", "ROBOT_ENABLED")), CLOUD_CONTROLLER, "has ROBOT_ENABLED, which"),
        (controller(settings=("HCLOUD_TOKEN",)), CLOUD_CONTROLLER, "for a cluster without a private network"),
        (controller(arguments=("--cluster-cidr=10.9.0.0/16",)), CLOUD_CONTROLLER, "--cluster-cidr=10.9.0.0/16, which"),
        (controller(arguments=("--cluster-name=x",)), CLOUD_CONTROLLER, "has --cluster-name=x, which"),
        (storage_class(reclaimPolicy="Retain"), CSI_DRIVER, "has reclaimPolicy Retain, the chart Delete"),
        (
            storage_class(**{"storageclass.kubernetes.io/is-default-class": "false"}),
            CSI_DRIVER,
            "is-default-class false, the chart true",
        ),
        (
            with_found(
                CSI_DRIVER, replace(OF_THEIRS[CSI_DRIVER], kept={CLASS: KeptObject(release="apps/csi", fields={})})
            ),
            CSI_DRIVER,
            "StorageClass hcloud-volumes belongs to the Helm release apps/csi",
        ),
    ],
)
def test_what_the_chart_would_not_be_is_left_by_name_and_the_other_goes(
    state: ClusterState, held: str, why: str
) -> None:
    other = {CLOUD_CONTROLLER: BOTH[1:], CSI_DRIVER: BOTH[:1]}[held]
    assert steps(state, PLAIN) == []
    assert steps(state, ASKED) == other
    (_, (degraded,)) = told(state, ASKED)
    assert degraded.startswith(f"{held} stays as hetzner-k3s 2.x applied it: ")
    assert why in degraded
    notes, nothing = told(state, PLAIN)
    assert nothing == []
    assert any(why in note and "with `create --rollout addons` too" in note for note in notes)


def test_beside_a_silent_node_nothing_is_deleted_but_what_is_gone_comes_back() -> None:
    assert plan(beside_silent(adopted()), SPEC, ASKED).steps == ()
    assert told(beside_silent(adopted()), ASKED)[1][0].endswith(
        f"{_AUTOSCALED} is not Ready, and a pod there could not be ended; bring it back first"
    )
    gone = beside_silent(with_found(CLOUD_CONTROLLER, AddonFound()))
    assert [planned.step.target for planned in plan(gone, SPEC, PLAIN).steps] == [CLOUD_CONTROLLER]


def test_a_driver_that_is_gone_and_cannot_come_back_is_not_well() -> None:
    kept = {CLASS: replace(_KEPT[CLASS], fields={**_KEPT[CLASS].fields, "reclaimPolicy": "Retain"})}
    state = with_found(CSI_DRIVER, AddonFound(kept=kept))
    assert steps(state, PLAIN) == []
    (_, (degraded,)) = told(state, PLAIN)
    assert degraded.startswith(f"{CSI_DRIVER}: what hetzner-k3s 2.x applied is gone, and no chart takes its place: ")


def test_a_pool_of_that_name_is_never_meant() -> None:
    pool = replace(SPEC.pools[0], workers=tuple(replace(w, pool=ROLLOUT_ADDONS) for w in SPEC.pools[0].workers))
    spec = replace(SPEC, pools=(pool, *SPEC.pools[1:]))
    assert codes(healthy(), spec, ASKED) == ["consent.unfit"]
    assert codes(adopted(), spec, ASKED) == []


def test_every_chart_has_what_2x_has_under_the_same_names() -> None:
    for chart, manifest in OF_2X.items():
        assert set(installed(chart).workloads) == set(manifest.workloads)
        assert set(installed(chart).kept) == set(manifest.kept)


def _any_workload() -> st.SearchStrategy[Workload]:
    return st.builds(
        Workload,
        uid=st.sampled_from(["1", "2"]),
        ending=st.booleans(),
        release=st.sampled_from([None, None, None, "kube-system/hcloud-csi", "apps/x"]),
        images=st.sampled_from([_CCM.images, _CSI.images, (f"{_IMAGE}:v9.0.0",), ()]),
        arguments=st.sampled_from([(), ("-node",), ("--cluster-cidr=10.9.0.0/16",)]),
        settings=st.sampled_from([("HCLOUD_NETWORK",), ("CSI_ENDPOINT",), ("ROBOT_ENABLED",)]),
    )


def _any_found(chart: str) -> st.SearchStrategy[AddonFound]:
    manifest = OF_2X[chart]
    workloads = st.fixed_dictionaries({}, optional={name: _any_workload() for name in manifest.workloads})
    classes = st.sampled_from([_KEPT[CLASS], replace(_KEPT[CLASS], fields={"reclaimPolicy": "Retain"})])
    kept = st.fixed_dictionaries({}, optional=dict.fromkeys(manifest.kept, classes))
    return st.builds(AddonFound, workloads=workloads, kept=kept)


@given(
    found=st.fixed_dictionaries({}, optional={chart: _any_found(chart) for chart in OF_2X}),
    applied=st.sets(st.sampled_from(sorted(CHARTS))),
    intent=st.sampled_from([PLAIN, ASKED]),
)
def test_whatever_is_there_no_plan_breaks_a_rule(
    found: dict[str, AddonFound], applied: set[str], intent: Intent
) -> None:
    charts = {chart: digest for chart, digest in CHARTS.items() if chart in applied}
    state = adopted(lambda kube: replace(kube, addons=charts, of_2x=found))
    assert violations(SPEC, state, plan(state, SPEC, intent)) == []
