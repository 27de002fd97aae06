"""The keys `datastore.etcd.s3_*`: read from the file or the environment, complete or refused, each cluster apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.model.spec import S3Spec

S3 = {"s3_enabled": True, "s3_endpoint": "s3.example.com", "s3_region": "fsn1", "s3_bucket": "backups"}
KEYS = {"s3_access_key": "AKEXAMPLE", "s3_secret_key": "s3cr3t-of-the-file"}
ENVIRONMENT = {
    "ETCD_S3_ENDPOINT": "s3.example.com",
    "ETCD_S3_REGION": "fsn1",
    "ETCD_S3_BUCKET": "backups",
    "ETCD_S3_ACCESS_KEY": "AKEXAMPLE",
    "ETCD_S3_SECRET_KEY": "s3cr3t",
}


def with_etcd(minimal: dict[str, Any], **etcd: Any) -> dict[str, Any]:
    return {**minimal, "datastore": {"etcd": etcd}}


def read(load_text: Callable[..., Any], minimal: dict[str, Any], **etcd: Any) -> S3Spec:
    s3 = load_text(with_etcd(minimal, **{**S3, **KEYS, **etcd})).spec.etcd.s3
    assert isinstance(s3, S3Spec)
    return s3


def test_everything_from_the_file(load_text: Callable[..., Any], minimal: dict[str, Any]) -> None:
    s3 = read(load_text, minimal, s3_folder="prod/etcd", s3_force_path_style=True)
    assert (s3.endpoint, s3.region, s3.bucket, s3.folder) == ("s3.example.com", "fsn1", "backups", "prod/etcd")
    assert (s3.access_key.reveal(), s3.secret_key.reveal()) == ("AKEXAMPLE", "s3cr3t-of-the-file")
    assert s3.path_style
    assert not s3.insecure
    assert not s3.shared_root
    assert "s3cr3t" not in repr(s3)


def test_everything_from_the_environment(load_text: Callable[..., Any], minimal: dict[str, Any]) -> None:
    s3 = load_text(with_etcd(minimal, s3_enabled=True), **ENVIRONMENT).spec.etcd.s3
    assert (s3.endpoint, s3.region, s3.bucket, s3.secret_key.reveal()) == (
        "s3.example.com",
        "fsn1",
        "backups",
        "s3cr3t",
    )


def test_without_a_folder_the_clusters_name_keeps_clusters_apart(
    load_text: Callable[..., Any], minimal: dict[str, Any]
) -> None:
    s3 = read(load_text, minimal)
    assert (s3.folder, s3.shared_root) == ("test", True)


def test_off_unless_asked_for(load_text: Callable[..., Any], minimal: dict[str, Any]) -> None:
    assert load_text(minimal, **ENVIRONMENT).spec.etcd.s3 is None


@pytest.mark.parametrize(
    ("given", "endpoint", "insecure"),
    [
        ("https://fsn1.example.com/", "fsn1.example.com", False),
        ("https://fsn1.example.com:9000/path", "fsn1.example.com:9000", False),
        ("http://fsn1.example.com", "fsn1.example.com", False),
        ("http://10.0.0.9:9000", "10.0.0.9:9000", True),
        ("10.0.0.9:9000", "10.0.0.9:9000", False),
    ],
)
def test_a_url_is_reduced_to_its_host(
    load_text: Callable[..., Any], minimal: dict[str, Any], given: str, endpoint: str, insecure: bool
) -> None:
    s3 = read(load_text, minimal, s3_endpoint=given)
    assert (s3.endpoint, s3.insecure) == (endpoint, insecure)


def test_plain_http_is_warned_of(findings: Callable[..., list[str]], minimal: dict[str, Any]) -> None:
    (line,) = findings(with_etcd(minimal, **{**S3, **KEYS, "s3_endpoint": "http://10.0.0.9:9000"}))
    assert "s3_endpoint" in line
    assert "unencrypted" in line


def test_what_is_missing_is_named_at_once(findings: Callable[..., list[str]], minimal: dict[str, Any]) -> None:
    lines = findings(with_etcd(minimal, s3_enabled=True))
    assert len(lines) == 5
    for name in ("endpoint", "region", "bucket", "access_key", "secret_key"):
        assert any(f"s3_{name}: is required" in line and f"ETCD_S3_{name.upper()}" in line for line in lines), lines


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("s3_folder", "/a"),
        ("s3_folder", "a/"),
        ("s3_folder", "a//b"),
        ("s3_bucket", "ab"),
        ("s3_bucket", "A_bucket"),
        ("s3_endpoint", "no host"),
    ],
)
def test_what_no_service_takes_is_refused(
    load_text: Callable[..., Any], minimal: dict[str, Any], key: str, value: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_text(with_etcd(minimal, **{**S3, **KEYS, key: value}))
    assert key in str(refused.value.diagnostics)


def test_no_message_shows_a_key(findings: Callable[..., list[str]], minimal: dict[str, Any]) -> None:
    lines = findings(with_etcd(minimal, **{**S3, **KEYS, "s3_bucket": "ab"}))
    assert "s3cr3t" not in " ".join(lines)
