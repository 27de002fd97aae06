"""What the API does to a server happens to the host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.realhosts.lab_servers import Keys, done, make_keys, make_network, make_server, ssh, wait_booted, wait_until

from hetzner_k3s.lab.realhosts import lifecycle
from hetzner_k3s.lab.realhosts.handle import HostHandle, LabHandle

_DATA = "/var/lib/rancher/data"

_LIKE_A_KUBELET = f"""
set -e
cd /var/lib/rancher
mkdir lower upper work merged
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
umount merged
for controller in cpu memory pids cpuset; do
    pod=/sys/fs/cgroup/$controller/pod
    [ ! -d "${{pod%/pod}}" ] || {{ mkdir "$pod"; rmdir "$pod"; }}
done
test -e /dev/kmsg -a -e /dev/fuse
modprobe br_netfilter
test "$(cat /proc/sys/vm/overcommit_memory)" = 1
findmnt --noheadings --output PROPAGATION / | grep shared
echo kept >{_DATA}
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def host(lab: LabHandle, keys: Keys) -> Iterator[HostHandle]:
    lab.reset()
    made = make_server(lab, "box", keys, networks=[make_network(lab)])
    wait_booted(made)
    made.exec(f"mkdir -p /var/lib/rancher && echo kept >{_DATA}", check=True)
    yield made
    lab.reset()


def status(lab: LabHandle) -> str:
    state: str = lab.servers()["box"]["status"]
    return state


def boot_id(host: HostHandle) -> str:
    return host.exec("cat /proc/sys/kernel/random/boot_id", check=True).stdout


def wait_rebooted(host: HostHandle, before: str) -> None:
    other = f"test $(cat /proc/sys/kernel/random/boot_id) != {before.strip()}"
    wait_until(lambda: done(host, other))
    wait_booted(host)


def assert_same_disk(host: HostHandle) -> None:
    assert host.exec(f"cat {_DATA}").stdout == "kept\n"
    assert host.exec("cat /root/runs").stdout == "run\n", "cloud-init runs user data once a disk"


def test_power_off_and_on_keep_the_disk(lab: LabHandle, host: HostHandle, keys: Keys) -> None:
    host.power_off()
    assert status(lab) == "off"
    assert ssh(lab, host, keys, "true").returncode == 4
    host.power_on()
    wait_booted(host)
    assert status(lab) == "running"
    assert_same_disk(host)


def test_a_killed_host_is_seen_off(lab: LabHandle, host: HostHandle) -> None:
    host.kill()
    wait_until(lambda: status(lab) == "off")


def test_a_frozen_host_can_be_reset(lab: LabHandle, host: HostHandle) -> None:
    before = boot_id(host)
    host.freeze()
    lab.act("box", "reset")
    wait_rebooted(host, before)
    assert_same_disk(host)


def test_shutdown_is_graceful(lab: LabHandle, host: HostHandle) -> None:
    host.exec("systemd-run --property=ExecStop='/bin/touch /root/stopped' sleep 1000", check=True)
    lab.act("box", "shutdown")
    wait_until(lambda: status(lab) == "off")
    host.power_on()
    wait_booted(host)
    assert host.exec("ls /root/stopped").returncode == 0


@pytest.mark.parametrize("how", ["api reboot", "api reset", "inside"])
def test_reboots_come_back_with_the_disk_and_fresh_interfaces(lab: LabHandle, host: HostHandle, how: str) -> None:
    before = boot_id(host)
    host.exec("ip address add 203.0.113.5/32 dev eth0", check=True)
    if how == "inside":
        assert host.exec("systemctl reboot").returncode == 0
    else:
        lab.act("box", how.removeprefix("api "))
    wait_rebooted(host, before)
    assert status(lab) == "running"
    assert_same_disk(host)
    assert "203.0.113.5" not in host.exec("ip address").stdout
    assert host.exec("ip route get 10.0.0.9").returncode == 0


def test_a_command_inside_ends_with_the_host(host: HostHandle) -> None:
    with ThreadPoolExecutor() as background:
        sleeping = background.submit(host.exec, "sleep 1000")
        wait_until(lambda: done(host, "pgrep -f 'sleep 1000'"))
        host.exec("systemctl reboot", check=True)
        assert sleeping.result(timeout=30).returncode == -9


def test_rebuild_replaces_the_disk_and_keeps_the_addresses(lab: LabHandle, host: HostHandle, keys: Keys) -> None:
    before = lab.servers()["box"]
    machine_id = host.exec("cat /etc/machine-id").stdout
    lab.act("box", "rebuild", {"image": "debian-13"})
    wait_booted(host)
    after = lab.servers()["box"]
    assert host.exec(f"cat {_DATA}").returncode != 0
    assert host.exec("cat /etc/machine-id").stdout != machine_id
    assert (after["id"], after["public_net"]["ipv4"]["ip"]) == (before["id"], before["public_net"]["ipv4"]["ip"])
    assert after["private_net"][0]["ip"] == before["private_net"][0]["ip"]
    assert ssh(lab, host, keys, "true").returncode == 0


def test_a_recycled_name_starts_from_nothing(lab: LabHandle, host: HostHandle, keys: Keys) -> None:
    lab.finish(lab.client.api("DELETE", f"/servers/{host.facts['id']}")["action"])
    again = make_server(lab, "box", keys)
    wait_booted(again)
    assert again.exec(f"cat {_DATA}").returncode != 0


def test_private_network_is_plugged_while_the_host_runs(lab: LabHandle, host: HostHandle) -> None:
    network = make_network(lab, "second", "10.9.0.0/16")
    lab.act("box", "attach_to_network", {"network": network})
    assert "10.9.0.2/32" in host.exec("ip -brief address show enp8s0").stdout
    lab.act("box", "detach_from_network", {"network": network})
    assert host.exec("ip link show enp8s0").returncode != 0


def test_a_real_k3s_finds_what_it_needs(tmp_path: Path, keys: Keys) -> None:
    """With --k3s-binary: the file is served, data lies on a native disk, overlays and control groups can be made."""
    binary = tmp_path / "k3s"
    binary.write_bytes(b"#!/bin/sh\necho real\n")
    folder = tmp_path / "state"
    try:
        lab = LabHandle(lifecycle.up(folder, "instant", binary, say=sys.stderr.write))
        box = make_server(lab, "box", keys)
        wait_booted(box)
        url = "https://github.com/k3s-io/k3s/releases/download/v1.36.3+k3s1/k3s"
        assert box.exec(f"curl --silent --fail {url} | sh").stdout == "real\n"
        box.exec(_LIKE_A_KUBELET, check=True)
        box.power_off()
        box.power_on()
        wait_booted(box)
        assert box.exec(f"cat {_DATA}").stdout == "kept\n"
        lab.act("box", "rebuild", {"image": "debian-13"})
        wait_booted(box)
        assert box.exec("ls -A /var/lib/rancher").stdout == ""
    finally:
        lifecycle.down(folder)
