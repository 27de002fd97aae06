"""The S3 adapter against moto, a real S3 server in this process: what k3s wrote is read, copied and downloaded."""

from __future__ import annotations

import asyncio
import io
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

minio = pytest.importorskip("minio")
moto_server = pytest.importorskip("moto.server")

from hetzner_k3s.adapters.s3 import S3Objects  # noqa: E402
from hetzner_k3s.model.errors import StorageError  # noqa: E402
from hetzner_k3s.model.secrets import Secret  # noqa: E402
from hetzner_k3s.model.snapshots import KEPT  # noqa: E402
from hetzner_k3s.model.spec import S3Spec  # noqa: E402

UID = "6c2170f8-0000-4000-8000-000000000001"
NAME = "etcd-snapshot-prod-master1-1764000000"
BESIDE = {"k3s-cluster-id": UID, "k3s-token-hash": "0123456789ab", "k3s-node-name": "prod-master1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str) -> S3Spec:
    return S3Spec(
        endpoint=endpoint,
        region="us-east-1",
        bucket="backups",
        access_key=Secret("AKEXAMPLE"),
        secret_key=Secret("s3cr3t-of-a-test"),
        folder="prod",
        path_style=True,
        insecure=True,
    )


@pytest.fixture
def client(s3: S3Spec) -> Any:
    made = minio.Minio(s3.endpoint, "AKEXAMPLE", "s3cr3t-of-a-test", secure=False, region=s3.region)
    if not made.bucket_exists(s3.bucket):
        made.make_bucket(s3.bucket)
    for entry in list(made.list_objects(s3.bucket, recursive=True)):
        made.remove_object(s3.bucket, entry.object_name)
    return made


def put(client: Any, key: str, beside: Mapping[str, str] | None = None, content: bytes = b"a snapshot") -> None:
    client.put_object("backups", key, io.BytesIO(content), len(content), metadata=beside)


def test_what_k3s_wrote_beside_a_snapshot_is_read(client: Any, s3: S3Spec) -> None:
    put(client, f"prod/{NAME}", BESIDE)
    put(client, f"prod/.metadata/{NAME}")
    put(client, "other/etcd-snapshot-x-1764000001", BESIDE)
    (found,) = asyncio.run(S3Objects(s3).snapshots("prod"))
    assert (found.name, found.folder, found.size) == (NAME, "prod", len(b"a snapshot"))
    assert (found.cluster_uid, found.token_hash, found.node) == (UID, "0123456789ab", "prod-master1")
    assert found.created == 1764000000.0


def test_the_root_of_the_bucket_is_looked_at_without_its_folders(client: Any, s3: S3Spec) -> None:
    put(client, f"prod/{NAME}", BESIDE)
    put(client, "etcd-snapshot-old-1764000002")
    (found,) = asyncio.run(S3Objects(s3).snapshots(""))
    assert (found.name, found.folder, found.cluster_uid) == ("etcd-snapshot-old-1764000002", "", None)


def test_a_copy_keeps_what_lies_beside_and_may_be_made_twice(client: Any, s3: S3Spec) -> None:
    put(client, NAME, BESIDE)
    objects = S3Objects(s3)
    (found,) = asyncio.run(objects.snapshots(""))
    for _ in range(2):
        asyncio.run(objects.copy(found, "prod", f"{KEPT}{NAME}"))
    (copy,) = asyncio.run(objects.snapshots("prod"))
    assert copy.kept
    assert copy.original == NAME
    assert (copy.cluster_uid, copy.token_hash, copy.created) == (UID, "0123456789ab", 1764000000.0)


def test_a_download_is_for_its_owner_only(client: Any, s3: S3Spec, tmp_path: Path) -> None:
    put(client, f"prod/{NAME}", BESIDE, b"x" * 3_000_000)
    objects = S3Objects(s3)
    (found,) = asyncio.run(objects.snapshots("prod"))
    asyncio.run(objects.fetch(found, str(tmp_path / "snapshot")))
    assert (tmp_path / "snapshot").read_bytes() == b"x" * 3_000_000
    assert stat.S_IMODE((tmp_path / "snapshot").stat().st_mode) == 0o600


def test_an_empty_folder_is_empty_and_a_missing_bucket_is_an_error(client: Any, s3: S3Spec) -> None:
    assert asyncio.run(S3Objects(s3).snapshots("prod")) == ()
    with pytest.raises(StorageError, match="NoSuchBucket"):
        asyncio.run(S3Objects(replace(s3, bucket="not-there")).snapshots("prod"))


def test_silence_is_an_error_that_shows_no_key(s3: S3Spec) -> None:
    with pytest.raises(StorageError, match="did not answer") as raised:
        asyncio.run(S3Objects(replace(s3, endpoint="127.0.0.1:9")).snapshots("prod"))
    assert "s3cr3t" not in str(raised.value)
