"""The Kubernetes adapter against the lab's API over real TLS: what is asked of it when a Node is to go."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from tests.k3s.memory_kv import MemoryKeyValues

from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.lab.k3s.api.http import ApiFace
from hetzner_k3s.lab.k3s.api.resources import (
    LEASES,
    NODES,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SECRETS,
    Obj,
)
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.serving import first_objects
from hetzner_k3s.lab.k3s.trust.certificates import Issuer, authority
from hetzner_k3s.lab.k3s.trust.pki import kubeconfig
from hetzner_k3s.lab.simulated.virtual_time import LoopClock
from hetzner_k3s.model.errors import DeadlineExceeded, KubeError
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import UNINITIALIZED, BeforeStart, Credentials, Leaving, Pod
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, NodeKeys
from hetzner_k3s.model.naming import ANNOTATION_CORDONED_BEFORE, ANNOTATION_LEAVING
from hetzner_k3s.model.operations.operation import Operation
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.ports import Clock

NODE = "prod-pool-small-worker1"
MASTER = HostTarget(server_id=101, name="prod-master1", address="127.0.0.1", port=22, keys={})


class HastyClock(LoopClock):
    """The machine's clock, twenty times as fast."""

    def monotonic(self) -> float:
        return super().monotonic() * 20

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 20)


class Access:
    """Gives the kubeconfig, and the port as if it were forwarded."""

    def __init__(self, port: int, text: str) -> None:
        self._port, self._text = port, text

    async def perform(self, _target: HostTarget, _operation: Operation[Any]) -> Secret:
        return Secret(self._text)

    async def forward(self, _target: HostTarget, _port: int) -> int:
        return self._port


def with_api(
    tmp_path: Path,
    test: Callable[[K3sApi, Store], Awaitable[None]],
    refuses: Callable[[web.BaseRequest], int | None] = lambda _: None,
    clock: Clock | None = None,
    born: datetime.timedelta = datetime.timedelta(),
    *,
    between: Callable[[web.BaseRequest, Store], Awaitable[None]] | None = None,
) -> None:
    """Serve the lab's API on a free port, and hand the adapter to a test.

    Args:
        tmp_path, test, clock: where, to whom, and on whose time.
        refuses: gives a status in place of the API.
        born: when its CA was made, from now.
        between: what happens before the API answers.
    """

    async def run() -> None:
        now = datetime.datetime.now(datetime.UTC) + born
        ca = authority("k3s-server-ca", now)
        issuer = Issuer(ca)
        served = issuer.sign("kube-apiserver", now, server_names=("localhost", "127.0.0.1"))
        (tmp_path / "crt").write_bytes(served.certificate)
        (tmp_path / "key").write_bytes(served.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
        store = Store(MemoryKeyValues())
        await first_objects.ensure(store)
        face = ApiFace(store, "127.0.0.1", "v1.36.3+k3s1")

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            status = refuses(request)
            if between is not None:
                await between(request, store)
            return await face.handle(request) if status is None else web.Response(status=status)

        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port = cast(int, runner.addresses[0][1])
        access = Access(port, kubeconfig("https://127.0.0.1:6443", ca.certificate, issuer.sign("admin", now)))
        api = K3sApi(hosts=cast(Any, access), forwarder=access, clock=clock or HastyClock())
        try:
            await store.create(NODES, {"metadata": {"name": NODE}, "spec": {}})
            await test(api, store)
        finally:
            await api.close()
            await runner.cleanup()

    asyncio.run(run())


def pod(name: str, **more: Any) -> Obj:
    metadata = {"name": name, "labels": {"app": "web"}, **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"nodeName": more.pop("node", NODE), "containers": []}, **more}


def owned_by(kind: str) -> Obj:
    return {"ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "1", "controller": True}]}


@pytest.mark.parametrize("days", [1, -4000], ids=["not yet valid", "expired"])
def test_a_clock_that_is_wrong_here_does_not_silence_the_api(tmp_path: Path, days: int) -> None:
    """A day behind, k3s was installed on a worker, and then the API was `down`: its certificates are from tomorrow."""

    async def test(api: K3sApi, _store: Store) -> None:
        assert (await api.view(MASTER)).node(NODE) is not None
        assert await api.evict(MASTER, Pod(namespace="default", name="gone", uid="1", controller=None))

    with_api(tmp_path, test, born=datetime.timedelta(days=days))


def test_whose_hetzner_token_the_cluster_holds_is_read(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        assert (await api.view(MASTER)).credentials is None
        data = {key: base64.b64encode(text).decode() for key, text in (("token", b"theirs"), ("network", b"prod"))}
        metadata = {"name": "hcloud", "annotations": {"hetzner-k3s/applied-by": "anna@laptop"}}
        await store.create(SECRETS, {"metadata": metadata, "data": data}, "kube-system")
        theirs = Credentials(token=Secret("theirs"), network="prod", applied_by="anna@laptop")
        assert (await api.view(MASTER)).credentials == theirs
        broken = data | {"token": base64.b64encode(b"\xff").decode()}
        await store.change(SECRETS, "hcloud", "kube-system", lambda old: old | {"data": broken})
        assert (await api.view(MASTER)).credentials is None

    with_api(tmp_path, test)


def test_a_node_is_cordoned_with_a_note_and_taken_back(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await api.mark_leaving(MASTER, NODE, Leaving.CORDONED)
        assert (await store.get(NODES, NODE))["spec"]["unschedulable"] is True
        for stage in (Leaving.CORDONED, Leaving.DRAINED, None):
            await api.mark_leaving(MASTER, NODE, stage)
            node = (await api.view(MASTER)).node(NODE)
            assert node is not None
            assert node.leaving is stage
        assert "unschedulable" not in (await store.get(NODES, NODE))["spec"]

    with_api(tmp_path, test)


def _with_spec(fields: Obj, node: Obj) -> Obj:
    return node | {"spec": node["spec"] | fields}


def test_a_node_that_its_owner_cordoned_stays_cordoned(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await store.change(NODES, NODE, "", partial(_with_spec, {"unschedulable": True}))
        for _ in range(2):
            for stage in (Leaving.CORDONED, Leaving.CORDONED, Leaving.DRAINED, None, None):
                await api.mark_leaving(MASTER, NODE, stage)
                assert (await store.get(NODES, NODE))["spec"]["unschedulable"] is True
            annotations = (await store.get(NODES, NODE))["metadata"].get("annotations", {})
            assert not {ANNOTATION_LEAVING, ANNOTATION_CORDONED_BEFORE} & annotations.keys()

    with_api(tmp_path, test)


def test_a_node_that_its_owner_uncordoned_meanwhile_is_marked_anew(tmp_path: Path) -> None:
    """The note of the first time says nothing of the second."""

    async def test(api: K3sApi, store: Store) -> None:
        for theirs in ({"unschedulable": True}, {"unschedulable": False}):
            await store.change(NODES, NODE, "", partial(_with_spec, theirs))
            await api.mark_leaving(MASTER, NODE, Leaving.CORDONED)
        await api.mark_leaving(MASTER, NODE, None)
        assert "unschedulable" not in (await store.get(NODES, NODE))["spec"]

    with_api(tmp_path, test)


async def _marks(store: Store) -> tuple[Obj, list[Obj]]:
    found = await store.get(NODES, NODE)
    return found["metadata"]["labels"], found["spec"].get("taints", [])


async def _uid(store: Store) -> str:
    return str((await store.get(NODES, NODE))["metadata"]["uid"])


def test_labels_and_taints_are_set_and_taken_away_and_others_stay(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        theirs = {"key": "gone", "effect": "NoExecute", "timeAdded": "2026-11-28T19:27:45Z"}
        old = {"labels": {"by-hand": "1", "old": "1"}}, {"taints": [theirs, {"key": "old", "effect": "NoSchedule"}]}
        await store.change(
            NODES, NODE, "", lambda o: o | {"metadata": o["metadata"] | old[0], "spec": o["spec"] | old[1]}
        )
        ours = NodeKeys(labels=frozenset({"tier"}), taints=frozenset({"gpu:NoSchedule"}))
        change = NodeChange(
            labels={"tier": "web", "old": None}, taints={"gpu:NoSchedule": "yes", "old:NoSchedule": None}, ours=ours
        )
        await api.label_node(MASTER, NODE, await _uid(store), change)
        labels, taints = await _marks(store)
        assert {key: value for key, value in labels.items() if "/" not in key} == {"by-hand": "1", "tier": "web"}
        assert taints == [theirs, {"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
        node = (await api.view(MASTER)).node(NODE)
        assert node is not None
        assert node.applied == ours
        assert node.taints == {"gone:NoExecute": "", "gpu:NoSchedule": "yes"}

    with_api(tmp_path, test)


def test_taints_of_somebody_who_is_faster_are_not_overwritten(tmp_path: Path) -> None:
    """Taints are one list to Kubernetes: written as it was read, it would undo what came in between."""
    patches: list[Store] = []
    theirs = {"key": "theirs", "effect": "NoSchedule"}

    async def between(request: web.BaseRequest, store: Store) -> None:
        if request.method == "PATCH" and not patches:
            patches.append(store)
            await store.change(NODES, NODE, "", lambda old: old | {"spec": old["spec"] | {"taints": [theirs]}})

    async def test(api: K3sApi, store: Store) -> None:
        change = NodeChange(labels={}, taints={"gpu:NoSchedule": "yes"}, ours=NodeKeys())
        await api.label_node(MASTER, NODE, await _uid(store), change)
        assert patches
        assert (await _marks(store))[1] == [theirs, {"key": "gpu", "value": "yes", "effect": "NoSchedule"}]

    with_api(tmp_path, test, between=between)


def test_another_node_of_the_name_is_not_labelled(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        before = await store.get(NODES, NODE)
        await api.label_node(MASTER, NODE, "another", NodeChange(labels={"a": "b"}, taints={}, ours=NodeKeys()))
        await api.label_node(MASTER, "nobody", "another", NodeChange(labels={"a": "b"}, taints={}, ours=NodeKeys()))
        assert await store.get(NODES, NODE) == before

    with_api(tmp_path, test)


def test_a_note_that_a_kubelet_wrote_is_not_believed(tmp_path: Path) -> None:
    """It could name the taint that keeps pods off its own Node, and we would take that away for it."""

    async def test(api: K3sApi, store: Store) -> None:
        ours = NodeKeys(labels=frozenset({"tier"}))
        await api.label_node(MASTER, NODE, await _uid(store), NodeChange(labels={}, taints={}, ours=ours))
        for text, expected in (
            ('{"labels":["tier"],"taints":[]}', ours),
            ('{"labels":["tier"],"taints":["quarantine:NoExecute"]}', None),
            ("{", None),
            (" " * 40_000, None),
        ):
            await api.annotate_node(MASTER, NODE, {"hetzner-k3s/applied": text}, {})
            node = (await api.view(MASTER)).node(NODE)
            assert node is not None
            assert node.applied == expected

    with_api(tmp_path, test)


def test_a_node_carries_its_own_pods_and_the_volumes_that_no_other_can_mount(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await store.create(PODS, pod("web", metadata=owned_by("ReplicaSet")), "default")
        await store.create(PODS, pod("agent", metadata=owned_by("DaemonSet")), "kube-system")
        await store.create(PODS, pod("elsewhere", node="prod-master1"), "default")
        await store.create(
            PODS, pod("static", metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}), "default"
        )
        await store.create(PODS, pod("done"), "default")
        await store.change(PODS, "done", "default", lambda o: o | {"status": {"phase": "Succeeded"}}, "status")
        for name, host in (("here", NODE), ("there", "prod-master1")):
            rule = {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}
            spec = {
                "claimRef": {"namespace": "default", "name": name},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}},
            }
            await store.create(PERSISTENT_VOLUMES, {"metadata": {"name": name}, "spec": spec})
            await store.change(PERSISTENT_VOLUMES, name, "", lambda o: o | {"status": {"phase": "Bound"}}, "status")
        load = await api.load_of(MASTER, NODE)
        assert load.local_claims == ("default/here",)
        seen = {each.name: (each.namespace, each.controller, each.stays) for each in load.pods}
        assert seen == {
            "web": ("default", "ReplicaSet", False),
            "agent": ("kube-system", "DaemonSet", True),
            "static": ("default", None, True),
            "done": ("default", None, True),
        }

    with_api(tmp_path, test)


def test_an_eviction_respects_the_budget_and_names_the_pod_by_its_uid(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        made = await store.create(PODS, pod("web"), "default")
        asked = Pod(namespace="default", name="web", uid=made["metadata"]["uid"], controller=None)
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
        await store.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "web"}, "spec": spec}, "default")
        assert not await api.evict(MASTER, asked)
        allowing = {"status": {"disruptionsAllowed": 1}}
        await store.change(POD_DISRUPTION_BUDGETS, "web", "default", lambda o: o | allowing, "status")
        another = Pod(namespace="default", name="web", uid="another", controller=None)
        assert await api.evict(MASTER, another)
        assert await store.find(PODS, "web", "default") is not None
        assert await api.evict(MASTER, asked)
        assert await store.find(PODS, "web", "default") is None
        assert await api.evict(MASTER, asked)

    with_api(tmp_path, test)


async def _renew(store: Store, at: str) -> None:
    spec = {"holderIdentity": NODE, "renewTime": at}
    if await store.find(LEASES, NODE, "kube-node-lease") is None:
        await store.create(LEASES, {"metadata": {"name": NODE}, "spec": spec}, "kube-node-lease")
    else:
        await store.change(LEASES, NODE, "kube-node-lease", lambda old: old | {"spec": spec})


async def _is_ready(api: K3sApi, before: BeforeStart | None) -> bool:
    try:
        await api.wait_node_ready(MASTER, NODE, 0.0, before)
    except DeadlineExceeded:
        return False
    return True


def test_a_node_is_ready_by_a_heartbeat_of_this_start_and_under_its_address(tmp_path: Path) -> None:
    """A Node stays Ready for 40 s after its host lost power, and another host's may have the name."""

    async def test(api: K3sApi, store: Store) -> None:
        assert await api.last_heartbeat(MASTER, NODE) is None
        addresses = [{"type": "InternalIP", "address": "10.0.0.7"}]
        status = {"addresses": addresses, "conditions": [{"type": "Ready", "status": "True"}]}
        assert not await _is_ready(api, None)
        await store.change(NODES, NODE, "", lambda old: old | {"status": status}, "status")
        assert await _is_ready(api, None)
        assert not await _is_ready(api, BeforeStart(None))
        await _renew(store, "2026-11-28T19:27:45.000001Z")
        seen = await api.last_heartbeat(MASTER, NODE)
        assert await _is_ready(api, BeforeStart(None))
        assert not await _is_ready(api, BeforeStart(seen))
        await _renew(store, "2026-11-28T19:27:45.000002Z")
        assert await _is_ready(api, BeforeStart(seen))
        assert await _is_ready(api, BeforeStart(seen, "10.0.0.7"))
        assert not await _is_ready(api, BeforeStart(seen, "10.0.0.8"))

    with_api(tmp_path, test)


async def _taint(store: Store, taints: list[dict[str, str]]) -> None:
    await store.change(NODES, NODE, "", lambda old: old | {"spec": {"taints": taints}})


def test_a_node_that_waits_for_a_cloud_controller_is_told_apart(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        taints = [{"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"}]
        for taint in ([], taints):
            await _taint(store, taint)
            node = (await api.view(MASTER)).node(NODE)
            assert node is not None
            assert node.uninitialized is bool(taint)

    with_api(tmp_path, test)


def test_a_lost_masters_node_goes_whatever_its_finalizers_wait_for(tmp_path: Path) -> None:
    """k3s' own waits for a member that cannot go, and those of others for a machine that is no more."""

    async def test(api: K3sApi, store: Store) -> None:
        kept = {"finalizers": ["wrangler.cattle.io/managed-etcd-controller", "example.com/mine"]}
        await store.change(NODES, NODE, "", lambda o: o | {"metadata": o["metadata"] | kept})
        uid = (await store.get(NODES, NODE))["metadata"]["uid"]
        await api.drop_node(MASTER, NODE, "another")
        assert "deletionTimestamp" not in (await store.get(NODES, NODE))["metadata"]
        await api.drop_node(MASTER, NODE, uid)
        assert await store.find(NODES, NODE) is None
        await api.drop_node(MASTER, NODE, uid)
        await store.create(NODES, {"metadata": {"name": NODE, **kept}, "spec": {}})
        await api.drop_node(MASTER, NODE, uid)
        assert (await store.get(NODES, NODE))["metadata"]["finalizers"] == kept["finalizers"], "it is another Node"

    with_api(tmp_path, test)


def too_early(requests: int) -> Callable[[web.BaseRequest], int | None]:
    """Have so many requests asked to come again, as an API does that has just started."""
    left = iter(range(requests))
    return lambda _request: next((429 for _ in left), None)


class Hurried(LoopClock):
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


@pytest.mark.parametrize("refused", [1, 40])
def test_an_api_that_initializes_its_storage_is_asked_again(tmp_path: Path, refused: int) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        assert await api.last_heartbeat(MASTER, NODE) is None
        assert (await api.view(MASTER)).node(NODE) is not None
        assert (await api.load_of(MASTER, NODE)).pods == ()

    with_api(tmp_path, test, too_early(refused), Hurried())


def test_a_look_gives_up_on_an_api_that_stays_so(tmp_path: Path) -> None:
    clock = Hurried()

    async def test(api: K3sApi, store: Store) -> None:
        with pytest.raises(KubeError, match="429"):
            await api.view(MASTER)
        assert 5 < clock.slept < 20

    with_api(tmp_path, test, too_early(10_000), clock)
