"""`k3s etcd-snapshot`: the server's side (`/db/snapshot`) and what a snapshot leaves behind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.http import json_response
from hetzner_k3s.lab.k3s.api.resources import NAMESPACES, Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.etcd.port import Etcd, EtcdError
from hetzner_k3s.lab.k3s.serving.s3 import Bucket, S3Error
from hetzner_k3s.lab.k3s.setup import flags
from hetzner_k3s.lab.k3s.setup.paths import Layout, directory
from hetzner_k3s.lab.k3s.trust import tokens

SNAPSHOT_FILES = Resource(
    "k3s.cattle.io", "v1", "etcdsnapshotfiles", "ETCDSnapshotFile", False, has_status=True, custom=True
)


def _created(path: Path) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(path.stat().st_mtime))


def describe(path: Path, node: str) -> Obj:
    """Describe a local snapshot as `etcd-snapshot ls -o json` does (fixture host/etcd_snapshot_ls.txt)."""
    labels = {"etcd.k3s.cattle.io/snapshot-storage-node": node}
    return {
        "kind": "ETCDSnapshotFile",
        "apiVersion": "k3s.cattle.io/v1",
        "metadata": {"name": f"local-{path.name}", "labels": labels},
        "spec": {"snapshotName": path.name, "nodeName": node, "location": f"file://{path}"},
        "status": {"size": str(path.stat().st_size), "creationTime": _created(path), "readyToUse": True},
    }


def local(layout: Layout, node: str) -> list[Obj]:
    """List the local snapshots."""
    files = sorted(path for path in layout.snapshots.glob("*") if path.is_file() and path.suffix != ".part")
    return [describe(path, node) for path in files]


async def answer(wish: Obj, etcd: Etcd, store: Store, layout: Layout, node: str) -> web.StreamResponse:
    """Serve `/db/snapshot`: save, list or delete."""
    operation = wish.get("operation", "list")
    if operation == "save":
        return await _save(str(wish.get("name") or "on-demand"), etcd, store, layout, node)
    if operation == "delete":
        return json_response(await _delete([str(name) for name in wish.get("names", ())], store, layout))
    return json_response({"items": local(layout, node)})


async def _save(name: str, etcd: Etcd, store: Store, layout: Layout, node: str) -> web.StreamResponse:
    directory(layout.snapshots)
    path = layout.snapshots / f"{name}-{node}-{int(time.time())}"
    logfmt.info(f"Saving etcd snapshot to {path}")
    try:
        await etcd.snapshot(path)
    except EtcdError as problem:
        return json_response({"error": problem.message}, 500)
    made = describe(path, node)
    await _publish(made, store)
    await _upload(path, store, layout, node)
    return json_response({"created": [path.name], "items": [made]})


async def _upload(path: Path, store: Store, layout: Layout, node: str) -> None:
    """Copy a snapshot to S3 where `config.yaml` says so; a failure is logged, the local one stays."""
    bucket = Bucket.of(flags.merge("server", flags.read_document(), {}, ()))
    if bucket is None:
        return
    namespace = await store.find(NAMESPACES, "kube-system")
    password = tokens.parse(layout.token.read_text()).password
    beside = {
        "k3s-cluster-id": str(namespace["metadata"]["uid"]) if namespace else "",
        "k3s-token-hash": tokens.short_hash(password),
        "k3s-node-name": node,
    }
    try:
        await asyncio.to_thread(bucket.put, path, beside)
        logfmt.info(f"S3 upload complete for {path.name}")
    except S3Error as problem:
        logfmt.error(f"Error encountered while uploading snapshot to S3: {problem}")


async def _publish(made: Obj, store: Store) -> None:
    status = made.pop("status")
    try:
        await store.create(SNAPSHOT_FILES, made)
        await store.change(SNAPSHOT_FILES, made["metadata"]["name"], "", lambda old: old | {"status": status}, "status")
    except (ApiError, EtcdError) as problem:
        logfmt.error(f"Failed to record snapshot: {problem}")
    made["status"] = status


async def _delete(names: list[str], store: Store, layout: Layout) -> dict[str, Any]:
    deleted = []
    for name in names:
        path = layout.snapshots / Path(name).name
        if path.is_file():
            path.unlink()
            deleted.append(path.name)
            try:
                await store.delete(SNAPSHOT_FILES, f"local-{path.name}")
            except (ApiError, EtcdError) as problem:
                logfmt.error(f"Failed to forget snapshot: {problem}")
    return {"deleted": deleted}
