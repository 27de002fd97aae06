"""The rotation of host keys, killed at every effect: the next run always ends at one final key."""

from __future__ import annotations

import asyncio

import pytest

from hetzner_k3s.act.context import HostKeyRing
from hetzner_k3s.act.handlers.host_keys import secure_host
from hetzner_k3s.act.state_patch import fold
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import HostUnreachable
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, SshSpec
from hetzner_k3s.model.steps import SecureHost
from hetzner_k3s.model.version import K3sVersion

from .virtual_time import LoopClock, run
from .world import Killed, World

STEP = SecureHost(target="c-master1", server_id=7)
SPEC = ClusterSpec(
    name="c",
    hetzner_token=Secret("t"),
    kubeconfig_path="/nowhere",
    k3s_version=K3sVersion.parse("v1.36.3+k3s1"),
    masters=(MasterSpec(name="c-master1", index=1, location="fsn1", instance_type="cpx22", image="debian-13"),),
    ssh=SshSpec(private_key_path=None, public_key_path="/nowhere.pub", public_key="ssh-ed25519 AAAA"),
)


def fresh(world: World) -> HostKeyRing:
    """Let a server boot as the order of one run made it, and give that run's key ring."""
    boot, final = world.generate(), world.generate()
    labels = {naming.LABEL_BOOT_KEY: boot.label, naming.LABEL_HOST_KEY: final.label}
    world.servers[7] = Server(
        id=7,
        name="c-master1",
        status=ServerStatus.RUNNING,
        labels=labels,
        public_ipv4="192.0.2.7",
        private_ips={1: "10.0.0.2"},
    )
    world.host_keys[7] = boot.label
    return HostKeyRing({"c-master1": final})


async def secure(world: World, key_ring: HostKeyRing) -> None:
    """Carry the step out; what it learned must be what is there."""
    context = await world.context(SPEC, LoopClock(), key_ring)
    outcome = await secure_host(STEP, context)
    assert fold(context.state.view, outcome).servers == (world.servers[7],)


def assert_settled(world: World) -> None:
    labels = world.servers[7].labels
    assert labels[naming.LABEL_HOST_KEY] == world.host_keys[7]
    assert naming.LABEL_HOST_KEY_NEXT not in labels
    assert labels[naming.LABEL_BOOT_KEY] != world.host_keys[7]


def test_the_run_that_made_the_server_installs_the_announced_key_with_no_call_to_the_cloud() -> None:
    world = World()
    run(secure(world, fresh(world)))
    assert_settled(world)
    assert world.moments == 2  # one effect: the rotation itself


def test_a_run_that_lost_the_announced_key_announces_another() -> None:
    world = World()
    fresh(world)
    run(secure(world, HostKeyRing()))
    assert_settled(world)


@pytest.mark.parametrize("kill_at", [1, 2])
def test_the_next_run_settles_what_a_run_killed_around_its_one_effect_left(kill_at: int) -> None:
    world = World(kill_at=kill_at)
    key_ring = fresh(world)
    assert_next_run_settles_it(world, key_ring)


@pytest.mark.parametrize("kill_at", range(1, 7))
def test_the_next_run_settles_what_a_run_killed_around_announcing_installing_or_promoting_left(kill_at: int) -> None:
    world = World(kill_at=kill_at)
    fresh(world)
    assert_next_run_settles_it(world, HostKeyRing())


def assert_next_run_settles_it(world: World, key_ring: HostKeyRing) -> None:
    with pytest.raises(Killed):
        run(secure(world, key_ring))
    world.kill_at = None
    run(secure(world, HostKeyRing()))
    assert_settled(world)


@pytest.mark.parametrize("kill_at", range(1, 7))
def test_so_does_the_one_after_two_kills(kill_at: int) -> None:
    world = World()
    fresh(world)
    for _ in range(2):
        world.moments, world.kill_at = 0, kill_at
        try:
            run(secure(world, HostKeyRing()))
        except Killed:
            continue
    world.kill_at = None
    run(secure(world, HostKeyRing()))
    assert_settled(world)


def test_an_announcement_that_another_run_made_needless_is_taken_back() -> None:
    world = World()
    run(secure(world, fresh(world)))
    world.servers[7].labels[naming.LABEL_HOST_KEY_NEXT] = "never installed"  # type: ignore[index]
    run(secure(world, HostKeyRing()))
    assert_settled(world)


def test_a_host_that_still_answers_with_the_key_of_its_image_is_waited_for() -> None:
    """Until cloud-init is done, a first boot answers with the key of the image that it was made from."""
    world = World()
    key_ring = fresh(world)
    boot, world.host_keys[7] = world.host_keys[7], "the image's"

    async def story() -> None:
        asyncio.get_running_loop().call_later(20, world.host_keys.update, {7: boot})
        await secure(world, key_ring)

    run(story())
    assert_settled(world)


def test_a_host_with_a_foreign_key_is_sent_nothing() -> None:
    world = World()
    fresh(world)
    world.host_keys[7] = "somebody else's"

    async def story() -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(HostUnreachable):
            await secure(world, HostKeyRing())
        return asyncio.get_running_loop().time() - began

    assert run(story()) == pytest.approx(30, abs=2), "longer than any cloud-init takes is not waited"
    assert world.host_keys[7] == "somebody else's"
    assert world.moments == 0
