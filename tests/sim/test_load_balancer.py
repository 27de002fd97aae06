"""Somebody takes something off the API's load balancer, or the file drops it: `create` and `--prune` see to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from hetzner_k3s.lab.simulated import faults, virtual_time
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, Prune
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import mischief
from .clusters import CLUSTER, MASTER2, MASTER3, a_spec
from .story import Story, healthy

Body = dict[str, Any]

BALANCER = naming.api_load_balancer(CLUSTER)
PRUNE = Consents.of(Prune())
SELECTOR = naming.members_selector(CLUSTER)


def play(happens: Callable[[Story], Awaitable[None]], spec: ClusterSpec | None = None) -> None:
    async def tell() -> None:
        async with healthy(1, spec=spec or a_spec(load_balancer=True)) as story:
            await happens(story)

    virtual_time.run(tell())


def shown(story: Story) -> Body | None:
    """Return the load balancer as Hetzner shows it."""
    listed = faults.ask(story.world, "GET", "/load_balancers")["load_balancers"]
    assert isinstance(listed, list)
    return next((one for one in listed if one["name"] == BALANCER), None)


async def by_hand(story: Story, command: str, body: Body) -> None:
    balancer = shown(story)
    assert balancer is not None
    answer = faults.ask(
        story.world, "POST", f"/load_balancers/{balancer['id']}/actions/{command}", json.dumps(body).encode()
    )
    assert "error" not in answer, answer
    await asyncio.sleep(30)


def selected(selector: str) -> Body:
    return {"type": "label_selector", "label_selector": {"selector": selector}}


async def detach(story: Story) -> None:
    (network,) = story.world.project.networks
    await by_hand(story, "detach_from_network", {"network": network})


async def all_of_it(story: Story) -> None:
    for name in ("no target", "no service", "no network"):
        await DAMAGE[name][0](story)


TCP_OF_2X = {"protocol": "tcp", "interval": 15, "timeout": 10, "retries": 3}
DAMAGE: dict[str, tuple[Callable[[Story], Awaitable[None]], str]] = {
    "no target": (
        lambda story: by_hand(story, "remove_target", selected(SELECTOR)),
        f"it has no target for the masters (the file: target {SELECTOR} by private addresses)",
    ),
    "no service": (
        lambda story: by_hand(story, "delete_service", {"listen_port": 6443}),
        "it has no service on its port (the file: tcp 6443 -> 6443)",
    ),
    "another service": (
        lambda story: by_hand(story, "update_service", {"listen_port": 6443, "destination_port": 80}),
        "it has tcp 6443 -> 80 (the file: tcp 6443 -> 6443)",
    ),
    "the check of 2.x": (
        lambda story: by_hand(story, "update_service", {"listen_port": 6443, "health_check": TCP_OF_2X}),
        "it has tcp 6443 -> 6443, checked by tcp 6443 "
        "(the file: tcp 6443 -> 6443, checked by https 6443/readyz (200, 401))",
    ),
    "no network": (detach, f"it has no network (the file: network {CLUSTER})"),
    "all of it": (all_of_it, f"it has no network (the file: network {CLUSTER}) and no target for the masters"),
}


def settings(balancer: Body) -> Body:
    """Return what a load balancer was asked for with."""
    keys = ("type", "label_selector", "use_private_ip")
    targets = [{key: target[key] for key in keys} for target in balancer["targets"]]
    networks = [net["network"] for net in balancer["private_net"]]
    return {"services": balancer["services"], "targets": targets, "networks": networks}


def sent_to(balancer: Body | None) -> set[int]:
    """Return the ids of the servers that a load balancer sends to."""
    assert balancer is not None
    return {found["server"]["id"] for target in balancer["targets"] for found in target["targets"]}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_taken_off_is_back_and_the_second_run_writes_nothing(damage: str) -> None:
    """Seen: "is up to date: nothing to do", and no client reached the API through it any more."""
    harm, because = DAMAGE[damage]

    async def happens(story: Story) -> None:
        before = shown(story)
        assert before is not None
        await harm(story)
        run = await story.create()
        assert run.code is ExitCode.CONVERGED, run.story()
        assert run.told.steps == [("EnsureLoadBalancer", BALANCER)]
        (planned,) = [step for wave in run.told.forecast.waves for step in wave] if run.told.forecast else []
        assert planned.because.startswith(because)
        after = shown(story)
        assert after is not None
        assert settings(after) == settings(before)
        await asyncio.sleep(30)
        assert sent_to(shown(story)) == sent_to(before)
        assert len(sent_to(before)) == len(story.spec.masters)
        again = await story.create()
        assert (again.code, again.writes) == (ExitCode.CONVERGED, [])

    play(happens)


def healths(story: Story) -> set[str]:
    """Return what Hetzner says of the targets for the API now."""
    balancer = shown(story)
    assert balancer is not None
    assert [service["listen_port"] for service in balancer["services"]] == [6443]
    found = [one for target in balancer["targets"] for one in target["targets"]]
    return {status["status"] for one in found for status in one["health_status"]}


def test_a_check_is_changed_in_place_while_the_api_stays_reachable() -> None:
    async def happens(story: Story) -> None:
        before = shown(story)
        assert before is not None
        await by_hand(story, "update_service", {"listen_port": 6443, "health_check": TCP_OF_2X})
        seen: list[set[str]] = []

        async def look() -> None:
            while True:
                seen.append(healths(story))
                await asyncio.sleep(0.2)

        looking = asyncio.ensure_future(look())
        run = await story.create()
        looking.cancel()
        assert run.code is ExitCode.CONVERGED, run.story()
        assert [write for write in run.writes if "load_balancers" in write] == [
            f"POST /load_balancers/{before['id']}/actions/update_service"
        ]
        assert set(map(frozenset, seen)) == {frozenset({"healthy"})}
        assert len(seen) > len(story.spec.masters)
        after = shown(story)
        assert after is not None
        assert (after["id"], after["services"]) == (before["id"], before["services"])

    play(happens)


@pytest.mark.parametrize(("check", "seen_as"), [(None, {"unhealthy"}), (TCP_OF_2X, {"healthy"})])
def test_a_master_that_starts_gets_no_traffic(check: Body | None, seen_as: set[str]) -> None:
    """Seen through a balancer that checked by TCP: 503 from a master whose k3s listened before its API server ran."""

    async def happens(story: Story) -> None:
        if check is not None:
            await by_hand(story, "update_service", {"listen_port": 6443, "health_check": check})
        host = story.world.host(MASTER2)
        mischief.k3s_ends(host)
        starting, seen = 0, set()
        for _ in range(600):
            await asyncio.sleep(0.1)
            server = host.server
            if server is not None and server.listening and not server.api_ready:
                starting += 1
                seen |= {status_of(story, host.server_id)}
        assert starting, "it never listened before its API served"
        assert seen == seen_as
        assert status_of(story, host.server_id) == "healthy"

    play(happens)


def status_of(story: Story, server_id: int) -> str:
    """Return what Hetzner says of one target."""
    balancer = shown(story)
    assert balancer is not None
    targets = [one for target in balancer["targets"] for one in target["targets"]]
    (status,) = next(one["health_status"] for one in targets if one["server"]["id"] == server_id)
    return str(status["status"])


def test_a_server_that_somebody_added_stays_and_is_no_target_for_the_masters() -> None:
    async def happens(story: Story) -> None:
        server = story.world.server(MASTER2)
        assert server is not None
        await by_hand(story, "add_target", {"type": "server", "server": {"id": server.id}, "use_private_ip": True})
        await by_hand(story, "remove_target", selected(SELECTOR))
        run = await story.create()
        assert run.told.steps == [("EnsureLoadBalancer", BALANCER)], run.story()
        balancer = shown(story)
        assert balancer is not None
        assert {target["type"] for target in balancer["targets"]} == {"server", "label_selector"}
        await story.is_converged()

    play(happens)


def test_a_selector_of_2x_is_left_alone() -> None:
    async def happens(story: Story) -> None:
        await by_hand(story, "remove_target", selected(SELECTOR))
        await by_hand(story, "add_target", {**selected(naming.masters_selector(CLUSTER)), "use_private_ip": True})
        run = await story.create()
        assert (run.code, run.writes) == (ExitCode.CONVERGED, [])

    play(happens)


def test_a_master_goes_although_the_target_of_2x_takes_it_to_the_end() -> None:
    """Seen: 60 s in vain for the load balancer to send nobody there, in each run, and the master never went."""

    async def happens(story: Story) -> None:
        await by_hand(story, "remove_target", selected(SELECTOR))
        await by_hand(story, "add_target", {**selected(naming.masters_selector(CLUSTER)), "use_private_ip": True})
        story.wish(a_spec(3, load_balancer=True))
        run = await story.create(consents=PRUNE)
        assert run.code is ExitCode.CONVERGED, run.story()
        await story.is_pruned("prod-master4", "prod-master5")

    play(happens, a_spec(5, load_balancer=True))


def notes(story: Story) -> tuple[str, ...]:
    ahead = story.runs[-1].told.forecast
    assert ahead is not None
    return ahead.notes


def test_one_that_the_file_drops_is_named_and_goes_with_prune_after_the_kubeconfig() -> None:
    async def happens(story: Story) -> None:
        story.wish(replace(story.spec, api_load_balancer=False))
        named = await story.create()
        assert named.code is ExitCode.CONVERGED, named.story()
        assert notes(story) == (f"load balancer {BALANCER} is beyond the file and is left as it is",)
        assert shown(story) is not None
        pruned = await story.create(consents=PRUNE)
        assert pruned.code is ExitCode.CONVERGED, pruned.story()
        assert shown(story) is None
        await story.is_converged()

    play(happens)


def test_the_kubeconfig_is_written_before_it_goes() -> None:
    async def happens(story: Story) -> None:
        story.wish(replace(story.spec, api_load_balancer=False))
        pruned = await story.create(consents=PRUNE)
        assert pruned.told.steps == [
            ("WriteKubeconfig", story.spec.kubeconfig_path),
            ("DeleteResource load_balancer", BALANCER),
        ]
        await story.is_converged()

    play(happens)


@pytest.mark.parametrize(
    ("command", "body", "why"),
    [
        ("change_protection", {"delete": True}, "it is protected against deletion at Hetzner"),
        (
            "add_service",
            {"protocol": "tcp", "listen_port": 443, "destination_port": 30443},
            "somebody else uses it: service tcp 443 -> 30443",
        ),
        (
            "add_target",
            {**selected("role=ingress"), "use_private_ip": True},
            "somebody else uses it: target label_selector role=ingress",
        ),
    ],
)
def test_what_is_protected_or_used_otherwise_stays(command: str, body: Body, why: str) -> None:
    async def happens(story: Story) -> None:
        await by_hand(story, command, body)
        story.wish(replace(story.spec, api_load_balancer=False))
        await story.create()
        assert notes(story) == (
            f"load balancer {BALANCER} is beyond the file and is left as it is, with --prune too: {why}",
        )
        pruned = await story.create(consents=PRUNE)
        assert pruned.code is ExitCode.CONVERGED, pruned.story()
        assert notes(story) == (f"load balancer {BALANCER} is beyond the file and stays all the same: {why}",)
        assert shown(story) is not None

    play(happens)


def test_it_goes_with_the_masters_when_one_is_left() -> None:
    async def happens(story: Story) -> None:
        story.wish(a_spec(1))
        pruned = await story.create(consents=PRUNE)
        assert pruned.code is ExitCode.CONVERGED, pruned.story()
        assert shown(story) is None
        await story.is_pruned(MASTER2, MASTER3)

    play(happens)
