"""What cannot be read is unknown, with the reason and the moment, and nothing that was known is asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import pytest
from tests.act.test_host_keys import SPEC

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import CloudView, Firewall, Network, PlacementGroup, Server, ServerStatus
from hetzner_k3s.model.errors import (
    CloudRefused,
    CloudUnavailable,
    Fate,
    HostBusy,
    HostUnreachable,
    KubeError,
    OperationFailed,
    ProductError,
    SshStage,
    StorageError,
    UnusableKey,
)
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import (
    DiskFacts,
    EtcdFacts,
    HostFacts,
    HostKeyKind,
    LogPosition,
    Member,
    Snapshot,
    UnitFacts,
    Unreachable,
)
from hetzner_k3s.model.hosts.origin import Origin, ReadOrigin
from hetzner_k3s.model.kube import Credentials, KubeView, TokenGrant
from hetzner_k3s.model.operations.disaster import ReadLog, ReadStoredUid
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.snapshots import TellSnapshots
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import SnapshotFile, StoredSnapshot
from hetzner_k3s.model.spec import EtcdSpec, S3Spec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe import cloud, hosts, kube, origins, snapshots
from hetzner_k3s.ports import Ports

NOW = 1_800_000_000.0
T = TypeVar("T")
_DOWN = CloudUnavailable("no answer", code="timeout", fate=Fate.DID_NOT_HAPPEN)
_REFUSED = CloudRefused("wrong token", code="unauthorized", fate=Fate.DID_NOT_HAPPEN)
_SILENT = HostUnreachable(
    "c-master1: nobody", server="c-master1", stage=SshStage.TCP, fate=Fate.DID_NOT_HAPPEN, why="nobody"
)
_FAILED = OperationFailed("c-master1: Probe failed: x", server="c-master1", operation="Probe", fate=Fate.DID_NOT_HAPPEN)
MASTER = Server(
    id=7,
    name="c-master1",
    status=ServerStatus.RUNNING,
    labels={**naming.server_labels("c", naming.ROLE_MASTER), naming.LABEL_HOST_KEY: "k"},
    public_ipv4="192.0.2.7",
)
_NETWORK = Network(id=1, name="c", ip_range="10.0.0.0/16")
VIEW = CloudView(servers=(MASTER,), networks=(_NETWORK,), firewalls=(Firewall(id=9, name="c"),))


@dataclass
class World:
    """Answers by the name of the call, or by the kind of the operation; an error is raised."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, call: str) -> Callable[..., Awaitable[Any]]:
        async def answer(*arguments: Any) -> Any:
            name = type(arguments[1]).__name__ if call == "perform" else call
            self.asked.append(name)
            told = self.answers[name]
            told = told.pop(0) if isinstance(told, list) else told
            if isinstance(told, BaseException):
                raise told
            return told

        return answer

    def now(self) -> float:
        return NOW

    def ports(self) -> Ports:
        me = cast(Any, self)
        return Ports(cloud=me, hosts=me, kube=me, local=me, host_keys=me, clock=me, rng=me, objects=me, releases=me)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def state(view: CloudView = VIEW, **more: Any) -> ClusterState:
    return ClusterState(observed_at=NOW, cloud=Known(view), **more)


def facts(**more: Any) -> HostFacts:
    return HostFacts(key=HostKeyKind.FINAL, clock=NOW, **more)


_CLOUD: dict[str, Callable[[Ports], Coroutine[Any, Any, Any]]] = {
    "survey": cloud.survey,
    "servers": lambda ports: cloud.servers_of(ports, Known(VIEW)),
    "servers_and_groups": lambda ports: cloud.survey_again(ports, Known(VIEW)),
    "assortment": lambda ports: cloud.assortment(ports, SPEC),
    "newest": cloud.releases,
}


@pytest.mark.parametrize("call", _CLOUD)
def test_a_reading_of_hetzner_that_fails_is_unknown(call: str) -> None:
    world = World({call: _DOWN})
    assert run(_CLOUD[call](world.ports())) == Unknown("no answer", NOW)
    assert world.asked == [call]


@pytest.mark.parametrize("call", ["survey", "servers", "servers_and_groups"])
def test_a_token_that_is_refused_ends_the_run(call: str) -> None:
    with pytest.raises(CloudRefused):
        run(_CLOUD[call](World({call: _REFUSED}).ports()))


def test_a_listing_that_was_unknown_is_read_whole() -> None:
    other, group = replace(MASTER, id=8), PlacementGroup(id=2, name="g")
    whole = World({"survey": VIEW, "servers": (other,), "servers_and_groups": ((other,), (group,))})
    for again in (cloud.servers_of, cloud.survey_again):
        assert run(again(whole.ports(), Unknown("x", 0.0))) == Known(VIEW)
    assert run(cloud.servers_of(whole.ports(), Known(VIEW))) == Known(replace(VIEW, servers=(other,)))
    again_read = replace(VIEW, servers=(other,), placement_groups=(group,))
    assert run(cloud.survey_again(whole.ports(), Known(VIEW))) == Known(again_read)


def test_a_server_that_was_gone_is_not_asked_for_again() -> None:
    world = World({"server_exists": [True, _DOWN]})
    before: dict[int, Known[bool] | Unknown] = {5: Known(False), 6: Known(True), 9: Unknown("x", 0.0)}
    assert run(cloud.look_up(world.ports(), [5, 6, 9], before)) == {
        5: Known(False),
        6: Known(True),
        9: Unknown("no answer", NOW),
    }
    assert len(world.asked) == 2


def test_when_a_server_was_rebuilt_may_be_unknown() -> None:
    world = World({"last_rebuild": [3.0, _DOWN]})
    assert run(cloud.rebuilds(world.ports(), [6, 5])) == {5: Known(3.0), 6: Unknown("no answer", NOW)}


_OTHERS = Secret("another token")


def _holding(token: Secret) -> KubeView:
    return KubeView(uid="u", credentials=Credentials(token=token, network="c", applied_by=None))


def test_only_anothers_token_is_asked_what_it_opens_and_once() -> None:
    grant = TokenGrant.OTHER_PROJECT
    world = World({"grant_of": [grant, _DOWN]})
    seen = {7: Unknown("x", 0.0), 8: Known(_holding(_OTHERS))}
    assert run(cloud.grants(world.ports(), SPEC, state(kube=seen))) == {_OTHERS: Known(grant)}
    assert run(cloud.grants(world.ports(), SPEC, state(kube=seen))) == {_OTHERS: Unknown("no answer", NOW)}
    kept = state(kube=seen, grants={_OTHERS: Known(grant)})
    assert run(cloud.grants(world.ports(), SPEC, kept)) == {_OTHERS: Known(grant)}
    own = {7: Known(_holding(SPEC.hetzner_token))}
    nowhere = replace(VIEW, firewalls=())
    for nothing in (state(), state(kube=own), state(nowhere, kube=seen)):
        assert run(cloud.grants(world.ports(), SPEC, nothing)) == {}
    assert world.asked == ["grant_of"] * 2


@pytest.mark.parametrize(
    ("failure", "reading"),
    [
        (_SILENT, Unreachable(SshStage.TCP, "nobody", NOW)),
        (UnusableKey("no key"), Unreachable(SshStage.AUTH, "no key", NOW)),
        (_FAILED, Unreachable(SshStage.ANSWER, "it lets this machine in, but Probe failed: x", NOW)),
        (HostBusy("busy", server="c-master1"), Unreachable(SshStage.SESSION, "busy", NOW)),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_host_that_cannot_be_looked_at_says_where_it_failed_and_since_when(
    failure: ProductError, reading: Unreachable
) -> None:
    world = World({"Probe": failure})
    assert run(hosts.probe(world.ports(), SPEC, state(), [MASTER])) == {7: reading}
    before = state(hosts={7: Unreachable(SshStage.TCP, "x", 5.0)})
    assert run(hosts.probe(world.ports(), SPEC, before, [MASTER])) == {7: replace(reading, since=5.0)}


def test_a_host_without_an_address_is_not_asked() -> None:
    world = World()
    bare = replace(MASTER, public_ipv4=None)
    looked = run(hosts.probe(world.ports(), SPEC, state(), [bare]))
    assert looked == {7: Unreachable(SshStage.TCP, "it has no address yet", NOW)}
    assert hosts.reachable(SPEC, replace(VIEW, servers=(MASTER, replace(MASTER, status=ServerStatus.OTHER)))) == (
        MASTER,
    )
    assert not world.asked


@pytest.mark.parametrize(("clock", "ahead"), [(105.0, 0.0), (90.0, -10.0), (125.0, 15.0)])
def test_a_clock_is_off_by_what_no_moment_of_the_look_explains(clock: float, ahead: float) -> None:
    assert hosts._timed(replace(facts(), clock=clock), 100.0, 110.0).ahead == ahead


_HELD = facts(held=True, disk=DiskFacts(wal=True))


def test_how_far_a_held_hosts_log_goes_is_read_once() -> None:
    at = LogPosition(3, 9)
    world = World({"Probe": _HELD, "ReadLog": [None, at], "ReadStoredUid": "u"})
    (read,) = run(hosts.probe(world.ports(), SPEC, state(), [MASTER])).values()
    assert read == Known(replace(_HELD, ahead=0.0, log=at, stored_uid="u"))
    world.asked.clear()
    assert run(hosts.probe(world.ports(), SPEC, state(hosts={7: read}), [MASTER])) == {7: read}
    assert world.asked == ["Probe"]


def test_a_log_that_cannot_be_read_is_none() -> None:
    world = World({"Probe": _HELD, "ReadLog": _FAILED, "ReadStoredUid": _FAILED})
    (read,) = run(hosts.probe(world.ports(), SPEC, state(), [MASTER])).values()
    assert read == Known(replace(_HELD, ahead=0.0))
    assert {ReadLog.__name__, ReadStoredUid.__name__, Probe.__name__} == set(world.asked)


_VOTES = EtcdFacts(
    healthy=True,
    member_id="1",
    leader="1",
    members=(Member(id="1", name="m", peer_urls=("https://10.0.0.2:2380",), learner=False),),
)


def test_kubernetes_is_read_through_the_first_master_that_answers() -> None:
    masters = tuple(replace(MASTER, id=number, name=f"c-master{number}") for number in (1, 2, 3, 4, 5))
    voter = facts(etcd=_VOTES, server_unit=UnitFacts(active="active"))
    looks = {
        1: Known(replace(voter, server_unit=UnitFacts(active="activating"))),
        2: Known(voter),
        3: Known(replace(voter, agentless=True)),
        4: Known(facts()),
        5: Known(voter),
    }
    seen = state(replace(VIEW, servers=masters), hosts=looks)
    view = KubeView(uid="u")
    world = World({"view": [KubeError("down", server="c-master2", fate=Fate.DID_NOT_HAPPEN), view]})
    assert run(kube.read(world.ports(), SPEC, seen)) == {2: Unknown("down", NOW), 5: Known(view)}
    world = World({"view": [_SILENT, _SILENT, view]})
    assert list(run(kube.read(world.ports(), SPEC, seen))) == [2, 5, 1]
    bare = state(replace(VIEW, servers=(replace(MASTER, public_ipv4=None),)), hosts={7: Known(voter)})
    assert run(kube.read(world.ports(), SPEC, bare)) == {7: Unknown("it has no address", NOW)}


_STRANGER = replace(MASTER, labels=naming.server_labels("c", naming.ROLE_MASTER))
_ORIGIN = Origin(flag="server", bare_token=False, configured=True, runs=True)


def test_a_strangers_master_is_asked_how_it_was_installed() -> None:
    seen = state(
        replace(VIEW, servers=(_STRANGER, replace(_STRANGER, id=8, labels=naming.server_labels("c", "worker"))))
    )
    for answer, reading in ((_ORIGIN, Known(_ORIGIN)), (_SILENT, Unknown("c-master1: nobody", NOW))):
        world = World({ReadOrigin.__name__: answer})
        assert run(origins.look(world.ports(), SPEC, seen)) == {7: reading}
    kept = replace(seen, origins={7: Known(_ORIGIN)})
    assert run(origins.look(World().ports(), SPEC, kept)) == {7: Known(_ORIGIN)}
    bare = state(replace(VIEW, servers=(replace(_STRANGER, public_ipv4=None),)))
    assert run(origins.look(World().ports(), SPEC, bare)) == {7: Unknown("it has no address yet", NOW)}
    assert run(origins.look(World().ports(), SPEC, state())) == {}
    recorded = replace(_STRANGER, labels={**_STRANGER.labels, naming.LABEL_PHASE: "born"})
    assert run(origins.look(World().ports(), SPEC, state(replace(VIEW, servers=(recorded,))))) == {}


S3 = S3Spec(
    endpoint="s3.example.com",
    region="r",
    bucket="b",
    access_key=Secret("a"),
    secret_key=Secret("s"),
    folder="c",
    shared_root=True,
)
WITH_S3 = replace(SPEC, etcd=EtcdSpec(s3=S3))


def test_what_lies_in_s3_is_listed_until_it_was() -> None:
    a, b, c = (StoredSnapshot(name=name, folder="c", size=5, modified=1.0) for name in "abc")
    world = World({"snapshots": [[a], [b], StorageError("down"), [c]]})
    assert run(snapshots.look(world.ports(), WITH_S3, state())) == Known((a, b))
    assert run(snapshots.look(world.ports(), WITH_S3, state())) == Unknown("down", NOW)
    alone = replace(WITH_S3, etcd=EtcdSpec(s3=replace(S3, shared_root=False)))
    assert run(snapshots.look(world.ports(), alone, state(snapshots=Unknown("x", 0.0)))) == Known((c,))
    assert run(snapshots.look(world.ports(), WITH_S3, state(snapshots=Known(())))) == Known(())
    voting = state(hosts={7: Known(facts(etcd=_VOTES))})
    assert run(snapshots.look(world.ports(), WITH_S3, voting)) is None
    assert run(snapshots.read(world.ports(), SPEC)) is None
    assert run(snapshots.read(replace(world.ports(), objects=None), WITH_S3)) is None
    assert len(world.asked) == 4


def _snapshot(size: int = 5) -> Snapshot:
    return Snapshot(name="s", size=size, created=1.0)


_TOLD = (SnapshotFile(name="s", size=5, created=1.0, sha256="ab", cluster_uid="u", token_hashes=("1",)),)


def test_hosts_without_data_tell_whose_their_snapshots_are() -> None:
    there = facts(snapshots=(_snapshot(),))
    for looked, asked in (
        (there, True),
        (replace(there, disk=DiskFacts(wal=True)), False),
        (replace(there, disk=DiskFacts(wal=True), restoring=True), True),
        (facts(), False),
        (replace(there, etcd=_VOTES), False),
    ):
        world = World({TellSnapshots.__name__: _TOLD})
        told = run(snapshots.on_hosts(world.ports(), SPEC, state(hosts={7: Known(looked)})))
        assert told == ({7: Known(_TOLD)} if asked else {})


def test_what_was_told_of_the_same_files_stands() -> None:
    for looked, before, answer, reading in (
        (facts(snapshots=(_snapshot(),)), Known(_TOLD), None, Known(_TOLD)),
        (facts(snapshots=(_snapshot(6),)), Known(_TOLD), (), Known(())),
        (facts(snapshots=(_snapshot(),)), Unknown("x", 0.0), _SILENT, Unknown("c-master1: nobody", NOW)),
        (
            replace(facts(snapshots=(_snapshot(),)), key=HostKeyKind.BOOT),
            None,
            None,
            Unknown("it cannot be asked yet", NOW),
        ),
    ):
        world = World({TellSnapshots.__name__: answer})
        seen = state(hosts={7: Known(looked)}, on_hosts={7: before} if before else {})
        assert run(snapshots.on_hosts(world.ports(), SPEC, seen)) == {7: reading}
        assert bool(world.asked) is (answer is not None)
