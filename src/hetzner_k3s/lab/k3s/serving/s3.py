"""What the lab's k3s does with S3: snapshots are put there and fetched, with what k3s writes beside them.

Requests name their access key and are not signed: the lab's S3 server (moto) asks for no more.
"""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.setup.flags import Flags

_SECONDS = 30.0
NO_KEY = (
    "Error: starting kubernetes: failed to start cluster: start managed database: failed to download snapshot from S3: "
    "The specified key does not exist."
)


class S3Error(Exception):
    """The service did not do what was asked; the text is for the log."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the configuration says that snapshots go."""

    endpoint: str
    bucket: str
    folder: str
    access_key: str
    insecure: bool

    @classmethod
    def of(cls, flags: Flags) -> Bucket | None:
        """Read the configuration of a server; None where it names no S3."""
        if not flags.on("etcd-s3"):
            return None
        return cls(
            endpoint=flags.text("etcd-s3-endpoint", "s3.amazonaws.com"),
            bucket=flags.text("etcd-s3-bucket"),
            folder=flags.text("etcd-s3-folder"),
            access_key=flags.text("etcd-s3-access-key"),
            insecure=flags.on("etcd-s3-insecure"),
        )

    def put(self, path: Path, beside: Mapping[str, str]) -> None:
        """Upload a snapshot.

        Raises:
            S3Error: it did not arrive.
        """
        headers = {f"x-amz-meta-{name}": value for name, value in beside.items()}
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as file:
            status = self._ask("PUT", path.name, headers, file, None)
        if status != http.client.OK:
            raise S3Error(f"HTTP {status}")

    def fetch(self, name: str, into: Path) -> None:
        """Download a snapshot.

        Raises:
            Fatal: there is none of that name, or the service does not answer.
        """
        try:
            if self._ask("GET", name, {}, None, into) != http.client.OK:
                raise Fatal(NO_KEY)
        except S3Error as problem:
            raise Fatal(NO_KEY.replace("The specified key does not exist.", str(problem))) from problem

    def _ask(self, method: str, name: str, headers: dict[str, str], body: object, into: Path | None) -> int:
        kind = http.client.HTTPConnection if self.insecure else http.client.HTTPSConnection
        key = f"{self.folder}/{name}" if self.folder else name
        credential = f"AWS4-HMAC-SHA256 Credential={self.access_key}/20260101/any/s3/aws4_request"
        headers = {**headers, "Authorization": f"{credential}, SignedHeaders=host, Signature=none"}
        connection = kind(self.endpoint, timeout=_SECONDS)
        try:
            connection.request(method, f"/{self.bucket}/{quote(key)}", body=body, headers=headers)  # type: ignore[arg-type]
            answer = connection.getresponse()
            if into is not None and answer.status == http.client.OK:
                with into.open("wb") as file:
                    shutil.copyfileobj(answer, file)
            return answer.status
        except (OSError, http.client.HTTPException) as problem:
            raise S3Error(f"{type(problem).__name__}: {problem}") from problem
        finally:
            connection.close()
