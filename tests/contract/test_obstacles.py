"""What stands in the way of a deletion, as the product's adapter reads it and keeps to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import requests

from hetzner_k3s.model.errors import CloudConflict

from .running_lab import TOKEN, Lab
from .test_hetzner_adapter import SSH_RULE, cloud_of, order_of, run


def test_what_is_protected_and_who_uses_what_is_read(lab: Lab) -> None:
    """By `delete`, which names all that stands in its way before anything is gone."""

    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        ours = await cloud.create_server(order)
        theirs = await cloud.create_server(replace(order, name="theirs", labels={}))
        firewall = await cloud.create_firewall("demo", [SSH_RULE], "cluster=demo", {})
        balancer = await cloud.create_load_balancer("demo-api", "fsn1", order.network, "cluster=demo", {})
        _act(lab, f"/firewalls/{firewall.id}/actions/apply_to_resources", apply_to=[_as_target(theirs.id)])
        _act(lab, f"/load_balancers/{balancer.id}/actions/add_target", **_as_target(theirs.id))
        for path in (f"/networks/{order.network}", f"/load_balancers/{balancer.id}", f"/servers/{ours.id}"):
            both = {"delete": True} | ({"rebuild": True} if "servers" in path else {})
            _act(lab, f"{path}/actions/change_protection", **both)
        await asyncio.sleep(1)
        view = await cloud.survey()
        assert view.firewalls[0].servers == {ours.id, theirs.id}
        assert view.load_balancers[0].servers == {ours.id, theirs.id}
        assert (view.networks[0].protected, view.load_balancers[0].protected) == (True, True)
        assert [server.protected for server in view.servers] == [True, False]

    run(story())


def test_a_firewall_is_never_taken_off_a_server_that_stays(lab: Lab) -> None:
    """It was: somebody else's server stood open to the internet after `delete`."""

    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        theirs = await cloud.create_server(replace(order, name="theirs", labels={}))
        firewall = await cloud.create_firewall("demo", [SSH_RULE], "cluster=demo", {})
        _act(lab, f"/firewalls/{firewall.id}/actions/apply_to_resources", apply_to=[_as_target(theirs.id)])
        with pytest.raises(CloudConflict, match=f"on servers that are not deleted with it: {theirs.id}"):
            await cloud.delete("firewall", firewall.id)
        assert (await cloud.survey()).firewalls[0].servers == {theirs.id}

    run(story())


def _as_target(server_id: int) -> dict[str, Any]:
    return {"type": "server", "server": {"id": server_id}}


def _act(lab: Lab, path: str, **body: Any) -> None:
    answer = requests.post(f"{lab.api}{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    assert answer.ok, answer.text
