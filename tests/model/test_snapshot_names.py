"""What a snapshot file is called on a host."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_k3s.model.snapshots import name_on_host

SUM = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("etcd-snapshot-prod-master1-1750000120", "etcd-snapshot-prod-master1-1750000120"),
        ("backup-a-1.zip", "backup-a-1.zip"),
        ("my snapshot.db", "my-snapshot.db-01234567"),
        ("my snapshöt 'x'.zip", "my-snapsh-t-x-01234567.zip"),
        ("-rf", "rf-01234567"),
        ("ü", "-01234567"),
    ],
)
def test_it_is_its_own_name_or_a_plain_one_with_its_checksum(name: str, there: str) -> None:
    assert name_on_host(name, SUM) == there


@given(st.text(min_size=1, max_size=60).filter(lambda name: "/" not in name))
def test_any_name_becomes_one_that_every_program_reads(name: str) -> None:
    there = name_on_host(name, SUM)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", there)
    assert there.endswith(".zip") == name.endswith(".zip") or there == name
    assert name_on_host(there, SUM) == there or there.startswith("-")
