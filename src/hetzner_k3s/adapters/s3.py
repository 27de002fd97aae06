"""The S3 bucket that snapshots are copied to, by the library `minio`; it is loaded by the first call.

A bucket may hold anything, so only what lies directly in a folder is looked at (k3s keeps `.metadata/` beside it).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, TypeVar

from hetzner_k3s.adapters.threads import in_thread
from hetzner_k3s.model.errors import Fate, StorageError
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import S3Spec
from hetzner_k3s.model.text.printable import excerpt, printable

T = TypeVar("T")

_THREADS: Final = 10
_METADATA: Final = "x-amz-meta-k3s-"
_WORDS: Final = 500
_OBJECTS_MOST: Final = 10_000
_OBJECT_BYTES: Final = 16 << 30
_UNREADABLE: Final = (SyntaxError, AttributeError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What the library raises over an answer that is none; XML that cannot be parsed is a `SyntaxError`."""


class S3Objects:
    """`ports.Objects`.

    Args:
        s3: where the bucket is, and the keys to it.
    """

    def __init__(self, s3: S3Spec) -> None:
        self._s3 = s3
        self._client: Any = None
        self._threads = asyncio.Semaphore(_THREADS)

    async def snapshots(self, folder: str) -> tuple[StoredSnapshot, ...]:
        """List the objects that lie directly in a folder, with what k3s wrote beside them."""
        prefix = f"{folder}/" if folder else ""
        names = await self._call(lambda client: self._names(client, prefix))
        found = await asyncio.gather(*(self._look(folder, name) for name in names))
        return tuple(snapshot for snapshot in found if snapshot is not None)

    def _names(self, client: Any, prefix: str) -> list[str]:
        """List the plain names in a folder; what else a bucket holds, k3s did not write."""
        listed = list(islice(client.list_objects(self._s3.bucket, prefix), _OBJECTS_MOST + 1))
        if len(listed) > _OBJECTS_MOST:
            raise ValueError(f"it holds more than {_OBJECTS_MOST} objects")
        names = [entry.object_name.removeprefix(prefix) for entry in listed if not entry.is_dir]
        return [name for name in names if name and "/" not in name and name.isprintable()]

    async def _look(self, folder: str, name: str) -> StoredSnapshot | None:
        """Ask for one object; None where a retention took it away since it was listed."""

        def stat(client: Any) -> StoredSnapshot | None:
            from minio.error import S3Error

            try:
                return _snapshot(folder, name, client.stat_object(self._s3.bucket, _key(folder, name)))
            except S3Error as error:
                if error.code in {"NoSuchKey", "NoSuchObject"}:
                    return None
                raise

        return await self._call(stat)

    async def copy(self, snapshot: StoredSnapshot, folder: str, name: str) -> None:
        """Copy a snapshot within the bucket, with what k3s wrote beside it."""

        def copy(client: Any) -> None:
            from minio.commonconfig import CopySource

            source = CopySource(self._s3.bucket, _key(snapshot.folder, snapshot.name))
            client.copy_object(self._s3.bucket, _key(folder, name), source)

        await self._call(copy, fate=Fate.MAY_HAVE_HAPPENED)

    async def fetch(self, snapshot: StoredSnapshot, path: str) -> None:
        """Download a snapshot into a new file (0600)."""
        await self._call(lambda client: self._download(client, snapshot, path))

    def _download(self, client: Any, snapshot: StoredSnapshot, path: str) -> None:
        answer = client.get_object(self._s3.bucket, _key(snapshot.folder, snapshot.name))
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for part in answer.stream(1 << 20):
                    file.write(part)
                    if file.tell() > min(snapshot.size, _OBJECT_BYTES):
                        raise ValueError(f"{snapshot.name} is longer than it said")
        finally:
            answer.close()
            answer.release_conn()

    async def _call(self, work: Callable[[Any], T], fate: Fate = Fate.DID_NOT_HAPPEN) -> T:
        def run() -> T:
            with _translated(self._s3, fate):
                self._client = self._client or _open(self._s3)
                self._client._http.begin()
                return work(self._client)

        async with self._threads:
            return await in_thread(run)


def _open(s3: S3Spec) -> Any:
    from minio import Minio

    from hetzner_k3s.adapters.s3_pool import Pool

    pool: Any = Pool(f"{'http' if s3.insecure else 'https'}://{s3.endpoint}", _THREADS)
    client: Any = Minio(
        s3.endpoint,
        access_key=s3.access_key.reveal(),
        secret_key=s3.secret_key.reveal(),
        region=s3.region,
        secure=not s3.insecure,
        http_client=pool,
    )
    if s3.path_style:
        client.disable_virtual_style_endpoint()
    return client


@contextmanager
def _translated(s3: S3Spec, fate: Fate) -> Iterator[None]:
    """Turn what the library raises into our error; its texts hold no key, but may hold a signed address."""
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError

    where = f"the S3 service {s3.endpoint}, bucket {s3.bucket}"
    try:
        yield
    except S3Error as error:
        refused = f"{where}, refused: {excerpt(str(error.code), 100)} ({excerpt(str(error.message), _WORDS)})"
        raise StorageError(refused, fate=Fate.DID_NOT_HAPPEN, hint="Check datastore.etcd.s3_* in the file.") from None
    except (HTTPError, MinioException, OSError) as error:
        raise StorageError(f"{where}, did not answer ({type(error).__name__})", fate=fate) from None
    except ValueError as error:
        raise StorageError(f"{where}, cannot be asked: {excerpt(str(error), _WORDS)}", fate=fate) from None
    except _UNREADABLE as error:
        told = f"{where}, answered with what cannot be read ({type(error).__name__})"
        raise StorageError(told, fate=fate) from None


def _key(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _snapshot(folder: str, name: str, stat: Any) -> StoredSnapshot:
    beside = {str(key).lower(): printable(str(value)) for key, value in (stat.metadata or {}).items()}
    size = int(stat.size or 0)
    if not 0 <= size < 1 << 63:
        raise ValueError(f"the size of {name} is none")
    return StoredSnapshot(
        name=name,
        folder=folder,
        size=size,
        modified=stat.last_modified.timestamp() if stat.last_modified else 0.0,
        cluster_uid=beside.get(f"{_METADATA}cluster-id"),
        token_hash=beside.get(f"{_METADATA}token-hash"),
        node=beside.get(f"{_METADATA}node-name"),
    )
