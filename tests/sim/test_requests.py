"""How many requests a run sends to Hetzner, which counts them.

See docs/architecture.md#budgets.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from hetzner_k3s.lab.simulated.faults import ServerDeleted, ask
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode

from . import tool
from .clusters import MASTER1, a_spec, in_the_internet

_IDLE, _RECOVERY, _DELETION = 7, 20, 32


def _requests(ran: tool.Run) -> Counter[str]:
    return Counter(ran.session.hetzner.requests)


def test_a_cluster_of_thirteen_stays_within_its_requests() -> None:
    async def story() -> None:
        async with world(1, "typical") as place:
            spec = a_spec(3, 10)
            made = _requests(await tool.create(place, spec))
            assert made["POST /servers"] == 13
            assert not made["GET /actions/{id}"]
            assert made.total() <= 60, made
            await asyncio.sleep(60)
            assert _requests(await tool.create(place, spec)).total() <= _IDLE
            await ServerDeleted(MASTER1).strike(place)
            repair = await tool.create(place, spec)
            assert repair.code is ExitCode.CONVERGED
            assert _requests(repair).total() <= _RECOVERY, _requests(repair)
            assert _requests(repair)["GET /networks"] == 1, "what surrounds the servers is listed before the lock alone"
            gone = await tool.delete(place, spec)
            assert gone.code is ExitCode.CONVERGED, gone.story()
            assert _requests(gone).total() <= _DELETION, _requests(gone)
            assert not place.project.servers
            assert not place.project.placement_groups

    run(story())


def test_the_smallest_cluster_of_three_masters_takes_thirty_requests() -> None:
    async def story() -> None:
        async with world(4, "typical") as place:
            assert _requests(await tool.create(place, a_spec(3, 1))).total() <= 30

    run(story())


def test_a_cluster_of_a_hundred_takes_a_request_and_two_fifths_a_node() -> None:
    async def story() -> None:
        async with world(2, "typical") as place:
            made = await tool.create(place, a_spec(3, 97))
            assert made.code is ExitCode.CONVERGED, made.story()
            assert _requests(made).total() <= 140, _requests(made)

    run(story())


def test_so_does_one_that_is_a_little_larger_than_a_private_network_allows() -> None:
    async def story() -> None:
        async with world(1, "typical") as place:
            made = await tool.create(place, in_the_internet(a_spec(3, 100)))
            assert made.code is ExitCode.CONVERGED, made.story()
            assert _requests(made).total() <= 1.4 * 103, _requests(made)

    run(story())


def test_a_server_that_comes_while_the_others_go_ends_the_deletion_before_its_surroundings() -> None:
    async def story() -> None:
        async with world(1, "typical") as place:
            spec = a_spec(3, 1)
            assert (await tool.create(place, spec)).code is ExitCode.CONVERGED
            deletion = asyncio.create_task(tool.delete(place, spec))
            await asyncio.sleep(2.5)
            assert {server.status for server in place.project.servers.values()} == {"deleting"}
            late = {"name": "prod-late", "server_type": "cpx22", "image": "debian-13", "location": "fsn1"}
            ask(place, "POST", "/servers", json.dumps({**late, "labels": {"cluster": spec.name}}).encode())
            gone = await deletion
            assert gone.code is ExitCode.FAILED, gone.story()
            assert "delete server prod-late" in str(gone.error)
            assert place.project.firewalls
            assert (await tool.delete(place, spec)).code is ExitCode.CONVERGED
            assert not place.project.servers

    run(story())


def test_a_firewall_with_a_selector_of_somebody_else_is_looked_at_before_it_goes() -> None:
    async def story() -> None:
        async with world(1, "typical") as place:
            spec = a_spec(3, 1)
            assert (await tool.create(place, spec)).code is ExitCode.CONVERGED
            firewall = next(iter(place.project.firewalls))
            other = {"type": "label_selector", "label_selector": {"selector": "mine=yes"}}
            body = json.dumps({"apply_to": [other]}).encode()
            ask(place, "POST", f"/firewalls/{firewall}/actions/apply_to_resources", body)
            await asyncio.sleep(30)
            gone = await tool.delete(place, spec)
            assert gone.code is ExitCode.CONVERGED, gone.story()
            assert _requests(gone)["GET /firewalls/{id}"] == 1

    run(story())
