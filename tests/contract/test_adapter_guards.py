"""What the product's Hetzner adapter must not take for an absence, a success or an end, each over HTTP in the lab."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from hetzner_k3s.model.errors import CloudError, CloudRefused, CloudUnavailable

from .running_lab import Lab
from .test_hetzner_adapter import SSH_RULE, cloud_of, fault, order_of, requests_of, run

NOBODY = 999_999


@pytest.mark.parametrize("code", ["server_error", "unavailable", "forbidden", "locked"])
def test_a_server_that_cannot_be_asked_for_is_not_absent(lab: Lab, code: str) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        server = await cloud.create_server(await order_of(cloud))
        assert not await cloud.server_exists(NOBODY)
        fault(lab, effect="error", method="GET", path=r"/servers/\d+", code=code, always=True)
        for number in (server.id, NOBODY):
            with pytest.raises(CloudError):
                await cloud.server_exists(number)

    run(story())


KINDS = ("server", "load_balancer", "firewall", "network", "placement_group", "ssh_key")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["server_error", "forbidden"])
def test_a_deletion_that_failed_is_no_success(lab: Lab, kind: str, code: str) -> None:
    path = f"/{kind}s/{NOBODY}"
    run(cloud_of(lab).delete(kind, NOBODY))  # what is absent is deleted
    fault(lab, effect="error", method="*", path=path, code=code, always=True)
    with pytest.raises(CloudError, match=code):
        run(cloud_of(lab).delete(kind, NOBODY))


def test_a_protected_server_is_seen_as_such_and_not_deleted(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        server = await cloud.create_server(await order_of(cloud))
        assert not server.protected
        action = await asyncio.to_thread(
            lab.send, "POST", f"/servers/{server.id}/actions/change_protection", json={"delete": True, "rebuild": True}
        )
        assert action.ok
        (listed,) = (await cloud.survey()).servers
        assert listed.protected
        with pytest.raises(CloudRefused) as refused:
            await cloud.delete("server", server.id)
        assert refused.value.code == "protected"
        assert await cloud.server_exists(server.id)

    run(story())


async def _ask(lab: Lab, server_id: int, what: str, **body: object) -> None:
    answer = await asyncio.to_thread(lab.send, "POST", f"/servers/{server_id}/actions/{what}", json=body)
    assert answer.ok, answer.text
    number = answer.json()["action"]["id"]
    for _ in range(200):
        action = (await asyncio.to_thread(lab.send, "GET", f"/actions/{number}")).json()["action"]
        if action["status"] != "running":
            return
        await asyncio.sleep(0.02)


def test_only_a_rebuild_that_succeeded_counts_as_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member with its boot key is believed to have been rebuilt, and its data to be gone, on this answer."""

    async def broken(*_: object) -> None:
        raise RuntimeError("no disk")

    async def story() -> None:
        cloud = cloud_of(lab)
        server = await cloud.create_server(await order_of(cloud))
        for what in ("poweroff", "poweron", "reset"):
            await _ask(lab, server.id, what)
        assert await cloud.last_rebuild(server.id) is None
        with monkeypatch.context() as patched:
            patched.setattr(lab.machines, "rebuild", broken)
            await _ask(lab, server.id, "rebuild", image="debian-13")
        assert await cloud.last_rebuild(server.id) is None
        await _ask(lab, server.id, "rebuild", image="debian-13")
        assert await cloud.last_rebuild(server.id) is not None

    run(story())


def test_a_server_is_shut_down_given_another_type_and_started(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        server = await cloud.create_server(await order_of(cloud))
        with pytest.raises(CloudRefused, match="must be stopped"):
            await cloud.change_type(server.id, "cpx32")
        await cloud.shut_down(server.id)
        await cloud.power_off(server.id)
        await cloud.change_type(server.id, "cpx32")
        await cloud.power_on(server.id)
        (now,) = await cloud.servers()
        assert (now.server_type, now.disk) == ("cpx32", server.disk)

    run(story())


def test_an_action_that_is_not_listed_is_no_success(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        server = await cloud.create_server(await order_of(cloud))
        await _ask(lab, server.id, "poweroff")
        fault(lab, effect="incomplete_page", method="GET", path="/actions", entries=50, always=True)
        with pytest.raises(CloudUnavailable, match="does not know action"):
            await cloud.power_on(server.id)

    run(story())


def test_rules_of_a_firewall_are_set_when_their_actions_have_ended(lab: Lab) -> None:
    """Else a look right after shows old rules as the file's, and what depends on them goes on."""

    async def story() -> None:
        cloud = cloud_of(lab)
        firewall = await cloud.create_firewall("demo", [SSH_RULE], "cluster=demo", {})
        await cloud.create_server(await order_of(cloud))
        fault(lab, effect="error", method="GET", path="/actions", code="service_error", always=True)
        with pytest.raises(CloudUnavailable, match="service_error"):
            await cloud.set_firewall_rules(firewall.id, [SSH_RULE, replace(SSH_RULE, port="80")])

    run(story())
    assert requests_of(lab, "POST", "/firewalls")
