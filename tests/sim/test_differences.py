"""A change of the file that a living cluster does not have yet is named by `plan`, with what would end it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from hetzner_k3s import decide
from hetzner_k3s.act.lock import LockRequest
from hetzner_k3s.lab.simulated import faults, virtual_time
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.spec import ClusterSpec, ComponentArgs, MasterSpec, PoolSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.reconcile import Wish, look_ahead

from .clusters import MASTER1, WORKER1, a_spec
from .story import Story, healthy, with_version
from .tool import Told

Change = Callable[[ClusterSpec], ClusterSpec]


async def looked_at(story: Story) -> ClusterState:
    session = story.world.session(story.spec.name)
    request = LockRequest(cluster=story.spec.name, holder="somebody@laptop", run=session.run)
    wish = Wish(spec=story.spec, intent=Intent(verb=Verb.CREATE), request=request)
    state, _ = await look_ahead(wish, session.ports, Told(session))
    session.end()
    return state


@pytest.fixture(scope="module")
def living() -> tuple[ClusterSpec, ClusterState]:
    """Give the file and the observation of a healthy cluster that this tool made."""

    async def tell() -> tuple[ClusterSpec, ClusterState]:
        async with healthy(1) as story:
            return story.spec, await looked_at(story)

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


ONE: Final = ("a=b",)
KEYS: Final[dict[str, tuple[Change, Remedy, str]]] = {
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
    "schedule_workloads_on_masters": (
        lambda spec: replace(spec, schedule_workloads_on_masters=True),
        Remedy.RESTART,
        MASTER1,
    ),
    "api_server_hostname": (
        lambda spec: replace(spec, api_server_hostname="api.example.com"),
        Remedy.RESTART,
        MASTER1,
    ),
}


def test_a_cluster_that_was_just_made_has_no_difference(living: tuple[ClusterSpec, ClusterState]) -> None:
    assert differences(*living) == ()


@pytest.mark.parametrize("field", KEYS)
def test_a_changed_key_is_named_with_its_remedy(field: str, living: tuple[ClusterSpec, ClusterState]) -> None:
    """Seen: "is as the file says: nothing to do", exit 0, for each of them (case 03)."""
    spec, state = living
    change, remedy, subject = KEYS[field]
    found = differences(change(spec), state)
    assert {(one.field, one.remedy) for one in found} == {(field, remedy)}
    assert subject in {one.subject for one in found}


def test_a_load_balancer_of_another_address_is_no_way_to_the_api() -> None:
    """Seen: the kubeconfig named the new address, and each master answered with a certificate for the old one (06)."""

    async def tell() -> None:
        async with healthy(1, spec=a_spec(load_balancer=True)) as story:
            assert differences(story.spec, await looked_at(story)) == ()
            before = (await looked_at(story)).local.kubeconfig_servers[story.spec.name]
            for number in tuple(story.world.project.load_balancers):
                faults.ask(story.world, "DELETE", f"/load_balancers/{number}")
            await asyncio.sleep(10)
            taken = {"type": "ipv4", "name": "of-somebody", "assignee_type": "server", "location": "fsn1"}
            assert "primary_ip" in faults.ask(story.world, "POST", "/primary_ips", json.dumps(taken).encode())
            run = await story.create()
            assert run.code is ExitCode.PENDING, run.story()
            state = await looked_at(story)
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
