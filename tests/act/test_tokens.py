"""A token is handed out only after its master proved whose it is.

See docs/architecture.md#law-4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hetzner_k3s.act.context import HostKeyRing
from hetzner_k3s.act.handlers.control_plane import mark_member
from hetzner_k3s.act.handlers.tokens import cluster_token
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import ExitCode, Fate, OperationFailed, WrongCluster
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts, HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.identity import BirthRecord, Phase, token_hash
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.operations.looks import ReadSecret, SecretKind
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.steps import MarkMember

from .test_host_keys import SPEC
from .virtual_time import LoopClock, run
from .world import World

CA, UID = "3f" * 32, "6c2170f8-0000-4000-8000-000000000000"
TOKEN = f"K10{CA}::server:the-password"
RECORD = {naming.LABEL_PHASE: "born", naming.LABEL_CA: CA[:40], naming.LABEL_UID: UID}


class Masters(World):
    """One master that tells a token and what its datastore knows."""

    token = TOKEN
    ca: str | None = None
    etcd = EtcdFacts(bootstrap_keys=(token_hash(TOKEN),), uid=UID)

    async def perform(self, _target: HostTarget, operation: Any) -> Any:
        if isinstance(operation, ReadSecret):
            return Secret(self.token)
        return HostFacts(key=HostKeyKind.FINAL, disk=DiskFacts(server_ca=self.ca), etcd=self.etcd)


def masters(record: dict[str, str] = RECORD) -> Masters:
    world = Masters()
    labels = {**naming.server_labels("c", naming.ROLE_MASTER), **record}
    world.servers[7] = Server(
        id=7, name="c-master1", status=ServerStatus.RUNNING, labels=labels, public_ipv4="192.0.2.7"
    )
    return world


def read(world: World) -> Secret:
    async def story() -> Secret:
        return await cluster_token(await world.context(SPEC, LoopClock(), HostKeyRing()), via=7)

    return run(story())


def test_the_token_of_the_recorded_cluster_is_read() -> None:
    assert read(masters()).reveal() == TOKEN


def test_a_cluster_without_a_record_of_its_identity_yet_is_taken_at_its_word() -> None:
    assert read(masters({})).reveal() == TOKEN


@pytest.mark.parametrize(
    ("token", "etcd", "why"),
    [
        ("the-password", Masters.etcd, "CA"),
        (f"K10{'00' * 32}::server:the-password", Masters.etcd, "CA"),
        (TOKEN, EtcdFacts(bootstrap_keys=Masters.etcd.bootstrap_keys, uid="another"), "UID is another"),
        (TOKEN, EtcdFacts(bootstrap_keys=("0123456789ab",), uid=UID), "rotated"),
        (TOKEN, EtcdFacts(uid=UID), "rotated"),
    ],
)
def test_whatever_does_not_fit_is_refused_without_telling_the_token(token: str, etcd: EtcdFacts, why: str) -> None:
    world = masters()
    world.token, world.etcd = token, etcd
    with pytest.raises(WrongCluster, match=why) as refused:
        read(world)
    assert "the-password" not in str(refused.value) + refused.value.hint


def test_a_uid_that_cannot_be_read_is_not_another_one() -> None:
    """It is worth another try, and no reason to say that another cluster answered: its etcd may have just ended."""
    world = masters()
    world.etcd = EtcdFacts(bootstrap_keys=Masters.etcd.bootstrap_keys, uid=None)
    with pytest.raises(OperationFailed, match="UID of kube-system could not be read") as failed:
        read(world)
    assert failed.value.exit_code is ExitCode.FAILED
    assert failed.value.fate is Fate.DID_NOT_HAPPEN


def test_a_bare_token_of_a_config_yaml_is_completed_with_the_ca_that_its_master_serves() -> None:
    world = masters()
    world.token, world.ca = "the-password", CA

    async def story() -> Secret:
        context = await world.context(SPEC, LoopClock(), HostKeyRing())
        return await cluster_token(context, via=7, kind=SecretKind.CONFIG_TOKEN)

    assert run(story()).reveal() == TOKEN
    world.ca = "00" * 32
    with pytest.raises(WrongCluster, match="CA"):
        run(story())


def test_a_record_that_tells_of_two_clusters_ends_the_step_and_names_both() -> None:
    world = masters()
    world.servers[8] = replace(world.servers[7], id=8, labels={**world.servers[7].labels, naming.LABEL_UID: "another"})
    with pytest.raises(WrongCluster, match=f"the birth record has two values of uid: .*{UID}") as refused:
        read(world)
    assert "another" in str(refused.value)
    assert refused.value.hint == "Run the command again to see who carries which."


class Histories(Masters):
    """The same, and the API of a cluster that knows its lineage."""

    def __init__(self, lineage: str | None) -> None:
        super().__init__()
        self.servers = masters().servers
        self.lineage = lineage
        self.applied: list[str] = []

    async def view(self, _target: HostTarget) -> KubeView:
        return KubeView(uid=UID, lineage=self.lineage)

    async def apply(self, _target: HostTarget, objects: Any) -> None:
        self.applied += [one["data"]["lineage"] for one in objects]

    async def wait_node_ready(self, *_: object) -> None: ...

    async def annotate_node(self, *_: object) -> None: ...


@pytest.mark.parametrize(("found", "applied"), [(None, ["9a"]), ("9a", []), ("81", [])])
def test_a_member_is_marked_in_the_history_that_the_record_tells_of(found: str | None, applied: list[str]) -> None:
    world = Histories(found)
    mark(world)
    assert world.applied == applied


def test_a_member_of_another_history_is_not_marked_as_one() -> None:
    world = Histories("77")
    with pytest.raises(WrongCluster, match="serves lineage 77, the birth record says 9a") as refused:
        mark(world)
    assert refused.value.hint == "Two histories of one cluster; nothing more was written."
    assert world.applied == []


def mark(world: World) -> None:
    async def story() -> None:
        record = BirthRecord(phase=Phase.BORN, seed=7, ca=CA[:40], uid=UID, lineage="9a", parent="81")
        await mark_member(
            MarkMember(target="c-master1", server_id=7, via=7, record=record, rewrite_server_url=None),
            await world.context(SPEC, LoopClock(), HostKeyRing()),
        )

    run(story())
