"""Each key of the schema is changed in the file of a living cluster: `plan` names it with its remedy, or does it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.config.test_keys import KEYS as VALUES
from tests.config.test_keys import put

from hetzner_k3s import addons, decide
from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.loader import load
from hetzner_k3s.decide.desired.keys import KEYS as COMPARISONS
from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.plan import Forecast, Intent, Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

from . import tool
from .story import healthy
from .test_differences import named_as

FILE: Final[dict[str, Any]] = {
    "cluster_name": "prod",
    "kubeconfig_path": "./kubeconfig",
    "k3s_version": "v1.36.3+k3s1",
    "image": "debian-13",
    "networking": {
        "ssh": {"private_key_path": "./key", "public_key_path": "./key.pub"},
        "allowed_networks": {
            "custom_firewall_rules": [{"protocol": "tcp", "direction": "in", "port": 8080, "source_ips": ["0.0.0.0/0"]}]
        },
    },
    "masters_pool": {"instance_type": "cpx22", "instance_count": 3, "locations": ["fsn1"]},
    "worker_node_pools": [{"name": "small", "instance_type": "cpx22", "instance_count": 2, "location": "fsn1"}],
    "datastore": {
        "etcd": {
            "s3_enabled": True,
            "s3_endpoint": "s3.example.com",
            "s3_region": "fsn1",
            "s3_bucket": "backups",
            "s3_access_key": "an access key of S3",
            "s3_secret_key": "a secret key of S3",
        }
    },
    "addons": {"system_upgrade_controller": {"enabled": False}, "cluster_autoscaler": {"enabled": False}},
}

_RULES: Final = "networking.allowed_networks.custom_firewall_rules"
_DATABASE: Final = {"mode": "external", "external_datastore_endpoint": "postgres://k3s:a-password@10.250.0.5:5432/kine"}
_OUT: Final = {"protocol": "tcp", "direction": "out", "port": 8080, "destination_ips": ["192.0.2.0/24"]}
OTHERS: Final[dict[str, tuple[str, Any]]] = {
    "create_load_balancer_for_the_kubernetes_api": ("create_load_balancer_for_the_kubernetes_api", True),
    "datastore.etcd.s3_bucket": ("datastore.etcd.s3_bucket", "other-bucket"),
    "datastore.etcd.s3_endpoint": ("datastore.etcd.s3_endpoint", "https://s4.example.com"),
    "datastore.external_datastore_endpoint": ("datastore", _DATABASE),
    "datastore.mode": ("datastore", _DATABASE),
    "masters_pool.instance_count": ("masters_pool.instance_count", 5),
    "worker_node_pools[].instance_count": ("worker_node_pools[].instance_count", 3),
    "networking.allowed_networks.ssh": ("networking.allowed_networks.ssh", ["0.0.0.0/1", "128.0.0.0/1"]),
    "networking.ssh.public_key_path": (
        "networking.ssh",
        {"private_key_path": "./other", "public_key_path": "./other.pub"},
    ),
    f"{_RULES}[].source_ips": (f"{_RULES}[].source_ips", ["192.0.2.0/24"]),
    f"{_RULES}[].direction": (_RULES, [_OUT]),
    f"{_RULES}[].destination_ips": (_RULES, [_OUT]),
}
"""What is written into this file, and where, if the value of `tests/config/test_keys.py` asks for nothing else here."""

REFUSED: Final = {
    "datastore.external_datastore_endpoint",
    "datastore.mode",
    "include_instance_type_in_instance_name",
    "networking.private_network.enabled",
    "networking.private_network.existing_network_name",
    "networking.ssh.public_key_path",
}
"""Keys with which `create` does nothing at all."""

LATER: Final = {"create_load_balancer_for_the_kubernetes_api": "EnsureLoadBalancer"}
"""Its address has to be known before the certificates can lack it (`test_differences.py`)."""

NO_STEP: Final = {"hetzner_token", "kubeconfig_path"}
"""A token is compared by what it opens (`situations_operators.py`); no simulated machine has two paths."""

UNSAYABLE: Final = {"networking.public_network.ipv4"}
"""What the file cannot say otherwise yet; `test_every_field.py` takes it off a server."""

Seen = tuple[ClusterSpec, ClusterState]


@dataclass(frozen=True)
class Place:
    """Where the files lie."""

    folder: Path

    def spec(self, tree: dict[str, Any]) -> ClusterSpec:
        """Read a file, as a user's: a file is JSON, which is YAML."""
        path = self.folder / "cluster.yaml"
        path.write_text(json.dumps(tree))
        return load(path, {"HOME": str(self.folder), "HCLOUD_TOKEN": TOKEN}).spec

    def key_pair(self, name: str) -> None:
        """Make a key pair."""
        key = Ed25519PrivateKey.generate()
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        (self.folder / name).write_bytes(key.private_bytes(*form))
        (self.folder / name).chmod(0o600)
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (self.folder / f"{name}.pub").write_bytes(public + b" someone\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give a folder with two key pairs."""
    found = Place(tmp_path_factory.mktemp("file"))
    for name in ("key", "other"):
        found.key_pair(name)
    return found


@pytest.fixture(scope="module")
def living(place: Place) -> Seen:
    """Give the file and the observation of a healthy cluster that was made from it."""

    async def tell() -> Seen:
        async with healthy(1, spec=place.spec(FILE)) as story:
            return story.spec, await tool.observed(story.world, story.spec)

    return virtual_time.run(tell())


def changed(key: str) -> dict[str, Any]:
    return put(FILE, *OTHERS.get(key, (key, VALUES[key][0])))


def asked(spec: ClusterSpec, state: ClusterState) -> Forecast:
    return decide.forecast(spec, state, Intent(verb=Verb.CREATE, addons=addons.digests(spec)))


def named(forecast: Forecast) -> set[tuple[str, Remedy]]:
    return {(one.field, one.remedy) for one in forecast.differences}


def refused_by_the_file(place: Place, key: str) -> bool:
    try:
        place.spec(changed(key))
    except ConfigError:
        return True
    return False


def test_no_key_of_the_schema_is_missing_here() -> None:
    assert COMPARISONS.keys() <= VALUES.keys()
    assert OTHERS.keys() <= COMPARISONS.keys()
    assert not NO_STEP & (REFUSED | LATER.keys())


def test_the_file_itself_leads_to_nothing(living: Seen) -> None:
    spec, state = living
    ahead = asked(spec, state)
    assert (ahead.waves, ahead.differences, ahead.refusals, ahead.waits) == ((), (), (), ())


@pytest.mark.parametrize("key", sorted(key for key, how in COMPARISONS.items() if how.remedy is None))
def test_a_key_that_is_not_compared_leads_to_nothing(key: str, place: Place, living: Seen) -> None:
    """Either the file is refused with it, or nothing at all comes of it."""
    if refused_by_the_file(place, key):
        return
    ahead = asked(place.spec(changed(key)), living[1])
    assert (ahead.waves, ahead.differences) == ((), ())
    assert not ahead.refusals or key == "cluster_name"  # another cluster: this machine holds the kubeconfig of this one


@pytest.mark.parametrize("key", sorted(key for key, how in COMPARISONS.items() if how.remedy is not None))
def test_a_key_that_is_compared_is_named_with_its_remedy(key: str, place: Place, living: Seen) -> None:
    spec, state = living
    if key in UNSAYABLE:
        assert refused_by_the_file(place, key)
        return
    other = place.spec(changed(key))
    assert other != spec, "this value changes nothing"
    ahead, remedy = asked(other, state), COMPARISONS[key].remedy
    steps = {planned.key.verb for wave in ahead.waves for planned in wave}
    if key in REFUSED:
        assert ahead.refusals
    elif key in LATER:
        assert steps == {LATER[key]}
    elif key in NO_STEP:
        assert (steps, ahead.differences, ahead.refusals) == (set(), (), ())
    elif remedy is Remedy.APPLY:
        assert not ahead.refusals
        assert steps or (named_as(key), remedy) in named(ahead)
    else:
        assert (named_as(key), remedy) in named(ahead)
        assert {remedy} == {found for _, found in named(ahead)}
        assert not steps


@pytest.mark.parametrize("key", ["masters_pool.instance_count", "worker_node_pools[].instance_count"])
def test_what_the_file_asks_for_no_more_is_named(key: str, place: Place, living: Seen) -> None:
    notes = asked(place.spec(put(FILE, key, 1)), living[1]).notes
    assert any("is beyond the file and is left as it is" in note for note in notes)
