"""S3 settings that the file has and a running master has not: told, and nothing is restarted for them."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.lost import S3_SPEC
from tests.decide.world import MASTER1, MASTER2, MASTER3, SPEC, edit_facts, forecast, healthy, plan

from hetzner_k3s.model.hosts.s3_settings import settings, settings_hash
from hetzner_k3s.model.spec import ClusterSpec, S3Spec
from hetzner_k3s.model.state import ClusterState

assert S3_SPEC.etcd.s3 is not None
S3: S3Spec = S3_SPEC.etcd.s3


def having(state: ClusterState, s3: S3Spec | None, *names: str) -> ClusterState:
    """Let masters have these settings in their config.yaml."""
    digits = settings_hash(settings(s3)) if s3 else None
    for name in names:
        state = edit_facts(state, name, lambda f: replace(f, disk=replace(f.disk, config_present=True, s3_hash=digits)))
    return state


def drifted(state: ClusterState, spec: ClusterSpec) -> list[str]:
    return [one.subject for one in forecast(state, spec).differences if one.field == "datastore.etcd.s3_*"]


def test_changed_keys_are_told_of_each_master_that_has_the_old_ones() -> None:
    new = replace(S3, secret_key=type(S3.secret_key)("a newer secret key of S3"))
    state = having(having(healthy(S3_SPEC), S3, MASTER1, MASTER2), new, MASTER3)
    spec = replace(S3_SPEC, etcd=replace(S3_SPEC.etcd, s3=new))
    planned = plan(state, spec)
    assert planned.settled
    (sentence,) = planned.left_alone
    assert sentence.startswith(f"datastore.etcd.s3_*: {MASTER1}, {MASTER2} have")
    assert "newer secret key" not in sentence
    assert drifted(state, spec) == [MASTER1, MASTER2]


def test_nothing_is_told_where_they_are_equal_or_nobody_has_any() -> None:
    names = S3_SPEC.master_names
    assert not drifted(having(healthy(S3_SPEC), S3, *names), S3_SPEC)
    assert not drifted(having(healthy(), None, *names), SPEC)


def test_settings_that_came_or_went_are_told() -> None:
    assert drifted(having(healthy(), S3, MASTER2), SPEC) == [MASTER2]
    with_it = having(healthy(S3_SPEC), S3, *S3_SPEC.master_names)
    assert drifted(having(with_it, None, MASTER2), S3_SPEC) == [MASTER2]
    assert settings_hash({}) is None
    assert settings(replace(S3, path_style=True, insecure=True)).keys() >= {"etcd-s3-insecure"}
