"""What servers use is listed with the rest, and Kubernetes is asked only where that leaves a doubt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.act.test_host_keys import SPEC
from tests.observe.test_unknown import MASTER, NOW, VIEW, World, run, state

from hetzner_k3s.model.cloud import CloudView, ServerStatus
from hetzner_k3s.model.errors import CloudUnavailable, Fate, HostUnreachable, KubeError, SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.hetzner.belongings import Belongings, Volume
from hetzner_k3s.model.kube import NamedVolumes
from hetzner_k3s.observe import cloud, volumes

_DOWN = CloudUnavailable("no answer", code="timeout", fate=Fate.DID_NOT_HAPPEN)
DETACHED = Volume(id=71, name="pvc-1", size=10, labels={"managed-by": "csi-driver"})
FOUND = Belongings(volumes=(DETACHED,))


def seen(*found: Volume, view: CloudView = VIEW) -> Any:
    return state(replace(view, belongings=Belongings(volumes=found)))


def test_what_servers_use_is_a_part_of_the_listing() -> None:
    world = World({"survey": VIEW, "belongings": FOUND})
    assert run(cloud.survey_whole(world.ports())) == Known(replace(VIEW, belongings=FOUND))


@pytest.mark.parametrize("call", ["survey", "belongings"])
def test_a_listing_of_which_a_part_failed_is_unknown(call: str) -> None:
    world = World({"survey": VIEW, "belongings": FOUND, call: _DOWN})
    assert run(cloud.survey_whole(world.ports())) == Unknown("no answer", NOW)


@pytest.mark.parametrize(
    "unasked",
    [
        pytest.param(state(), id="nothing was listed"),
        pytest.param(seen(), id="there is no volume"),
        pytest.param(seen(replace(DETACHED, server=7)), id="a server has it"),
        pytest.param(seen(replace(DETACHED, labels={})), id="no CSI driver made it"),
    ],
)
def test_kubernetes_is_not_asked_where_its_answer_changes_nothing(unasked: Any) -> None:
    world = World()
    assert run(volumes.named(world.ports(), SPEC, unasked)) == {}
    assert world.asked == []


def test_every_master_that_runs_is_asked_which_volumes_are_its_clusters() -> None:
    second, off = replace(MASTER, id=8, name="c-master2"), replace(MASTER, id=9, status=ServerStatus.OFF)
    bare, worker = replace(MASTER, id=10, public_ipv4=None), replace(MASTER, id=11, labels={"cluster": "c"})
    told = NamedVolumes("uid", frozenset({71}))
    silent = KubeError("down", server="c-master2", fate=Fate.DID_NOT_HAPPEN)
    view = replace(VIEW, servers=(MASTER, second, off, bare, worker))
    world = World({"named_volumes": [told, silent]})
    assert run(volumes.named(world.ports(), SPEC, seen(DETACHED, view=view))) == {
        7: Known(told),
        8: Unknown("down", NOW),
        10: Unknown("it has no address", NOW),
    }


def test_a_host_that_cannot_be_reached_leaves_it_unknown() -> None:
    nobody = HostUnreachable("nobody", server="c-master1", stage=SshStage.TCP, fate=Fate.DID_NOT_HAPPEN, why="nobody")
    world = World({"named_volumes": nobody})
    assert run(volumes.named(world.ports(), SPEC, seen(DETACHED))) == {7: Unknown("nobody", NOW)}
