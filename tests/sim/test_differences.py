"""A change of the file that a living cluster does not have yet is named by `plan`, with what would end it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from hetzner_k3s import decide
from hetzner_k3s.decide.desired.keys import KEYS as COMPARISONS
from hetzner_k3s.lab.simulated import faults, virtual_time
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.hosts.first_boot import FIELDS as FIRST_BOOT
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, ComponentArgs, Label, MasterSpec, PoolSpec, Taint
from hetzner_k3s.model.state import ClusterState

from . import tool
from .clusters import MASTER1, WORKER1, a_spec, with_s3
from .story import healthy, with_version

Change = Callable[[ClusterSpec], ClusterSpec]


@pytest.fixture(scope="module")
def living() -> tuple[ClusterSpec, ClusterState]:
    """Give the file and the observation of a healthy cluster that this tool made."""

    async def tell() -> tuple[ClusterSpec, ClusterState]:
        async with healthy(1) as story:
            return story.spec, await tool.observed(story.world, story.spec)

    return virtual_time.run(tell())


def differences(spec: ClusterSpec, state: ClusterState) -> tuple[Difference, ...]:
    return decide.forecast(spec, state, Intent(verb=Verb.CREATE)).differences


def masters(**changes: str) -> Change:
    return lambda spec: replace(spec, masters=tuple(_changed(master, changes) for master in spec.masters))


def _changed(master: MasterSpec, changes: dict[str, str]) -> MasterSpec:
    changed = replace(
        master, instance_type=changes.get("type", master.instance_type), location=changes.get("at", "fsn1")
    )
    return replace(changed, image=changes.get("image", master.image))


def workers(**changes: str) -> Change:
    def pool(found: PoolSpec) -> PoolSpec:
        made = [replace(w, instance_type=changes.get("type", w.instance_type)) for w in found.workers]
        made = [replace(w, image=changes.get("image", w.image)) for w in made]
        return replace(found, workers=tuple(replace(w, location=changes.get("at", w.location)) for w in made))

    return lambda spec: replace(spec, pools=tuple(map(pool, spec.pools)))


def arguments(args: ComponentArgs) -> Change:
    return lambda spec: replace(spec, args=args)


def network(**changes: Any) -> Change:
    return lambda spec: replace(spec, kubernetes_network=replace(spec.kubernetes_network, **changes))


def of_masters(labels: tuple[Label, ...] = (), taints: tuple[Taint, ...] = ()) -> Change:
    return lambda spec: replace(spec, masters=tuple(replace(m, labels=labels, taints=taints) for m in spec.masters))


def of_workers(labels: tuple[Label, ...] = (), taints: tuple[Taint, ...] = ()) -> Change:
    def pool(found: PoolSpec) -> PoolSpec:
        return replace(found, workers=tuple(replace(w, labels=labels, taints=taints) for w in found.workers))

    return lambda spec: replace(spec, pools=tuple(map(pool, spec.pools)))


LABELS: Final = (Label(key="tier", value="web"),)
TAINTS: Final = (Taint(key="gpu", value="yes", effect="NoSchedule"),)
ONE: Final = ("a=b",)
KEYS: dict[str, tuple[Change, Remedy, str]] = {
    "masters_pool.instance_type": (masters(type="cpx32"), Remedy.RESIZE, MASTER1),
    "masters_pool.locations": (masters(at="hel1"), Remedy.REPLACE, MASTER1),
    "worker_node_pools[].instance_type": (workers(type="cpx32"), Remedy.RESIZE, WORKER1),
    "worker_node_pools[].location": (workers(at="hel1"), Remedy.REPLACE, WORKER1),
    "masters_pool.image": (masters(image="ubuntu-24.04"), Remedy.REPLACE, MASTER1),
    "worker_node_pools[].image": (workers(image="4711"), Remedy.REPLACE, WORKER1),
    "k3s_version": (lambda spec: with_version(spec, "v1.36.4+k3s1"), Remedy.UPGRADE, WORKER1),
    "kube_api_server_args": (arguments(ComponentArgs(kube_apiserver=ONE)), Remedy.RESTART, MASTER1),
    "kube_scheduler_args": (arguments(ComponentArgs(kube_scheduler=ONE)), Remedy.RESTART, MASTER1),
    "kube_controller_manager_args": (arguments(ComponentArgs(kube_controller_manager=ONE)), Remedy.RESTART, MASTER1),
    "kube_cloud_controller_manager_args": (
        arguments(ComponentArgs(kube_cloud_controller_manager=ONE)),
        Remedy.RESTART,
        MASTER1,
    ),
    "kube_proxy_args": (arguments(ComponentArgs(kube_proxy=ONE)), Remedy.RESTART, MASTER1),
    "kubelet_args": (arguments(ComponentArgs(kubelet=ONE)), Remedy.RESTART, WORKER1),
    "datastore.etcd.snapshot_retention": (
        lambda spec: replace(spec, etcd=replace(spec.etcd, snapshot_retention=7)),
        Remedy.RESTART,
        MASTER1,
    ),
    "datastore.etcd.snapshot_schedule_cron": (
        lambda spec: replace(spec, etcd=replace(spec.etcd, snapshot_schedule_cron="5 * * * *")),
        Remedy.RESTART,
        MASTER1,
    ),
    "addons.traefik.enabled": (
        lambda spec: replace(spec, addons=replace(spec.addons, traefik=True)),
        Remedy.RESTART,
        MASTER1,
    ),
    "addons.metrics_server.enabled": (
        lambda spec: replace(spec, addons=replace(spec.addons, metrics_server=True)),
        Remedy.RESTART,
        MASTER1,
    ),
    "addons.local_path_storage_class.enabled": (
        lambda spec: replace(spec, addons=replace(spec.addons, local_path_storage_class=True)),
        Remedy.RESTART,
        MASTER1,
    ),
    "api_server_hostname": (
        lambda spec: replace(spec, api_server_hostname="api.example.com"),
        Remedy.RESTART,
        MASTER1,
    ),
}


def first_boot(**changes: Any) -> Change:
    def boot(spec: ClusterSpec) -> ClusterSpec:
        masters = tuple(replace(master, boot=replace(master.boot, **changes)) for master in spec.masters)
        return replace(spec, masters=masters)

    return boot


def public(**changes: Any) -> Change:
    return lambda spec: replace(spec, network=replace(spec.network, **changes))


KEYS |= {
    "additional_packages": (first_boot(packages=("htop",)), Remedy.REPLACE, MASTER1),
    "additional_pre_k3s_commands": (first_boot(pre_k3s_commands=("true",)), Remedy.REPLACE, MASTER1),
    "additional_post_k3s_commands": (first_boot(post_k3s_commands=("true",)), Remedy.REPLACE, MASTER1),
    "grow_root_partition_automatically": (first_boot(grow_root_partition=False), Remedy.REPLACE, MASTER1),
    "addons.embedded_registry_mirror.private_registry_config": (
        lambda spec: replace(spec, addons=replace(spec.addons, registries=Secret("mirrors: {}"))),
        Remedy.RESTART,
        WORKER1,
    ),
    "networking.public_network.ipv4": (public(public_ipv4=False), Remedy.REPLACE, WORKER1),
    "networking.public_network.ipv6": (public(public_ipv6=False), Remedy.REPLACE, MASTER1),
    "datastore.etcd.s3_*": (with_s3, Remedy.RESTART, MASTER1),
    "networking.private_network.subnet": (
        lambda spec: replace(spec, network=replace(spec.network, subnet="10.9.0.0/16")),
        Remedy.FIXED,
        "prod",
    ),
    "networking.cluster_cidr": (network(cluster_cidr="10.99.0.0/16"), Remedy.FIXED, "prod"),
    "networking.service_cidr": (network(service_cidr="10.98.0.0/16"), Remedy.FIXED, "prod"),
    "networking.cluster_dns": (network(cluster_dns="10.43.0.11"), Remedy.FIXED, "prod"),
    "networking.cluster_domain": (network(cluster_domain="a.example"), Remedy.FIXED, "prod"),
    "networking.cni.encryption": (network(encryption=False), Remedy.FIXED, "prod"),
    "addons.embedded_registry_mirror.enabled": (
        lambda spec: replace(spec, addons=replace(spec.addons, embedded_registry_mirror=False)),
        Remedy.FIXED,
        "prod",
    ),
    "addons.servicelb.enabled": (
        lambda spec: replace(spec, addons=replace(spec.addons, servicelb=True)),
        Remedy.FIXED,
        "prod",
    ),
}


APPLIED: dict[str, tuple[Change, Remedy, str]] = {
    "schedule_workloads_on_masters": (
        lambda spec: replace(spec, schedule_workloads_on_masters=True),
        Remedy.APPLY,
        MASTER1,
    ),
    "masters_pool.labels": (of_masters(labels=LABELS), Remedy.APPLY, MASTER1),
    "masters_pool.taints": (of_masters(taints=TAINTS), Remedy.APPLY, MASTER1),
    "worker_node_pools[].labels": (of_workers(labels=LABELS), Remedy.APPLY, WORKER1),
    "worker_node_pools[].taints": (of_workers(taints=TAINTS), Remedy.APPLY, WORKER1),
    "addons.csi_driver.enabled": (
        lambda spec: replace(spec, addons=replace(spec.addons, csi_driver=False)),
        Remedy.APPLY,
        "prod",
    ),
}
"""What `create` applies and names as a difference besides: the rest of its kind are steps alone."""

REFUSED: Final = {
    "datastore.external_datastore_endpoint",
    "datastore.mode",
    "include_instance_type_in_instance_name",
    "networking.private_network.enabled",
    "networking.private_network.existing_network_name",
    "networking.ssh.public_key_path",
}
"""Keys whose change is refused, or finds another cluster: `tests/decide` has them."""

NAMED_AS: Final = {
    "create_load_balancer_for_the_kubernetes_api": "api_server_hostname",  # the certificate, told of below
    "image": "masters_pool.image",
    "networking.cni.flannel.disable_kube_proxy": "kube_proxy_args",
}


def named_as(key: str) -> str:
    """Give the field by which a difference of a key is told."""
    if key.startswith("datastore.etcd.s3_"):
        return "datastore.etcd.s3_*"
    if key.endswith(("labels[].key", "labels[].value", "taints[].key", "taints[].value")):
        return key.rpartition("[].")[0]
    bare = key.removeprefix("masters_pool.").removeprefix("worker_node_pools[].")
    return NAMED_AS.get(key, bare if bare in (*FIRST_BOOT, "kubelet_args") else key)


def test_no_compared_key_is_missing_here() -> None:
    compared = {key for key, how in COMPARISONS.items() if how.remedy not in {None, Remedy.APPLY}}
    assert {named_as(key) for key in compared - REFUSED} == set(KEYS)
    for field, (_, remedy, _) in (KEYS | APPLIED).items():
        told = {how.remedy for key, how in COMPARISONS.items() if named_as(key) == field}
        assert told == {remedy}, field


def test_a_cluster_that_was_just_made_has_no_difference(living: tuple[ClusterSpec, ClusterState]) -> None:
    assert differences(*living) == ()


@pytest.mark.parametrize("field", KEYS | APPLIED)
def test_a_changed_key_is_named_with_its_remedy(field: str, living: tuple[ClusterSpec, ClusterState]) -> None:
    """Seen: "is up to date: nothing to do", exit 0, for each of them (case 03)."""
    spec, state = living
    change, remedy, subject = (KEYS | APPLIED)[field]
    found = differences(change(spec), state)
    assert {(one.field, one.remedy) for one in found} == {(field, remedy)}
    assert subject in {one.subject for one in found}


def test_kubelet_arguments_of_a_pool_are_held_against_its_own_hosts(living: tuple[ClusterSpec, ClusterState]) -> None:
    """And the same words for the whole cluster against those that the pool leaves."""
    spec, state = living

    def pool(found: PoolSpec) -> PoolSpec:
        return replace(found, workers=tuple(replace(worker, kubelet_args=ONE) for worker in found.workers))

    of_one_pool = replace(spec, pools=tuple(map(pool, spec.pools)))
    assert {one.subject for one in differences(of_one_pool, state)} == {worker.name for worker in spec.workers()}
    empty = replace(of_one_pool, masters=tuple(replace(m, kubelet_args=()) for m in spec.masters))
    named = differences(replace(empty, args=ComponentArgs(kubelet=("c=d",))), state)
    assert {one.subject for one in named} == {worker.name for worker in spec.workers()}
    assert {one.field for one in named} == {"kubelet_args"}


def test_hosts_of_a_pool_are_made_with_its_kubelet_arguments() -> None:
    spec = a_spec(1, 1)
    (worker,) = spec.workers()
    pool = replace(spec.pools[0], workers=(replace(worker, kubelet_args=("max-pods=200",)),))

    async def tell() -> None:
        async with healthy(1, spec=replace(spec, pools=(pool,))) as story:
            told = {host.name: host.disk.config or "" for host in story.world.site.hosts.values()}
            assert [name for name, config in told.items() if "max-pods=200" in config] == [worker.name]
            assert differences(story.spec, await tool.observed(story.world, story.spec)) == ()

    virtual_time.run(tell())


def test_a_load_balancer_of_another_address_is_no_way_to_the_api() -> None:
    """Seen: the kubeconfig named the new address, and each master answered with a certificate for the old one (06)."""

    async def tell() -> None:
        async with healthy(1, spec=a_spec(load_balancer=True)) as story:
            assert differences(story.spec, await tool.observed(story.world, story.spec)) == ()
            before = (await tool.observed(story.world, story.spec)).local.kubeconfig_servers[story.spec.name]
            for number in tuple(story.world.project.load_balancers):
                faults.ask(story.world, "DELETE", f"/load_balancers/{number}")
            await asyncio.sleep(10)
            taken = {"type": "ipv4", "name": "of-somebody", "assignee_type": "server", "location": "fsn1"}
            assert "primary_ip" in faults.ask(story.world, "POST", "/primary_ips", json.dumps(taken).encode())
            run = await story.create()
            assert run.code is ExitCode.PENDING, run.story()
            state = await tool.observed(story.world, story.spec)
            assert {(one.field, one.remedy) for one in differences(story.spec, state)} == {
                ("create_load_balancer_for_the_kubernetes_api", Remedy.RESTART)
            }
            servers = state.local.kubeconfig_servers
            assert story.spec.name not in servers
            assert before not in servers.values()
            assert set(servers) == set(story.spec.master_names)

    virtual_time.run(tell())


def test_create_leaves_exit_code_3_and_touches_nothing() -> None:
    async def tell() -> None:
        async with healthy(1) as story:
            story.wish(KEYS["kube_api_server_args"][0](story.spec))
            run = await story.create()
            assert run.code is ExitCode.PENDING, run.story()
            assert run.writes == []

    virtual_time.run(tell())
