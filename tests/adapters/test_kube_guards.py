"""A Node is deleted, or let go, only while it is the one that was meant; and what failed is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from tests.adapters.test_kube import MASTER, NODE, with_api

from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.model.errors import DeadlineExceeded, KubeError

ANOTHER = "3481062c-0000-4000-8000-000000000002"
OURS, THEIRS = "wrangler.cattle.io/managed-etcd-controller", "example.com/storage"


async def _uid(store: Store) -> str:
    uid: str = (await store.get(NODES, NODE))["metadata"]["uid"]
    return uid


async def _with_finalizers(store: Store, *finalizers: str) -> None:
    await store.change(
        NODES, NODE, "", lambda old: old | {"metadata": {**old["metadata"], "finalizers": list(finalizers)}}
    )


async def _finalizers(store: Store) -> list[str]:
    found: list[str] = (await store.get(NODES, NODE))["metadata"].get("finalizers", [])
    return found


def test_a_node_of_another_uid_is_never_deleted(tmp_path: Path) -> None:
    """It joined under the name after the look; for the one that was meant, that is as good as gone."""

    async def test(api: K3sApi, store: Store) -> None:
        await api.delete_node(MASTER, NODE, ANOTHER)
        assert await store.find(NODES, NODE) is not None
        await api.delete_node(MASTER, NODE, await _uid(store))
        assert await store.find(NODES, NODE) is None

    with_api(tmp_path, test)


@pytest.mark.parametrize("status", [403, 422])
def test_a_deletion_that_is_refused_is_told_at_once(tmp_path: Path, status: int) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        with pytest.raises(KubeError, match=f"delete Node.*{status}"):
            await api.delete_node(MASTER, NODE, await _uid(store))

    with_api(tmp_path, test, lambda request: status if request.method == "DELETE" else None)


def test_a_deletion_is_tried_again_while_the_api_does_not_answer(tmp_path: Path) -> None:
    answers = [503, 500, 429]

    def refuses(request: web.BaseRequest) -> int | None:
        return answers.pop() if request.method == "DELETE" and answers else None

    async def test(api: K3sApi, store: Store) -> None:
        await api.delete_node(MASTER, NODE, await _uid(store))
        assert await store.find(NODES, NODE) is None
        assert not answers

    with_api(tmp_path, test, refuses)


def test_a_node_that_does_not_go_is_no_success(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await _with_finalizers(store, THEIRS)
        with pytest.raises(DeadlineExceeded, match="kept by finalizers"):
            await api.delete_node(MASTER, NODE, await _uid(store))

    with_api(tmp_path, test)


def test_a_node_is_released_where_k3s_does_not_let_it_go(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await _with_finalizers(store, OURS)
        await api.delete_node(MASTER, NODE, await _uid(store), release=True)
        assert await store.find(NODES, NODE) is None

    with_api(tmp_path, test)


def test_only_k3s_own_finalizers_are_taken_off(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await _with_finalizers(store, OURS, THEIRS)
        with pytest.raises(DeadlineExceeded, match="kept by finalizers"):
            await api.delete_node(MASTER, NODE, await _uid(store), release=True)
        assert await _finalizers(store) == [THEIRS]

    with_api(tmp_path, test)


def test_a_node_keeps_its_finalizers_where_it_is_not_released(tmp_path: Path) -> None:
    """Without them k3s would not remove the member that is still listed."""

    async def test(api: K3sApi, store: Store) -> None:
        await _with_finalizers(store, OURS)
        with pytest.raises(DeadlineExceeded, match="kept by finalizers"):
            await api.delete_node(MASTER, NODE, await _uid(store))
        assert await _finalizers(store) == [OURS]

    with_api(tmp_path, test)


def test_a_node_that_is_not_being_deleted_keeps_its_finalizers(tmp_path: Path) -> None:
    """The API said that it knows no such Node, and shows it all the same."""

    async def test(api: K3sApi, store: Store) -> None:
        await _with_finalizers(store, OURS)
        with pytest.raises(DeadlineExceeded, match="kept by finalizers"):
            await api.delete_node(MASTER, NODE, await _uid(store), release=True)
        assert await _finalizers(store) == [OURS]

    with_api(tmp_path, test, lambda request: 404 if request.method == "DELETE" else None)


@pytest.mark.parametrize("deleting", [False, True])
def test_a_node_of_another_uid_keeps_its_finalizers(tmp_path: Path, deleting: bool) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await _with_finalizers(store, OURS)
        if deleting:
            await store.delete(NODES, NODE)
        await api.delete_node(MASTER, NODE, ANOTHER, release=True)
        found = await store.get(NODES, NODE)
        assert found["metadata"]["finalizers"] == [OURS]
        assert ("deletionTimestamp" in found["metadata"]) is deleting

    with_api(tmp_path, test)


def test_a_node_of_another_uid_is_not_dropped(tmp_path: Path) -> None:
    async def test(api: K3sApi, store: Store) -> None:
        await _with_finalizers(store, OURS, THEIRS)
        await api.drop_node(MASTER, NODE, ANOTHER)
        assert await _finalizers(store) == [OURS, THEIRS]
        await api.drop_node(MASTER, NODE, await _uid(store))
        assert await store.find(NODES, NODE) is None

    with_api(tmp_path, test)
