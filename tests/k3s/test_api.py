"""The Kubernetes API's rules: storing, patching, selecting, finalizers, watches. Pure, on keys in memory."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hetzner_k3s.lab.k3s.api import patch, protobuf, requests, selectors, tables
from hetzner_k3s.lab.k3s.api.face import Face, Request
from hetzner_k3s.lab.k3s.api.requests import Target
from hetzner_k3s.lab.k3s.api.resources import (
    CONFIGMAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    SECRETS,
    Obj,
)
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store, Watched
from hetzner_k3s.lab.k3s.control.nodes import PasswordFinalizer, with_finalizer, without_finalizer
from hetzner_k3s.lab.k3s.serving import first_objects

from .memory_kv import MemoryKeyValues


def with_store(test: Callable[[Store], Awaitable[None]]) -> None:
    """Run a test with a store that holds the system namespaces."""

    async def run() -> None:
        store = Store(MemoryKeyValues())
        await first_objects.ensure(store)
        await test(store)

    asyncio.run(run())


def code_of(caught: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    return caught.value.code, caught.value.reason


def configmap(name: str = "a", **data: str) -> Obj:
    return {"metadata": {"name": name}, "data": data}


def test_create_read_and_conflicting_create() -> None:
    async def test(store: Store) -> None:
        made = await store.create(CONFIGMAPS, configmap(k="v"), "default")
        read = await store.get(CONFIGMAPS, "a", "default")
        assert read == made
        assert read["metadata"]["namespace"] == "default"
        assert read["metadata"]["uid"]
        with pytest.raises(ApiError) as caught:
            await store.create(CONFIGMAPS, configmap(), "default")
        assert code_of(caught) == (409, "AlreadyExists")
        assert caught.value.message == 'configmaps "a" already exists'

    with_store(test)


def test_etcd_keys_are_the_recorded_ones() -> None:
    async def test(store: Store) -> None:
        await store.create(NODES, {"metadata": {"name": "master1"}})
        await store.create(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": {}}, "default")
        keys = {entry.key for entry in (await store.kv.list("/registry/")).entries}
        assert "/registry/minions/master1" in keys
        assert "/registry/deployments/default/d" in keys
        assert "/registry/apiextensions.k8s.io/customresourcedefinitions/helmcharts.helm.cattle.io" in keys
        assert "/registry/services/specs/default/kubernetes" in keys

    with_store(test)


def test_version_conflict() -> None:
    async def test(store: Store) -> None:
        old = await store.create(CONFIGMAPS, configmap(k="1"), "default")
        await store.change(CONFIGMAPS, "a", "default", lambda _: old | {"data": {"k": "2"}})
        with pytest.raises(ApiError) as caught:
            await store.change(CONFIGMAPS, "a", "default", lambda _: old | {"data": {"k": "3"}})
        assert code_of(caught) == (409, "Conflict")

    with_store(test)


def test_an_update_that_changes_nothing_keeps_the_version() -> None:
    async def test(store: Store) -> None:
        old = await store.create(CONFIGMAPS, configmap(k="1"), "default")
        same = await store.change(CONFIGMAPS, "a", "default", lambda current: current)
        assert same["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]

    with_store(test)


def test_missing_object_and_missing_namespace() -> None:
    async def test(store: Store) -> None:
        with pytest.raises(ApiError) as caught:
            await store.get(CONFIGMAPS, "nope", "default")
        assert code_of(caught) == (404, "NotFound")
        assert caught.value.message == 'configmaps "nope" not found'
        with pytest.raises(ApiError) as caught:
            await store.create(CONFIGMAPS, configmap(), "nowhere")
        assert caught.value.message == 'namespaces "nowhere" not found'

    with_store(test)


def test_generated_names_and_bad_names() -> None:
    async def test(store: Store) -> None:
        made = await store.create(CONFIGMAPS, {"metadata": {"generateName": "x-"}}, "default")
        assert made["metadata"]["name"].startswith("x-")
        assert len(made["metadata"]["name"]) == 7
        with pytest.raises(ApiError) as caught:
            await store.create(CONFIGMAPS, configmap("Not_A_Name"), "default")
        assert code_of(caught) == (422, "Invalid")

    with_store(test)


def test_status_moves_only_through_its_subresource() -> None:
    async def test(store: Store) -> None:
        await store.create(NODES, {"metadata": {"name": "n"}, "spec": {}})
        posted = {"status": {"phase": "x"}}
        await store.change(NODES, "n", "", lambda old: old | posted | {"spec": {"unschedulable": True}}, "status")
        node = await store.get(NODES, "n")
        assert node["status"] == {"phase": "x"}
        assert node["spec"] == {}
        await store.change(NODES, "n", "", lambda old: old | {"status": {}, "spec": {"unschedulable": True}})
        node = await store.get(NODES, "n")
        assert node["status"] == {"phase": "x"}
        assert node["spec"] == {"unschedulable": True}

    with_store(test)


def test_generation_counts_changes_of_spec() -> None:
    async def test(store: Store) -> None:
        await store.create(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": {"replicas": 1}}, "default")
        await store.change(DEPLOYMENTS, "d", "default", lambda old: old | {"spec": {"replicas": 2}})
        labelled = {"labels": {"a": "b"}}
        changed = await store.change(
            DEPLOYMENTS, "d", "default", lambda old: old | {"metadata": old["metadata"] | labelled}
        )
        assert changed["metadata"]["generation"] == 2

    with_store(test)


def test_finalizers_hold_a_deleted_object() -> None:
    async def test(store: Store) -> None:
        await store.create(NODES, {"metadata": {"name": "n", "finalizers": ["a/b", "c/d"]}})
        held = await store.delete(NODES, "n")
        assert held["metadata"]["deletionTimestamp"]
        await store.change(NODES, "n", "", lambda old: without_finalizer(old, "a/b"))
        assert (await store.get(NODES, "n"))["metadata"]["finalizers"] == ["c/d"]
        await store.change(NODES, "n", "", lambda old: without_finalizer(old, "c/d"))
        assert await store.find(NODES, "n") is None

    with_store(test)


def test_deletion_with_preconditions() -> None:
    async def test(store: Store) -> None:
        made = await store.create(NODES, {"metadata": {"name": "n"}})
        with pytest.raises(ApiError) as caught:
            await store.delete(NODES, "n", uid="another")
        assert code_of(caught) == (409, "Conflict")
        await store.delete(NODES, "n", uid=made["metadata"]["uid"])
        assert await store.find(NODES, "n") is None

    with_store(test)


def test_a_terminating_namespace_takes_nothing_new() -> None:
    async def test(store: Store) -> None:
        await store.create(NAMESPACES, {"metadata": {"name": "going"}})
        gone = await store.delete(NAMESPACES, "going")
        assert gone["status"]["phase"] == "Terminating"
        with pytest.raises(ApiError) as caught:
            await store.create(CONFIGMAPS, configmap(), "going")
        assert caught.value.code == 403
        await store.change(NAMESPACES, "going", "", lambda old: old | {"spec": {"finalizers": []}})
        assert await store.find(NAMESPACES, "going") is None

    with_store(test)


def test_provider_id_cannot_change() -> None:
    async def test(store: Store) -> None:
        await store.create(NODES, {"metadata": {"name": "n"}, "spec": {}})
        await store.change(NODES, "n", "", lambda old: old | {"spec": {"providerID": "hcloud://1"}})
        with pytest.raises(ApiError) as caught:
            await store.change(NODES, "n", "", lambda old: old | {"spec": {"providerID": "hcloud://2"}})
        assert code_of(caught) == (422, "Invalid")

    with_store(test)


def test_secrets() -> None:
    async def test(store: Store) -> None:
        secret = {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": True}
        made = await store.create(SECRETS, secret, "default")
        assert made["data"] == {"a": base64.b64encode(b"b").decode()}
        assert made["type"] == "Opaque"
        with pytest.raises(ApiError) as caught:
            await store.change(SECRETS, "s", "default", lambda old: old | {"data": {}})
        assert caught.value.code == 422

    with_store(test)


def definition(plural: str = "widgets") -> Obj:
    names = {"plural": plural, "kind": "Widget", "singular": "widget"}
    versions = [{"name": "v1", "served": True, "storage": True}]
    spec = {"group": "example.org", "scope": "Namespaced", "names": names, "versions": versions}
    return {"metadata": {"name": f"{plural}.example.org"}, "spec": spec}


def test_a_definition_registers_its_resource() -> None:
    async def test(store: Store) -> None:
        assert store.catalogue.find("example.org", "v1", "widgets") is None
        made = await store.create(CUSTOM_RESOURCE_DEFINITIONS, definition())
        assert {row["type"] for row in made["status"]["conditions"]} == {"Established", "NamesAccepted"}
        widgets = store.catalogue.find("example.org", "v1", "widgets")
        assert widgets is not None
        await store.create(widgets, {"metadata": {"name": "w"}, "spec": {"x": 1}}, "default")
        assert widgets.key("default", "w") == "/registry/example.org/widgets/default/w"
        await store.delete(CUSTOM_RESOURCE_DEFINITIONS, "widgets.example.org")
        assert store.catalogue.find("example.org", "v1", "widgets") is None

    with_store(test)


def test_watch_tells_what_changed() -> None:
    async def test(store: Store) -> None:
        _, revision = await store.list(CONFIGMAPS, "default")
        await store.create(CONFIGMAPS, configmap(k="1"), "default")
        await store.change(CONFIGMAPS, "a", "default", lambda old: old | {"data": {"k": "2"}})
        await store.delete(CONFIGMAPS, "a", "default")
        seen: list[Watched] = []
        async for change in store.watch(CONFIGMAPS, "default", revision):
            seen.append(change)
            if len(seen) == 3:
                break
        assert [change.kind for change in seen] == ["ADDED", "MODIFIED", "DELETED"]
        assert seen[2].obj["data"] == {"k": "2"}
        assert [int(change.obj["metadata"]["resourceVersion"]) for change in seen] == [c.revision for c in seen]

    with_store(test)


def test_a_deleted_node_loses_its_password_before_it_goes() -> None:
    async def test(store: Store) -> None:
        await store.create(NODES, {"metadata": {"name": "n"}})
        await store.create(SECRETS, {"metadata": {"name": "n.node-password.k3s"}}, "kube-system")
        controller = PasswordFinalizer(store)
        running = asyncio.ensure_future(controller.run())

        async with asyncio.timeout(5):
            _, revision = await store.list(NODES)
            async for change in store.watch(NODES, "", revision - 2):
                if change.kind == "MODIFIED" and "deletionTimestamp" not in change.obj["metadata"]:
                    await store.delete(NODES, "n")
                if change.kind == "DELETED":
                    break
        assert await store.find(SECRETS, "n.node-password.k3s", "kube-system") is None
        running.cancel()

    with_store(test)


def test_finalizer_is_added_once() -> None:
    node = with_finalizer({"metadata": {"name": "n"}}, "a/b")
    assert with_finalizer(node, "a/b")["metadata"]["finalizers"] == ["a/b"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/nodes", Target("", "v1", "nodes")),
        ("/api/v1/nodes/m/status", Target("", "v1", "nodes", "", "m", "status")),
        ("/api/v1/namespaces/x", Target("", "v1", "namespaces", "", "x")),
        ("/api/v1/namespaces/x/finalize", Target("", "v1", "namespaces", "", "x", "finalize")),
        ("/api/v1/namespaces/x/secrets/s", Target("", "v1", "secrets", "x", "s")),
        ("/apis/apps/v1/namespaces/x/deployments", Target("apps", "v1", "deployments", "x")),
        ("/apis/apps/v1", None),
        ("/version", None),
    ],
)
def test_paths(path: str, expected: Target | None) -> None:
    assert requests.parse_path(path) == expected


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("a=b", True),
        ("a==b", True),
        ("a!=b", False),
        ("x!=y", True),
        ("a in (b, c)", True),
        ("a notin (b,c)", False),
        ("a", True),
        ("!a", False),
        ("!x,a=b", True),
        ("a=b,x=y", False),
        ("", True),
    ],
)
def test_label_selectors(selector: str, matches: bool) -> None:
    assert selectors.labels(selector)({"metadata": {"labels": {"a": "b"}}}) is matches


def test_field_selectors() -> None:
    obj = {"metadata": {"name": "n"}, "spec": {"nodeName": "m", "flag": True}}
    assert selectors.fields("metadata.name=n,spec.nodeName!=x,spec.flag=true")(obj)
    assert not selectors.fields("spec.nodeName=x")(obj)
    assert selectors.fields("spec.missing=")(obj)
    with pytest.raises(ApiError):
        selectors.labels("a b c")


def test_merge_patch() -> None:
    assert patch.merge({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None, "x": 3}, "d": [2]}) == {
        "a": {"c": 2, "x": 3},
        "d": [2],
    }


def test_strategic_merge_patch() -> None:
    old: Any = {"conditions": [{"type": "A", "status": "1", "x": 1}, {"type": "B"}], "finalizers": ["f"], "plain": [1]}
    change: Any = {
        "conditions": [{"type": "A", "status": "2"}, {"type": "B", "$patch": "delete"}, {"type": "C"}],
        "finalizers": ["g"],
        "plain": [2],
        "$setElementOrder/conditions": [],
    }
    assert patch.strategic(old, change) == {
        "conditions": [{"type": "A", "status": "2", "x": 1}, {"type": "C"}],
        "finalizers": ["f", "g"],
        "plain": [2],
    }
    assert patch.strategic({"finalizers": ["f", "g"]}, {"$deleteFromPrimitiveList/finalizers": ["f"]}) == {
        "finalizers": ["g"]
    }


def test_json_patch() -> None:
    operations = [
        {"op": "test", "path": "/a/0", "value": 1},
        {"op": "add", "path": "/a/-", "value": 3},
        {"op": "replace", "path": "/b~1c", "value": "x"},
        {"op": "remove", "path": "/a/0"},
        {"op": "copy", "from": "/a", "path": "/d"},
    ]
    assert patch.json_patch({"a": [1, 2], "b/c": "y"}, operations) == {"a": [2, 3], "b/c": "x", "d": [2, 3]}
    with pytest.raises(ApiError):
        patch.json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": 2}])
    with pytest.raises(ApiError):
        patch.json_patch({}, [{"op": "remove", "path": "/missing"}])


def test_a_custom_resource_takes_no_strategic_patch() -> None:
    with pytest.raises(ApiError) as caught:
        requests.patched({}, {}, "application/strategic-merge-patch+json", custom=True)
    assert caught.value.code == 415


def test_protobuf_of_kubectl_create() -> None:
    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    metadata = field(1, field(1, b"x"))
    entry = field(2, field(1, b"key") + field(2, b"value"))
    types = field(1, b"v1") + field(2, b"ConfigMap")
    body = protobuf.MAGIC + field(1, types) + field(2, metadata + entry)
    assert requests.parse_body(body, "application/vnd.kubernetes.protobuf") == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x"},
        "data": {"key": "value"},
    }
    unknown = protobuf.MAGIC + field(1, field(2, b"Widget")) + field(2, metadata)
    with pytest.raises(ApiError) as caught:
        requests.parse_body(unknown, "application/vnd.kubernetes.protobuf")
    assert caught.value.code == 415


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        ("2026-01-01T00:00:00Z", "10s"),
        ("2025-12-31T23:57:10Z", "3m"),
        ("2025-12-31T21:00:10Z", "3h"),
        ("2025-12-01T00:00:10Z", "31d"),
    ],
)
def test_ages(stamp: str, text: str) -> None:
    assert tables.age(stamp, tables.parse_time("2026-01-01T00:00:10Z")) == text


def test_a_patch_that_names_another_uid_changes_nothing() -> None:
    """So a client reaches the very object it looked at, and not one made anew under its name."""

    async def test(store: Store) -> None:
        await store.create(NODES, {"metadata": {"name": "master1", "finalizers": ["example.com/storage"]}})
        body = json.dumps({"metadata": {"uid": "another", "finalizers": None}}).encode()
        kind = "application/merge-patch+json"
        asked = Request("PATCH", "/api/v1/nodes/master1", content_type=kind, body=body)
        assert (await Face(store, "127.0.0.1", "v1.36.3+k3s1").answer(asked)).code == 422
        assert (await store.get(NODES, "master1"))["metadata"]["finalizers"] == ["example.com/storage"]

    with_store(test)
