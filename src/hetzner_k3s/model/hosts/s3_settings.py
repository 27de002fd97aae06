"""What k3s is told of the S3 bucket that it copies snapshots to, and what these settings are compared by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from hetzner_k3s.model.spec import S3Spec

Setting = str | bool


def settings(s3: S3Spec) -> dict[str, Setting]:
    """Return the lines of `config.yaml`; the keys stand in this file (0600) only, never in a unit or argv."""
    lines: dict[str, Setting] = {
        "etcd-s3": True,
        "etcd-s3-endpoint": s3.endpoint,
        "etcd-s3-region": s3.region,
        "etcd-s3-bucket": s3.bucket,
        "etcd-s3-access-key": s3.access_key.reveal(),
        "etcd-s3-secret-key": s3.secret_key.reveal(),
        "etcd-s3-folder": s3.folder,
    }
    if s3.path_style:
        lines["etcd-s3-bucket-lookup-type"] = "path"
    if s3.insecure:
        lines["etcd-s3-insecure"] = True
    return lines


def settings_hash(lines: Mapping[str, Setting]) -> str | None:
    """Return the 12 digits by which settings are compared, so that no key leaves a host for it; None without any.

    A host makes the same of its file (`hosts/scripts/facts.sh`): `name=value` a line, in alphabetical order.
    """
    if not lines:
        return None
    texts = sorted(f"{name}={_text(value)}\n" for name, value in lines.items())
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:12]


def _text(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else value
