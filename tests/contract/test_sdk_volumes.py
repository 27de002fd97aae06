"""The official SDK makes, attaches, resizes and deletes volumes."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hcloud import Client
from hcloud.locations import Location
from hcloud.volumes import BoundVolume

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.lab.cloud.limits import Quotas
from hetzner_k3s.lab.realhosts.system import SystemClock
from hetzner_k3s.model.hetzner.belongings import Address, Volume
from hetzner_k3s.model.secrets import Secret

from .orders import make_server, order_server, refusal
from .running_lab import TOKEN, Lab, SeededRng
from .virtual_time import SteppedCloud

NUREMBERG = Location(name="nbg1")


def make_volume(client: Client, name: str, **more: Any) -> BoundVolume:
    """Ask for 10 GB, in Nuremberg where no server says otherwise, and wait until all its actions are over."""
    if "server" not in more:
        more.setdefault("location", NUREMBERG)
    response = client.volumes.create(10, name, **more)
    for action in (response.action, *response.next_actions):
        action.wait_until_finished()
    return client.volumes.get_by_id(response.volume.id)


def test_a_volume_is_made_and_found_by_name_label_and_status(client: Client) -> None:
    response = client.volumes.create(10, "pvc-1", location=NUREMBERG, format="ext4")
    assert (response.volume.status, response.action.command, response.next_actions) == ("creating", "create_volume", [])
    response.action.wait_until_finished()
    volume = client.volumes.get_by_name("pvc-1")
    assert (volume.status, volume.size, volume.format, volume.server) == ("available", 10, "ext4", None)
    assert volume.linux_device == f"/dev/disk/by-id/scsi-0HC_Volume_{volume.id}"
    assert volume.location.name == "nbg1"
    assert volume.update(name="pvc.1", labels={"pvc": "data-web-0"}).labels == {"pvc": "data-web-0"}
    assert [found.id for found in client.volumes.get_all(label_selector="pvc", status=["available"])] == [volume.id]
    assert client.volumes.get_all(status=["creating"]) == []


def test_a_volume_made_for_a_server_is_attached_there(client: Client) -> None:
    server = make_server(client, "demo", location=Location(name="hel1"))
    response = client.volumes.create(10, "data", server=server, automount=True)
    assert [action.command for action in response.next_actions] == ["attach_volume"]
    for action in (response.action, *response.next_actions):
        action.wait_until_finished()
    volume = client.volumes.get_by_name("data")
    assert (volume.server.id, volume.location.name) == (server.id, "hel1")
    assert [found.id for found in client.servers.get_by_id(server.id).volumes] == [volume.id]


def test_a_volume_moves_from_server_to_server_by_detaching_first(client: Client) -> None:
    one, two = make_server(client, "one"), make_server(client, "two")
    volume = make_volume(client, "data", server=one)
    assert refusal(volume.attach, two).code == "volume_already_attached"
    assert refusal(volume.delete).code == "locked"
    volume.detach().wait_until_finished()
    assert client.servers.get_by_id(one.id).volumes == []
    assert refusal(volume.detach).code == "volume_not_attached"
    volume.attach(two).wait_until_finished()
    assert client.volumes.get_by_id(volume.id).server.id == two.id
    assert [found.id for found in client.servers.get_by_id(two.id).volumes] == [volume.id]


def test_a_server_is_ordered_with_its_volumes(client: Client) -> None:
    volume = make_volume(client, "data")
    response = order_server(client, "demo", volumes=[volume])
    assert [action.command for action in response.next_actions] == ["attach_volume", "start_server"]
    for action in (response.action, *response.next_actions):
        action.wait_until_finished()
    assert [found.id for found in client.servers.get_by_name("demo").volumes] == [volume.id]
    assert refusal(order_server, client, "other", volumes=[volume]).code == "volume_already_attached"
    elsewhere = make_volume(client, "elsewhere", location=Location(name="fsn1"))
    assert refusal(order_server, client, "other", volumes=[elsewhere]).code == "invalid_input"
    assert client.servers.get_by_name("other") is None


def test_a_deleted_server_leaves_its_volumes_behind(client: Client) -> None:
    server = make_server(client, "demo")
    volume = make_volume(client, "data", server=server)
    server.delete().wait_until_finished()
    left = client.volumes.get_by_id(volume.id)
    assert (left.server, left.status) == (None, "available")
    assert left.delete()
    assert client.volumes.get_all() == []


def test_server_and_volume_are_locked_while_they_come_together() -> None:
    stepped = SteppedCloud()
    server = stepped.order()["server"]["id"]
    made = stepped.ask("POST", "/volumes", name="data", size=10, location="nbg1")["volume"]
    stepped.settle()
    path = f"/volumes/{made['id']}"
    stepped.ask("POST", f"{path}/actions/attach", server=server)
    assert stepped.server(server)["locked"] is True
    assert stepped.server(server)["volumes"] == []
    busy = [("DELETE", path), ("POST", f"{path}/actions/resize"), ("POST", f"/servers/{server}/actions/reboot")]
    assert [stepped.ask(method, where, size=20)["error"]["code"] for method, where in busy] == ["locked"] * 3
    stepped.settle()
    assert stepped.server(server)["volumes"] == [made["id"]]


@pytest.mark.parametrize("made_for_it", [False, True])
def test_a_volume_is_free_again_when_its_server_goes_while_it_is_attached(made_for_it: bool) -> None:
    stepped = SteppedCloud()
    server = stepped.order()["server"]["id"]
    stepped.settle()
    place = {"server": server} if made_for_it else {"location": "nbg1"}
    number = stepped.ask("POST", "/volumes", name="data", size=10, **place)["volume"]["id"]
    if not made_for_it:
        stepped.settle()
        stepped.ask("POST", f"/volumes/{number}/actions/attach", server=server)
    stepped.ask("DELETE", f"/servers/{server}")
    stepped.settle()
    attaching = stepped.ask("GET", f"/volumes/{number}/actions")["actions"][-1]
    assert (attaching["command"], attaching["status"]) == ("attach_volume", "error")
    assert attaching["error"]["code"] == "server_does_not_exist_anymore"
    other = stepped.order("other", volumes=[number])["server"]["id"]
    stepped.settle()
    assert stepped.server(other)["volumes"] == [number]


def test_a_project_has_its_quota_of_volumes() -> None:
    stepped = SteppedCloud(quotas=Quotas(volumes=1))
    stepped.ask("POST", "/volumes", name="data", size=10, location="nbg1")
    refused = stepped.ask("POST", "/volumes", name="more", size=10, location="nbg1")
    assert refused["error"]["code"] == "resource_limit_exceeded"


def test_a_volume_only_grows(client: Client) -> None:
    volume = make_volume(client, "data")
    assert [refusal(volume.resize, size).code for size in (9, 10, 10_241)] == ["invalid_input"] * 3
    volume.resize(20).wait_until_finished()
    assert client.volumes.get_by_id(volume.id).size == 20


def test_a_protected_volume_stays(client: Client) -> None:
    volume = make_volume(client, "data")
    volume.change_protection(delete=True).wait_until_finished()
    assert refusal(volume.delete).code == "protected"
    volume.change_protection(delete=False).wait_until_finished()
    assert volume.delete()


def test_a_server_takes_sixteen_volumes_of_its_own_location(client: Client) -> None:
    server = make_server(client, "demo")
    for number in range(16):
        make_volume(client, f"data{number}", server=server)
    one_more = make_volume(client, "one-more")
    assert refusal(one_more.attach, server).code == "limit_exceeded_error"
    assert refusal(client.volumes.create, 10, "another", server=server).code == "limit_exceeded_error"
    elsewhere = make_volume(client, "elsewhere", location=Location(name="fsn1"))
    assert refusal(elsewhere.attach, make_server(client, "other")).code == "invalid_input"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"name": "data"}, "uniqueness_error"),
        ({"size": 9}, "invalid_input"),
        ({"size": 10_241}, "invalid_input"),
        ({"name": "-data"}, "invalid_input"),
        ({"name": "a" * 65}, "invalid_input"),
        ({"format": "btrfs"}, "invalid_input"),
        ({"location": None}, "invalid_input"),
        ({"automount": True}, "invalid_input"),
        ({"server": 4711}, "not_found"),
    ],
)
def test_a_wrong_order_is_refused(lab: Lab, client: Client, order: dict[str, Any], code: str) -> None:
    make_volume(client, "data")
    answer = lab.send("POST", "/volumes", json={"size": 10, "name": "more", "location": "nbg1", **order})
    assert answer.json()["error"]["code"] == code
    assert [volume.name for volume in client.volumes.get_all()] == ["data"]


def test_the_lab_shows_them_past_the_api(lab: Lab, client: Client) -> None:
    """A reset of the lab finds what it deletes there."""
    volume = make_volume(client, "data")
    assert [found["id"] for found in lab.admin("GET", "/state/main/volumes").json()["resources"]] == [volume.id]


def test_our_adapter_sees_what_servers_use_and_leave_behind(lab: Lab, client: Client) -> None:
    """`delete` tells of all of it, and takes by consent what Kubernetes made."""
    server = make_server(client, "demo")
    volume = make_volume(client, "data", server=server, labels={"managed-by": "csi-driver"})
    volume.change_protection(delete=True).wait_until_finished()
    made = client.floating_ips.create("ipv4", name="mail", server=server)
    made.action.wait_until_finished()
    kept = client.primary_ips.create(type="ipv6", name="kept", location=NUREMBERG).primary_ip
    cloud = HetznerCloud(Secret(TOKEN), clock=SystemClock(), rng=SeededRng(7), endpoint=lab.api)
    seen = asyncio.run(cloud.belongings())
    assert seen.volumes == (
        Volume(id=volume.id, name="data", size=10, server=server.id, labels=volume.labels, protected=True),
    )
    addresses = {address.name: address for address in seen.addresses}
    mail = made.floating_ip
    assert addresses["mail"] == Address(kind="floating_ip", id=mail.id, name="mail", ip=mail.ip, server=server.id)
    assert addresses["kept"] == Address(kind="primary_ip", id=kept.id, name="kept", ip=kept.ip)
    assert {a.goes_with_server for a in seen.addresses if a.kind == "primary_ip" and a.server == server.id} == {True}


def test_our_adapter_marks_a_volume_and_deletes_it(lab: Lab, client: Client) -> None:
    volume = make_volume(client, "data", labels={"of": "somebody"})
    cloud = HetznerCloud(Secret(TOKEN), clock=SystemClock(), rng=SeededRng(7), endpoint=lab.api)

    async def go() -> None:
        assert await cloud.merge_labels("volume", volume.id, {"marked": "yes"}) == {"of": "somebody", "marked": "yes"}
        await cloud.delete("volume", volume.id)
        await cloud.delete("volume", volume.id)  # gone is as good

    asyncio.run(go())
    assert client.volumes.get_all() == []
