"""What is ordered and adopted, what is said of an order that Hetzner does not take, and what the journal keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from inline_snapshot import snapshot
from tests.fields import plain

from hetzner_k3s.act import journal
from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.act.handlers.servers import _ask_or_adopt, _order
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import CloudView, Network, PlacementGroup, Server, ServerOrder, ServerStatus, SshKey
from hetzner_k3s.model.errors import (
    CloudConflict,
    CloudError,
    CloudRefused,
    CloudUnavailable,
    DeadlineExceeded,
    Fate,
    NameTaken,
)
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.lookup import fingerprint
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CreateServer

from .test_host_keys import SPEC
from .virtual_time import LoopClock, run
from .world import World

STEP = CreateServer(
    target="c-master1", server_type="cpx22", image="debian-12", location="fsn1", placement_group="c-masters-pg1"
)
VIEW = CloudView(
    networks=(Network(id=1, name="c", ip_range="10.0.0.0/16"),),
    placement_groups=(PlacementGroup(id=2, name="c-masters-pg1"),),
    ssh_keys=(SshKey(id=3, name="c", fingerprint=fingerprint(SPEC.ssh.public_key) or ""),),
)


class Ordering(World):
    """Answers an order with a failure, and a look for the name with what has it."""

    failure: CloudError | None = None
    found: Server | None = None

    async def create_server(self, _order: ServerOrder, *_told: object) -> Server:
        assert self.failure is not None
        raise self.failure

    async def find_server(self, _name: str) -> Server | None:
        return self.found


async def _context(world: World, view: CloudView = VIEW, spec: ClusterSpec = SPEC) -> Context:
    context = await world.context(spec, LoopClock(), HostKeyRing())
    return dataclasses.replace(context, state=ClusterState(observed_at=0.0, cloud=Known(view)))


def ordered(view: CloudView = VIEW, step: CreateServer = STEP, spec: ClusterSpec = SPEC) -> ServerOrder:
    world = World()

    async def story() -> ServerOrder:
        return _order(step, await _context(world, view, spec), world.generate(), world.generate())

    return run(story())


def test_an_order_carries_all_that_was_shown() -> None:
    told = dataclasses.replace(ordered(), user_data="")
    assert plain(told) == snapshot(
        {
            "name": "c-master1",
            "server_type": "cpx22",
            "image": "debian-12",
            "location": "fsn1",
            "labels": {
                "cluster": "c",
                "role": "master",
                "hetzner-k3s/boot-key": "key1",
                "hetzner-k3s/host-key": "key2",
                "hetzner-k3s/first-boot": "e3b0c442-e3b0c442-e3b0c442-1",
            },
            "ssh_key": 3,
            "network": 1,
            "placement_group": 2,
            "user_data": "",
            "ipv4": True,
            "ipv6": True,
            "watched": True,
        }
    )


@pytest.mark.parametrize(
    ("public", "by_private", "watched"),
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_who_is_reached_by_its_public_address_is_watched(public: bool, by_private: bool, watched: bool) -> None:
    """Whoever is not is looked for in Hetzner's listing sooner: nobody else tells that it came."""
    network = dataclasses.replace(SPEC.network, public_ipv4=public)
    ssh = dataclasses.replace(SPEC.ssh, use_private_ip=by_private)
    assert ordered(spec=dataclasses.replace(SPEC, network=network, ssh=ssh)).watched is watched


def test_a_group_is_named_where_the_step_names_one_that_is_there() -> None:
    assert ordered(step=dataclasses.replace(STEP, placement_group=None)).placement_group is None
    assert ordered(dataclasses.replace(VIEW, placement_groups=())).placement_group is None


@pytest.mark.parametrize("view", [dataclasses.replace(VIEW, networks=()), dataclasses.replace(VIEW, ssh_keys=())])
def test_nothing_is_ordered_without_its_network_and_key(view: CloudView) -> None:
    with pytest.raises(LookupError, match="c-master1 was planned before its network and its SSH key"):
        ordered(view)


def answered(failure: CloudError, found: Server | None = None) -> Server:
    world = Ordering()
    world.failure, world.found = failure, found

    async def story() -> Server:
        return await _ask_or_adopt(ordered_now, await _context(world), lambda _server: None)

    ordered_now = ordered()
    return run(story())


def _unavailable(code: str) -> CloudUnavailable:
    return CloudUnavailable("no", code=code, correlation_id="c1", fate=Fate.DID_NOT_HAPPEN)


def _refused(code: str) -> CloudRefused:
    return CloudRefused("no", code=code, correlation_id="c1", fate=Fate.DID_NOT_HAPPEN)


@pytest.mark.parametrize(
    "failure",
    [
        _unavailable("resource_unavailable"),
        _unavailable("placement_error"),
        _refused("invalid_input"),
        _refused("not_found"),
    ],
    ids=lambda failure: failure.code,
)
def test_an_order_that_hetzner_does_not_take_names_server_type_and_place(failure: CloudError) -> None:
    with pytest.raises(type(failure)) as refused:
        answered(failure)
    error = refused.value
    words = {
        "resource_unavailable": "Hetzner has no cpx22 for c-master1 in fsn1 now (resource_unavailable)",
        "placement_error": "Hetzner has no cpx22 for c-master1 in fsn1 now on a machine of its own (placement_error)",
    }
    order = "Hetzner does not take the order of c-master1 (cpx22, debian-12, fsn1): no"
    assert str(error) == words.get(failure.code, order)
    assert (error.code, error.correlation_id, error.fate) == (failure.code, "c1", Fate.DID_NOT_HAPPEN)
    assert "run the command again" in error.hint.lower()


@pytest.mark.parametrize("failure", [_unavailable("timeout"), _refused("forbidden")], ids=lambda failure: failure.code)
def test_any_other_failure_of_an_order_is_told_as_it_is(failure: CloudError) -> None:
    with pytest.raises(type(failure)) as refused:
        answered(failure)
    assert refused.value is failure


def test_a_server_of_that_name_is_adopted_if_it_is_the_clusters_and_refused_if_not() -> None:
    taken = CloudConflict("taken", code="uniqueness_error", fate=Fate.DID_NOT_HAPPEN)
    own = Server(
        id=9,
        name="c-master1",
        status=ServerStatus.RUNNING,
        labels=naming.server_labels("c", naming.ROLE_MASTER),
        private_ips={1: "10.0.0.2"},
    )
    assert answered(taken, own) == own
    with pytest.raises(DeadlineExceeded, match="does not run with an address in the private network"):
        answered(taken, dataclasses.replace(own, private_ips={}))
    with pytest.raises(NameTaken):
        answered(taken, dataclasses.replace(own, labels={"cluster": "other"}))
    with pytest.raises(CloudConflict):
        answered(taken)


def test_the_journal_keeps_what_a_run_did_in_its_words() -> None:
    lines: list[tuple[str, dict[str, str]]] = []

    class Journal(World):
        def record(self, event: str, detail: Mapping[str, str]) -> None:
            lines.append((event, dict(detail)))

    local: Any = Journal()
    planned = PlannedStep(step=STEP, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because="it is gone")
    journal.run_began(local, "c")
    journal.birth_opened(local, "c")
    journal.started(local, planned)
    journal.finished(local, planned, 12.345)
    journal.failed(local, planned, ValueError("oops"))
    journal.birth_closed(local, "c", None)
    journal.birth_closed(local, "c", "ab")
    assert lines == snapshot(
        [
            ("run began", {"cluster": "c"}),
            ("birth opened", {"cluster": "c"}),
            ("started", {"step": "CreateServer", "target": "c-master1", "reason": "lost", "because": "it is gone"}),
            ("finished", {"step": "CreateServer", "target": "c-master1", "seconds": "12.3"}),
            ("failed", {"step": "CreateServer", "target": "c-master1", "error": "ValueError", "message": "oops"}),
            ("birth closed", {"cluster": "c"}),
            ("birth closed", {"cluster": "c", "ca": "ab"}),
        ]
    )
