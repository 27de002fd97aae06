"""`datastore.etcd.s3_*`: where snapshots are copied to, from the file or, as in 2.6, from the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from hetzner_k3s.config.checks.findings import Finding
from hetzner_k3s.config.schema.file import Configuration, Etcd
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import S3Spec
from hetzner_k3s.model.text.settings import KeyPath

_SECTION: Final[KeyPath] = ("datastore", "etcd")
_NEEDED: Final = ("endpoint", "region", "bucket", "access_key", "secret_key")
_ENDPOINT: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def look(configuration: Configuration, environ: Mapping[str, str]) -> tuple[S3Spec | None, list[Finding]]:
    """Read the settings; None where snapshots stay on the masters, or where one of them is a finding."""
    etcd = configuration.datastore.etcd
    if not etcd.s3_enabled or configuration.datastore.mode != "etcd":
        return None, []
    given = {name: _value(etcd, name, environ) for name in _NEEDED}
    findings = [*_missing(given), *_wrong(given, etcd)]
    return (None if any(f.severity == "error" for f in findings) else _spec(configuration.cluster_name, etcd, given)), (
        findings
    )


def problems(configuration: Configuration) -> list[Finding]:
    """Check what the file itself says of the settings, whatever the environment holds."""
    etcd = configuration.datastore.etcd
    if not etcd.s3_enabled or configuration.datastore.mode != "etcd":
        return []
    return list(_wrong({name: _value(etcd, name, {}) for name in _NEEDED}, etcd))


def _value(etcd: Etcd, name: str, environ: Mapping[str, str]) -> str:
    value: str | Secret | None = getattr(etcd, f"s3_{name}")
    text = value.reveal() if isinstance(value, Secret) else value
    return (text or environ.get(f"ETCD_S3_{name.upper()}", "")).strip()


def _missing(given: Mapping[str, str]) -> Iterator[Finding]:
    for name, value in given.items():
        if not value:
            what = f"is required with s3_enabled: give it here or in the environment variable ETCD_S3_{name.upper()}"
            yield Finding((*_SECTION, f"s3_{name}"), what)


def _wrong(given: Mapping[str, str], etcd: Etcd) -> Iterator[Finding]:
    if given["endpoint"] and not _ENDPOINT.fullmatch(_host(given["endpoint"])):
        yield Finding((*_SECTION, "s3_endpoint"), "is no host name of an S3 service (such as fsn1.example.com)")
    if given["bucket"] and not _is_bucket(given["bucket"]):
        yield Finding(
            (*_SECTION, "s3_bucket"),
            "is no name of a bucket: 3 to 63 small letters, digits, dots, hyphens; no two dots in a row, no IP address",
        )
    folder = etcd.s3_folder
    if folder != folder.strip("/") or "//" in folder:
        yield Finding((*_SECTION, "s3_folder"), "must not begin or end with a slash, nor hold two in a row")
    if _insecure(given["endpoint"]):
        yield Finding(
            (*_SECTION, "s3_endpoint"),
            "names http:// and a port, so snapshots travel unencrypted: only for a service in a network of your own",
            "warning",
        )


def _is_bucket(name: str) -> bool:
    """Check a name as k3s' S3 client does (minio-go, `CheckValidBucketNameStrict`)."""
    odd = ".." in name or ".-" in name or "-." in name or re.fullmatch(r"(\d+\.){3}\d+", name)
    return bool(_BUCKET.fullmatch(name)) and not odd


def _host(endpoint: str) -> str:
    """Reduce a URL to its host, as 2.6 does; a port stays."""
    return urlsplit(endpoint).netloc if "://" in endpoint else endpoint


def _insecure(endpoint: str) -> bool:
    """Check whether an endpoint asks for plain HTTP.

    2.6 always used HTTPS, so a bare `http://host` goes on doing so.
    """
    return endpoint.startswith("http://") and bool(re.search(r":[0-9]+$", _host(endpoint)))


def _spec(cluster: str, etcd: Etcd, given: Mapping[str, str]) -> S3Spec:
    """Make the spec; without a folder the cluster's name is one.

    k3s prunes by prefix alone, over everything in a folder (docs/facts/k3s.md#snapshot-retention): in the root of a
    bucket, where 2.6 writes, two clusters prune each other's snapshots, and a cluster that is born again those of its
    predecessor.
    """
    return S3Spec(
        endpoint=_host(given["endpoint"]),
        region=given["region"],
        bucket=given["bucket"],
        access_key=Secret(given["access_key"]),
        secret_key=Secret(given["secret_key"]),
        folder=etcd.s3_folder or cluster,
        shared_root=not etcd.s3_folder,
        path_style=etcd.s3_force_path_style,
        insecure=_insecure(given["endpoint"]),
    )
