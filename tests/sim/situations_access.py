"""Who is let in by SSH: the operator is not shut out, and what would let him in again is never held back.

See docs/architecture.md#law-12.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import PoweredOff, ServerDeleted, SshSilent
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, SkipAddressCheck
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from .clusters import CLUSTER, MASTER1, MASTER2, MASTER3, WORKER1, a_spec
from .scenario import Told, converges, recovers
from .situation import Situations, born, gone, said
from .story import Story
from .tool import Run

ACCESS = Situations("access")
_tell = ACCESS.tell

_OFFICE = "203.0.113.0/24"
_ELSEWHERE = "198.18.0.0/15"
_ANYWAY = Consents.of(SkipAddressCheck())


def _from(spec: ClusterSpec, *networks: str) -> ClusterSpec:
    return replace(spec, firewall=replace(spec.firewall, ssh_networks=networks))


def _on_port(spec: ClusterSpec, port: int) -> ClusterSpec:
    return replace(spec, ssh=replace(spec.ssh, port=port))


def _ask(story: Story, path: str, body: bytes) -> None:
    answer = faults.ask(story.world, "POST", path, body)
    assert "error" not in answer, answer


def _firewall(story: Story) -> int:
    return next(f.id for f in story.world.project.firewalls.values() if f.name == naming.firewall(CLUSTER))


async def _moves(story: Story, address: str) -> None:
    """Let the operator come from another address from now on."""
    story.world.laptop.address = address


@_tell("the-new-address-is-in-the-file", recovers(), spec=_from(a_spec(), _OFFICE))
async def _(story: Story) -> Run:
    """Every host is silent; the firewall that lets us in again needs none of them (shared case 01)."""
    await _moves(story, "198.18.0.9")
    refused = await story.refuses("masters.none-healthy")
    said(refused, "masters.none-healthy", "Add the address you come from to networking.allowed_networks.ssh")
    assert f"lets SSH in only from {_OFFICE}" in refused.told.refusals[0].saw
    story.wish(_from(story.spec, _ELSEWHERE))
    return await story.create()


@_tell("a-lost-master-is-replaced-after-that", converges(MASTER1), spec=_from(a_spec(), _OFFICE))
async def _(story: Story) -> Run:
    """What is to be done is shown anew when the hosts answer again, and done by the same run."""
    await _moves(story, "198.18.0.9")
    await story.happens(ServerDeleted(MASTER1))
    await asyncio.sleep(60)
    story.wish(_from(story.spec, _ELSEWHERE))
    return await story.create()


@_tell("the-file-would-shut-us-out", recovers())
async def _(story: Story) -> None:
    right = story.spec
    story.wish(_from(right, _ELSEWHERE))
    refused = await story.refuses("firewall.shuts-out")
    said(refused, "firewall.shuts-out", "Add the address you come from", "--skip-current-ip-validation")
    assert "203.0.113.77" in refused.told.refusals[0].saw
    story.wish(_from(right, _ELSEWHERE, _OFFICE))


@_tell("we-come-from-an-allowed-address-tomorrow", recovers())
async def _(story: Story) -> None:
    story.wish(_from(story.spec, _ELSEWHERE))
    await story.refuses("firewall.shuts-out")
    run = await story.create(consents=_ANYWAY)
    assert ("EnsureFirewall", CLUSTER) in run.told.steps, run.story()
    await _moves(story, "198.18.0.9")


@_tell("a-birth-would-shut-us-out", born())
async def _(story: Story) -> None:
    """No host can say who we are yet; this machine knows its own address."""
    await gone(story)
    right, story.world.laptop.knows_its_address = story.spec, True
    story.wish(_from(right, _ELSEWHERE))
    await story.refuses("firewall.shuts-out")
    story.wish(_from(right, _OFFICE))


@_tell("a-birth-with-private-addresses-only", born())
async def _(story: Story) -> None:
    """Behind a router nobody knows our address; that it is no private one is known (shared case 13 a)."""
    await gone(story)
    right = story.spec
    story.wish(_from(right, "10.0.0.0/8"))
    await story.refuses("firewall.shuts-out")
    story.wish(right)


@_tell("a-birth-that-lets-somebody-else-in", born())
async def _(story: Story) -> None:
    """Nobody knew before: the wait for SSH says which networks are let in, and the next run sets them right.

    A host that answered before the firewall was on it is one that is silent now, and the run says that instead.
    """
    await gone(story)
    right = story.spec
    story.wish(_from(right, _ELSEWHERE))
    run = await story.create()
    assert run.code in {ExitCode.FAILED, ExitCode.REFUSED}, run.story()
    told = [str(run.error), *(refusal.saw for refusal in run.told.refusals)]
    assert any(f"lets SSH in only from {_ELSEWHERE}" in words for words in told), run.story()
    story.wish(right)


@_tell("the-port-in-the-file-is-another", recovers())
async def _(story: Story) -> None:
    """Setting the firewall would close the port on which every server listens (shared case 13 b)."""
    right = story.spec
    story.wish(_on_port(right, 2222))
    refused = await story.refuses("ssh.port-changed", "masters.none-healthy")
    said(refused, "ssh.port-changed", "Write the old port into networking.ssh.port")
    assert "port 22" in refused.told.refusals[0].saw
    story.wish(right)


@_tell("the-firewall-is-applied-to-nothing", recovers())
async def _(story: Story) -> Run:
    """Somebody took its selector off: every port is open (shared case 05)."""
    selector = f'{{"type": "label_selector", "label_selector": {{"selector": "{naming.cluster_selector(CLUSTER)}"}}}}'
    path = f"/firewalls/{_firewall(story)}/actions/remove_from_resources"
    _ask(story, path, f'{{"remove_from": [{selector}]}}'.encode())
    await asyncio.sleep(30)
    assert story.world.host(MASTER1).rules is None
    run = await story.create()
    assert ("EnsureFirewall", CLUSTER) in run.told.steps, run.story()
    await asyncio.sleep(30)
    assert story.world.host(MASTER1).rules
    return run


@_tell("a-worker-gets-power-beside-silent-masters", Told())
async def _(story: Story) -> None:
    """What is refused about masters holds no worker's power back."""
    silence = [SshSilent(name) for name in (MASTER1, MASTER2, MASTER3)]
    await story.happens(PoweredOff(WORKER1), *silence)
    run = await story.create()
    assert run.refused == ("masters.none-healthy",), run.story()
    assert run.code is ExitCode.REFUSED, run.story()
    assert story.world.host(WORKER1).powered, run.story()
    await story.heals(*silence)
    await story.create()
    await story.is_converged(WORKER1)


@_tell("the-balancer-is-made-beside-silent-masters", Told(), spec=a_spec(load_balancer=True))
async def _(story: Story) -> None:
    for number in story.world.project.load_balancers:
        answer = faults.ask(story.world, "DELETE", f"/load_balancers/{number}")
        assert "error" not in answer, answer
        break
    await asyncio.sleep(30)  # it is listed while it is being deleted
    silence = [SshSilent(name) for name in (MASTER1, MASTER2, MASTER3)]
    await story.happens(*silence)
    run = await story.create()
    assert run.refused == ("masters.none-healthy",), run.story()
    assert story.world.project.load_balancers, run.story()
    await story.heals(*silence)


@_tell("a-master-has-another-address", recovers(MASTER2))
async def _(story: Story) -> None:
    """It was taken off the network and attached anew: with its old address it is well at once (shared case 13 c)."""
    server = story.world.server(MASTER2)
    assert server is not None
    (network,) = story.world.project.networks
    old = story.world.host(MASTER2).nics[network].ip
    _ask(story, f"/servers/{server.id}/actions/detach_from_network", f'{{"network": {network}}}'.encode())
    await asyncio.sleep(30)
    told = said(await story.refuses("master.not-ready"), "master.not-ready", f"--ip {old}")
    assert told.you_can.index("--ip") < told.you_can.index("--replace"), told.you_can
    where = f"/servers/{server.id}/actions/attach_to_network"
    _ask(story, where, f'{{"network": {network}, "ip": "10.0.0.77"}}'.encode())
    await asyncio.sleep(60)
    told = said(await story.refuses("master.not-ready"), "master.not-ready", f"--ip {old}", "detach-from-network")
    assert "10.0.0.77" in told.saw, told.saw
    _ask(story, f"/servers/{server.id}/actions/detach_from_network", f'{{"network": {network}}}'.encode())
    await asyncio.sleep(30)
    _ask(story, where, f'{{"network": {network}, "ip": "{old}"}}'.encode())
    await asyncio.sleep(60)
