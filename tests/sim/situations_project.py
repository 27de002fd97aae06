"""What lies in the Hetzner project beside the cluster, or is not there: names, labels, the network, the key."""

from __future__ import annotations

import json
from dataclasses import replace

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec, NetworkSpec

from . import mischief
from .clusters import CLUSTER, MASTER3, WORKER1, a_spec
from .scenario import Told, converges, recovers
from .situation import Situations, born, gone, rename, said
from .story import Story
from .tool import Run

PROJECT = Situations("project")
_tell = PROJECT.tell

_OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f another"


@_tell("its-private-network-is-renamed", recovers())
async def _(story: Story) -> None:
    rename(story, "networks", CLUSTER, "ours")
    said(await story.refuses("network.gone", "masters.none-healthy"), "network.gone", "Check whether it was renamed")
    rename(story, "networks", "ours", CLUSTER)


@_tell("the-file-wants-no-private-network-any-more", recovers())
async def _(story: Story) -> None:
    story.wish(replace(a_spec(), network=NetworkSpec(private=False)))
    said(await story.refuses("network.made-otherwise"), "network.made-otherwise", "Write `enabled: true`")
    story.wish(a_spec())


def _in_network(name: str) -> ClusterSpec:
    spec = a_spec()
    return replace(spec, network=replace(spec.network, existing_network_name=name))


async def _wrong_network(story: Story) -> None:
    """Demand a refusal where the file names a network that nobody made; nothing is begun before there is one."""
    await gone(story)
    story.wish(_in_network("shared"))
    said(await story.refuses("network.missing"), "network.missing", "or create the network")


@_tell("the-network-of-the-file-is-created", born())
async def _(story: Story) -> None:
    await _wrong_network(story)
    subnet = {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.0.0/16"}
    _ask(story, "POST", "/networks", {"name": "shared", "ip_range": "10.0.0.0/16", "subnets": [subnet]})


@_tell("the-network-of-the-file-is-corrected", born())
async def _(story: Story) -> None:
    await _wrong_network(story)
    story.wish(a_spec())


def _of_type(spec: ClusterSpec, server_type: str, image: str = "debian-13") -> ClusterSpec:
    (pool,) = spec.pools
    workers = tuple(replace(worker, instance_type=server_type, image=image) for worker in pool.workers)
    return replace(spec, pools=(replace(pool, workers=workers, instance_type=server_type, image=image),))


@_tell("a-type-that-hetzner-does-not-know-at-a-birth", born())
async def _(story: Story) -> None:
    """Nothing is bought before the file is right; the catalogue is read once, in three requests."""
    right = story.spec
    await gone(story)
    story.wish(_of_type(right, "cpx222"))
    run = await story.refuses("order.impossible")
    said(run, "order.impossible", "Correct instance_type")
    assert not [w for w in run.session.hetzner.writes if w.startswith("POST")], run.story()
    catalogue = [r for r in run.session.hetzner.requests if r.split()[1] in {"/server_types", "/locations", "/images"}]
    assert len(catalogue) == 3, catalogue
    story.wish(right)


@_tell("a-network-of-others-has-our-name", born())
async def _(story: Story) -> Run:
    """It is neither used nor changed; under another name it stays beside ours."""
    await gone(story)
    _ask(story, "POST", "/networks", {"name": CLUSTER, "ip_range": "10.9.0.0/16"})
    said(await story.refuses("resource.foreign"), "resource.foreign", "Rename it")
    rename(story, "networks", CLUSTER, "theirs")
    run = await story.create()
    assert {network.name for network in story.world.project.networks.values()} == {CLUSTER, "theirs"}
    return run


@_tell("a-server-of-others-has-a-name-of-ours", Told())
async def _(story: Story) -> Run:
    """Renamed, it is left alone for good."""
    await story.happens(ServerDeleted(WORKER1))
    mischief.make_server(story.world, WORKER1, {})
    await mischief.servers_run(story.world)
    said(await story.refuses("server.foreign"), "server.foreign", "rename it")
    rename(story, "servers", WORKER1, "theirs")
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not story.world.host("theirs").units, "something was installed on it"
    await story.happens(ServerDeleted("theirs"))
    await story.is_converged(WORKER1)
    return run


@_tell("the-file-names-another-public-key", recovers())
async def _(story: Story) -> None:
    """Servers that were made with it would not let us in."""
    right = story.spec
    story.wish(replace(right, ssh=replace(right.ssh, public_key=_OTHER_KEY)))
    said(await story.refuses("ssh-key.other"), "ssh-key.other", "Correct networking.ssh.public_key_path")
    story.wish(right)


@_tell("labels-of-the-record-are-lost-on-the-network", recovers())
async def _(story: Story) -> Run:
    """They are written again: the record is read as the union of all that carries it."""
    network = next(iter(story.world.project.networks.values()))
    before = dict(network.labels)
    network.labels = {naming.LABEL_CLUSTER: CLUSTER}
    run = await story.create()
    assert [verb for verb, _ in run.told.steps] == ["RecordBirth"], run.story()
    assert network.labels == before
    return run


@_tell("two-values-of-the-lineage-are-recorded", converges(MASTER3))
async def _(story: Story) -> None:
    mischief.with_labels(story.world, MASTER3, {naming.LABEL_LINEAGE: "9999"})
    refused = await story.refuses("record.conflict")
    said(refused, "record.conflict", "Remove the resources of the cluster that you do not keep")
    await story.happens(ServerDeleted(MASTER3))


def _ask(story: Story, method: str, path: str, body: dict[str, object]) -> None:
    answer = faults.ask(story.world, method, path, json.dumps(body).encode())
    assert "error" not in answer, answer
