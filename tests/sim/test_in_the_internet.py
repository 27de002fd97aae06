"""A cluster without a private network: its nodes meet at public addresses, and the firewall lets nobody else in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pytest

from hetzner_k3s.cli import simulated
from hetzner_k3s.decide.desired.firewall import firewall_rules
from hetzner_k3s.decide.desired.internet import lets_workers_in
from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.consents import LATEST, ROLLOUT_MASTERS, Adopt, Consents, Rollout
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.hetzner.access import BETWEEN_NODES
from hetzner_k3s.model.spec import ClusterSpec, NetworkSpec

from . import invariants, mischief, tool
from .clusters import CLUSTER, MASTER1, MASTER2, WORKER1, a_spec, in_the_internet, with_s3
from .clusters_of_2x import as_2x_made_it, ca8
from .killing import killed_at_every_moment
from .mischief import store
from .scenario import Scenario
from .scenarios_disaster import DISASTER
from .scenarios_k3s import K3S
from .scenarios_loss import LOSS
from .scenarios_restore import RESTORE, lose_all, snapshot_now
from .story import Story, healthy

_SEED = 1
SPEC = in_the_internet(a_spec(load_balancer=True))

OF_THE_NETWORK = {
    "10-same-name-new-ip": "the private address of a lost server is somebody else's",
    "11-same-ip-new-name": "the same",
    "12-private-ip-reused-by-worker": "the same",
    "35-reset-cannot-form": "the same",
    "44-scale-1-3": "it wishes for a file of its own",
    "45-scale-3-5": "the same",
    "46-scale-3-1": "the same",
    "47-scale-5-3-with-one-dead": "the same",
    "58-join-fails-critical-config": "the same",
}
"""Scenarios that cannot be told of such a cluster, and why."""

SCENARIOS = [
    pytest.param(
        replace(scenario, spec=in_the_internet(scenario.spec)),
        marks=() if collection is LOSS else pytest.mark.slow,
        id=scenario.id,
    )
    for collection in (LOSS, DISASTER, RESTORE, K3S)
    for scenario in collection.scenarios
    if scenario.id not in OF_THE_NETWORK
]


def _rules(place: World) -> list[tuple[str, str | None, frozenset[str]]]:
    (firewall,) = place.project.firewalls.values()
    rules = (described.rule for described in firewall.rules)
    return [(rule.protocol, rule.port, frozenset(rule.source_ips)) for rule in rules]


def _between_nodes(place: World) -> frozenset[str]:
    (peers,) = (sources for protocol, port, sources in _rules(place) if (protocol, port) == ("tcp", "any"))
    return peers


def _addresses(place: World) -> frozenset[str]:
    servers = place.project.servers.values()
    balancers = place.project.load_balancers.values()
    return frozenset(f"{one}/32" for one in (*(s.ipv4.ip for s in servers if s.ipv4), *(b.ipv4 for b in balancers)))


def test_it_is_born_without_a_network_and_lets_in_its_own_alone() -> None:
    async def story() -> None:
        async with healthy(_SEED, spec=SPEC) as tale:
            project = tale.world.project
            assert not project.networks
            assert not any(server.attachments for server in project.servers.values())
            assert _between_nodes(tale.world) == _addresses(tale.world)
            assert ("udp", "51820", frozenset({"0.0.0.0/0", "::/0"})) in _rules(tale.world)
            (balancer,) = project.load_balancers.values()
            assert [target.use_private_ip for target in balancer.targets] == [False]
            host = tale.world.host(WORKER1)
            config = host.disk.config or ""
            assert f"provider-id=hcloud://{host.server_id}" in config
            assert "flannel-iface" not in config
            await tale.create()
            await tale.is_converged()

    run(story())


def test_a_lost_masters_address_goes_and_its_successors_comes_before_it_joins() -> None:
    async def story() -> None:
        async with healthy(_SEED, spec=SPEC) as tale:
            old = f"{tale.world.host(MASTER1).spec.public_ipv4}/32"
            await tale.happens(ServerDeleted(MASTER1))
            mischief.make_server(tale.world, "somebodys-database", {})
            await mischief.servers_run(tale.world)
            told = await tale.create()
            assert old not in _between_nodes(tale.world)
            assert _between_nodes(tale.world) == _addresses(tale.world) - {old}
            assert [verb for verb, _ in told.told.steps].count("EnsureFirewall") == 1, told.story()
            lines = told.told.lines
            let_in = next(at for at, line in enumerate(lines) if "EnsureFirewall prod done" in line)
            joins = next(at for at, line in enumerate(lines) if f"JoinControlPlane {MASTER1}: " in line)
            assert let_in < joins, told.story()
            await tale.happens(ServerDeleted("somebodys-database"))
            await tale.create()
            await tale.is_converged(MASTER1)

    run(story())


def test_k3s_is_started_anew_on_nodes_that_show_no_internal_ip() -> None:
    """Hetzner's cloud controller takes it away where it knows of no network."""

    async def story() -> None:
        async with healthy(_SEED, spec=SPEC) as tale:
            (node, *_) = (await store(tale.world).list(NODES))[0]
            assert {row["type"] for row in node["status"]["addresses"]} == {"ExternalIP", "Hostname"}
            tale.wish(replace(SPEC, args=replace(SPEC.args, kubelet=("max-pods=50",))))
            for named in (ROLLOUT_MASTERS, "small"):
                ended = await tale.create(consents=Consents.of(Rollout(named)))
                assert ended.code in {ExitCode.CONVERGED, ExitCode.PENDING}, ended.story()
            again = await tale.create()
            assert (again.code, again.told.steps, again.differences) == (ExitCode.CONVERGED, [], ()), again.story()

    run(story())


def test_a_firewall_that_keeps_a_master_from_its_peers_is_put_right_whatever_else_is_wrong() -> None:
    async def story() -> None:
        async with healthy(_SEED, spec=SPEC) as tale:
            await _only_from(tale, "203.0.113.7/32")
            await asyncio.sleep(60)
            assert not any(tale.world.site.peers.has_quorum(member) for member in tale.world.site.peers.members())
            await tale.create()
            await tale.is_converged()

    run(story())


async def _only_from(tale: Story, address: str) -> None:
    """Let nobody but an address in between the nodes."""
    await _edited(tale, lambda rule: replace(rule, networks=(address,)))


_EDITS = {
    "only the API's port is left": lambda rule: replace(rule, port="6443"),
    "everybody is let in": lambda rule: replace(rule, networks=(*rule.networks, "0.0.0.0/0")),
    "it is for udp": lambda rule: replace(rule, protocol="udp"),
}
"""What somebody does by hand to the rule between the nodes."""


@pytest.mark.parametrize("lost", [MASTER1, WORKER1])
@pytest.mark.parametrize("edit", _EDITS.values(), ids=_EDITS)
def test_a_rule_between_nodes_that_was_edited_is_put_right_beside_a_loss(
    edit: Callable[[FirewallRule], FirewallRule], lost: str
) -> None:
    """Seen: the lost node's address hid the edit, the nodes stayed apart, and a reset of a whole quorum was advised."""

    async def story() -> None:
        async with healthy(_SEED, spec=SPEC) as tale:
            await _edited(tale, edit)
            await tale.happens(ServerDeleted(lost))
            await asyncio.sleep(60)
            await tale.create()
            await tale.is_converged(lost)
            assert _between_nodes(tale.world) == _addresses(tale.world)

    run(story())


def test_what_is_open_to_everybody_is_closed_whatever_is_refused() -> None:
    async def story() -> None:
        async with healthy(_SEED, spec=SPEC) as tale:
            await _edited(tale, _EDITS["everybody is let in"])
            tale.world.site.alarms[MASTER1] = ("CORRUPT",)
            told = await tale.create()
            assert told.code is ExitCode.REFUSED, told.story()
            assert _between_nodes(tale.world) == _addresses(tale.world)

    run(story())


async def _edited(tale: Story, edit: Callable[[FirewallRule], FirewallRule]) -> None:
    await _changed(tale, lambda rules: [edit(rule) if rule.description == BETWEEN_NODES else rule for rule in rules])


async def _changed(tale: Story, change: Callable[[Sequence[FirewallRule]], Iterable[FirewallRule]]) -> None:
    """Set other rules of the cluster's firewall, as somebody at Hetzner's console can."""
    ports = simulated.ports(tale.world.session(tale.spec.name))
    (firewall,) = (await ports.cloud.survey()).firewalls
    await ports.cloud.set_firewall_rules(firewall.id, tuple(change(firewall.rules)))


def test_one_that_2x_made_is_adopted_with_its_firewall_as_it_is_and_then_repaired() -> None:
    async def story() -> None:
        async with healthy(_SEED, spec=SPEC) as tale:
            await as_2x_made_it(tale)
            rules = await _as_2x_lets_in(tale)
            adopted = await tale.create(consents=Consents.of(Adopt(ca8(tale.world))))
            assert adopted.code is ExitCode.PENDING, adopted.story()
            assert _rules(tale.world) == rules, "what differs is told, and changed by the next run"
            await tale.happens(ServerDeleted(MASTER1))
            assert (await tale.create()).code is ExitCode.CONVERGED, tale.runs[-1].story()
            assert _between_nodes(tale.world) == _addresses(tale.world)
            assert not tale.broken(MASTER1)

    run(story())


async def _as_2x_lets_in(tale: Story) -> list[tuple[str, str | None, frozenset[str]]]:
    """Open 6443 to everybody, WireGuard's port by TCP, and etcd's to masters (docs/facts/compatibility.md)."""
    masters = tuple(f"{tale.world.host(name).spec.public_ipv4}/32" for name in tale.spec.master_names)
    opened = [("6443", ("0.0.0.0/0",)), ("51820", ("0.0.0.0/0",)), ("2379", masters), ("2380", masters)]
    theirs = [
        FirewallRule(direction="in", protocol="tcp", port=port, networks=networks, description="of 2.x")
        for port, networks in opened
    ]
    await _changed(tale, lambda rules: [r for r in rules if r.port in {"22", None, "30000-32767"}] + theirs)
    return _rules(tale.world)


@pytest.mark.parametrize("born", [SPEC, a_spec(load_balancer=True)], ids=["made without", "made with"])
def test_a_file_that_has_the_nodes_meet_elsewhere_is_refused(born: ClusterSpec) -> None:
    async def story() -> None:
        async with healthy(_SEED, spec=born) as tale:
            other = a_spec(load_balancer=True) if born is SPEC else SPEC
            tale.wish(replace(other, kubernetes_network=born.kubernetes_network))
            refused = await tale.create()
            assert refused.code is ExitCode.REFUSED
            assert "network.made-otherwise" in refused.refused
            assert not refused.writes, refused.story()
            tale.wish(born)
            await tale.create()
            await tale.is_converged()

    run(story())


@pytest.mark.parametrize("born", [SPEC, a_spec(load_balancer=True)], ids=["made without", "made with"])
def test_such_a_file_is_refused_although_no_master_is_left_to_be_asked(born: ClusterSpec) -> None:
    """Seen: a restore put the masters where the workers do not reach them, and neither file could go on with that."""

    async def story() -> None:
        others = NetworkSpec(existing_network_name="corp", private=born is SPEC)
        async with healthy(_SEED, spec=with_s3(born)) as tale:
            _make_network(tale.world, "corp", "10.0.0.0/16")
            snapshot_now(tale)
            await lose_all(tale)
            tale.wish(replace(tale.spec, network=others))
            refused = await tale.create(consents=Consents.of(LATEST))
            assert refused.refused == ("network.made-otherwise",), refused.story()
            assert not refused.writes, refused.story()

    run(story())


@pytest.mark.parametrize("moment", [30, 40])
def test_a_birth_that_was_killed_is_not_gone_on_with_elsewhere(moment: int) -> None:
    async def story() -> None:
        async with world(_SEED) as place:
            spec, other = in_the_internet(a_spec()), a_spec()
            await tool.create(place, spec, kill_at=moment)
            refused = await tool.create(place, replace(other, kubernetes_network=spec.kubernetes_network))
            assert "network.made-otherwise" in refused.refused, refused.story()
            assert not refused.writes, refused.story()
            assert (await tool.create(place, spec)).code is ExitCode.CONVERGED

    run(story())


def _make_network(place: World, name: str, range_: str) -> None:
    subnet = {"type": "cloud", "network_zone": "eu-central", "ip_range": range_}
    body = {"name": name, "ip_range": range_, "subnets": [subnet]}
    assert "error" not in faults.ask(place, "POST", "/networks", json.dumps(body).encode())


@pytest.mark.parametrize("kept", [(), ("icmp",), ("icmp", "udp")], ids=["none", "ICMP", "no TCP"])
@pytest.mark.parametrize("spec", [SPEC, a_spec()], ids=["without", "with a network"])
def test_rules_that_were_deleted_are_set_again_although_nobody_answers(
    spec: ClusterSpec, kept: tuple[str, ...]
) -> None:
    """Seen: 'the firewall was made for another port', and no advice that fitted, for ever."""

    async def story() -> None:
        async with healthy(_SEED, spec=spec) as tale:
            await _changed(tale, lambda rules: [rule for rule in rules if rule.protocol in kept])
            await asyncio.sleep(30)
            await tale.create()
            await tale.is_converged()

    run(story())


def test_a_network_of_others_that_has_its_name_is_nothing_to_it() -> None:
    async def story() -> None:
        async with world(_SEED) as place:
            _make_network(place, CLUSTER, "10.9.0.0/16")
            mischief.make_server(place, "somebodys-database", {})
            ended = await tool.create(place, SPEC)
            assert ended.code is ExitCode.CONVERGED, ended.story()
            assert not (await tool.create(place, SPEC)).told.steps

    run(story())


def test_many_nodes_are_let_in_a_hundred_a_rule_and_too_many_not_at_all() -> None:
    addresses = tuple(f"192.0.2.{number}/32" for number in range(230))
    rules = [rule for rule in firewall_rules(SPEC, addresses) if rule.description == BETWEEN_NODES]
    assert [len(rule.networks) for rule in rules] == [100, 100, 30]
    assert lets_workers_in(in_the_internet(a_spec(3, 247)))
    assert not lets_workers_in(in_the_internet(a_spec(3, 248)))


async def _birth_killed(kill_at: int | None) -> tuple[list[str], list[str]]:
    async with world(_SEED) as place:
        first = await tool.create(place, SPEC, kill_at=kill_at)
        passed = first.session.moments.passed
        if kill_at is not None and (second := await tool.create(place, SPEC)).code is not ExitCode.CONVERGED:
            return passed, [second.story()]
        return passed, invariants.converged(place, SPEC) + _let_in(place)


async def _recovery_killed(kill_at: int | None) -> tuple[list[str], list[str]]:
    async with healthy(_SEED, spec=SPEC) as tale:
        await tale.happens(ServerDeleted(MASTER2))
        first = await tale.create(kill_at=kill_at)
        passed = first.session.moments.passed
        if kill_at is not None and (await tale.create()).code is not ExitCode.CONVERGED:
            return passed, [tale.runs[-1].story()]
        return passed, tale.broken(MASTER2) + _let_in(tale.world)


def _let_in(place: World) -> list[str]:
    too_many, missing = _between_nodes(place) - _addresses(place), _addresses(place) - _between_nodes(place)
    return [f"let in: {sorted(too_many)}, missing: {sorted(missing)}"] if too_many or missing else []


def test_a_birth_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    killed_at_every_moment(_birth_killed, _SEED, every=23)


def test_a_recovery_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    killed_at_every_moment(_recovery_killed, _SEED, every=9)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_happens_to_a_cluster_with_a_network_ends_as_well_here(scenario: Scenario) -> None:
    async def story() -> None:
        async with healthy(_SEED, spec=scenario.spec) as tale:
            await scenario.play(tale)

    run(story())
