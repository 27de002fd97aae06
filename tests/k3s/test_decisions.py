"""The decisions of a starting, joining, leading server: start, membership, election, configuration, flags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.control import cloud, election
from hetzner_k3s.lab.k3s.control.election import Move, Seen
from hetzner_k3s.lab.k3s.etcd import membership
from hetzner_k3s.lab.k3s.etcd.membership import Join
from hetzner_k3s.lab.k3s.etcd.port import Launch, Member
from hetzner_k3s.lab.k3s.etcd.real import Settings, configuration
from hetzner_k3s.lab.k3s.node import load_balancer
from hetzner_k3s.lab.k3s.serving import startup
from hetzner_k3s.lab.k3s.serving.startup import Disk, Start, Wish
from hetzner_k3s.lab.k3s.setup import critical_config, flags, timing
from hetzner_k3s.lab.k3s.setup.paths import Layout

from .recording import http, messages

M1 = Member(1, "master1-473a3449", ("https://10.0.0.2:2380",))
M2 = Member(2, "master2-9422a766", ("https://10.0.0.3:2380",))
M3 = Member(3, "master3-503d1464", ("https://10.0.0.4:2380",))


@pytest.mark.parametrize(
    ("disk", "wish", "expected"),
    [
        (Disk(), Wish(), Start.NEW_CLUSTER),
        (Disk(), Wish(server="https://a:6443"), Start.JOIN),
        (Disk(wal=True), Wish(), Start.EXISTING_MEMBER),
        (Disk(wal=True), Wish(server="https://a:6443"), Start.EXISTING_MEMBER),
        (Disk(wal=True, reset_flag=True), Wish(), Start.EXISTING_MEMBER),
        (Disk(wal=True, tombstone=True), Wish(server="https://a:6443"), Start.REJOIN_AFTER_REMOVAL),
        (Disk(wal=True), Wish(cluster_reset=True), Start.RESET),
        (Disk(), Wish(cluster_reset=True), Start.RESET),
    ],
)
def test_start(disk: Disk, wish: Wish, expected: Start) -> None:
    assert startup.decide(disk, wish) is expected


@pytest.mark.parametrize(
    ("disk", "wish", "text"),
    [
        (Disk(wal=True, tombstone=True), Wish(), "tombstone file has been detected but --server is empty"),
        (Disk(wal=True), Wish(server="https://a:6443", cluster_reset=True), "--server"),
        (Disk(wal=True, reset_flag=True), Wish(cluster_reset=True), "was already reset"),
    ],
)
def test_refused_start(disk: Disk, wish: Wish, text: str) -> None:
    with pytest.raises(startup.Refused, match=text):
        startup.decide(disk, wish)


@pytest.mark.parametrize(
    ("journal", "start"), [("journal_first_server_start", Start.NEW_CLUSTER), ("journal_join_m2", Start.JOIN)]
)
def test_announcement_is_the_recorded_one(recordings: Path, journal: str, start: Start) -> None:
    said = messages((recordings / "host" / f"{journal}.txt").read_text())
    assert ("info", startup.announcement(start)) in said


def test_join_as_learner() -> None:
    assert membership.plan_join((M1,), "master2-9422a766", "10.0.0.3") is Join.ADD


def test_a_name_of_an_earlier_life_is_fatal() -> None:
    with pytest.raises(membership.DuplicateName, match="duplicate node name found"):
        membership.plan_join((M1, M2, M3), "master1-d04311b3", "10.0.0.2")
    with pytest.raises(membership.DuplicateName):
        membership.plan_join((M1, M2, M3), "master1-d04311b3", "10.0.0.99")


def test_an_unstarted_member_at_this_address_is_adopted() -> None:
    unstarted = Member(9, "", ("https://10.0.0.3:2380",), learner=True)
    assert membership.plan_join((M1, unstarted), "master2-9422a766", "10.0.0.3") is Join.ADOPT
    assert membership.plan_join((M1, unstarted), "master3-503d1464", "10.0.0.4") is Join.ADD


def test_the_same_member_again_is_not_added_twice() -> None:
    assert membership.plan_join((M1, M2), "master2-9422a766", "10.0.0.3") is Join.ADOPT


def test_what_a_joiner_waits_for() -> None:
    assert membership.is_retried("etcdserver: too many learner members in cluster")
    assert membership.is_retried("etcdserver: unhealthy cluster")
    assert not membership.is_retried("etcdserver: Peer URLs already exists")


def test_the_leader_promotes_the_dead_too() -> None:
    learner = Member(4, "master4-1dfce60e", ("https://10.0.0.6:2380",), learner=True)
    unnamed = Member(5, "", ("https://10.0.0.7:2380",), learner=True)
    assert membership.to_promote((M1, learner, unnamed)) == (learner,)


def test_a_deleted_node_takes_only_its_own_member() -> None:
    assert membership.to_remove((M1, M2), "master2-9422a766", "10.0.0.3") == M2
    assert membership.to_remove((M1, M2), "master2-9422a766", "10.0.0.99") is None
    assert membership.to_remove((M1, M2), "master2-00000000", "10.0.0.3") is None


def test_connection_test_of_a_joiner() -> None:
    assert membership.connection_stalls(3, learner=True)
    assert membership.connection_stalls(2, learner=False)
    assert not membership.connection_stalls(3, learner=False)


def test_voter_conditions_are_the_recorded_ones(recordings: Path) -> None:
    watched = (recordings / "runs" / "05_watch_m1.txt").read_text()
    assert str((membership.VOTER.status, membership.VOTER.reason, membership.VOTER.message)) in watched
    gone = membership.voter_condition((M1, M2), "master3-503d1464")
    assert str((gone.status, gone.reason, gone.message)) in watched


def lease(holder: str, renewed: str = "t1") -> dict[str, Any]:
    return {"spec": {"holderIdentity": holder, "renewTime": renewed}}


def test_a_lease_is_taken_over_only_after_its_full_duration_by_the_own_clock() -> None:
    memory = election.observe(Seen(), lease("master1"), now=100.0)
    assert election.decide(lease("master1"), "master2", memory, 45, now=144.9) is Move.WAIT
    assert election.decide(lease("master1"), "master2", memory, 45, now=145.0) is Move.TAKE
    renewed = election.observe(memory, lease("master1", "t2"), now=144.0)
    assert election.decide(lease("master1", "t2"), "master2", renewed, 45, now=150.0) is Move.WAIT


def test_own_free_and_missing_leases() -> None:
    assert election.decide(None, "master2", Seen(), 45, 0.0) is Move.CREATE
    assert election.decide(lease("master2"), "master2", Seen(), 45, 0.0) is Move.RENEW
    assert election.decide(lease(""), "master2", Seen(), 45, 0.0) is Move.TAKE


def test_a_leader_that_could_not_renew_gives_up() -> None:
    assert not election.is_lost(100.0, 10, 110.0)
    assert election.is_lost(100.0, 10, 110.1)


def test_own_configuration_equals_the_recorded_answer(recordings: Path) -> None:
    recorded = http(recordings / "http" / "local_node_v1-k3s_config.txt").json
    mine = critical_config.describe(recorded_flags(), "master1", "10.0.0.2", recorded["IPSECPSK"])
    for key in (
        "SANs",
        "AdvertiseIP",
        "ServerNodeName",
        "IPSECPSK",
        *critical_config.describe(flags.Flags(), "x", "10.0.0.2"),
    ):
        if key not in ("SANs", "ClusterInit"):
            assert mine[key] == recorded[key], key
    assert set(mine["SANs"]) <= set(recorded["SANs"])
    assert critical_config.mismatches(mine, recorded) == []


def recorded_flags(**changes: Any) -> flags.Flags:
    base = {
        "tls-san": ["10.0.0.2", "198.51.100.11", "api.lab.example"],
        "disable": ["traefik", "servicelb", "metrics-server", "local-storage"],
        "disable-cloud-controller": True,
        "write-kubeconfig-mode": "0600",
    }
    return flags.merge("server", base | {key.replace("_", "-"): value for key, value in changes.items()}, {}, [])


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        (
            {"cluster_cidr": "10.50.0.0/16", "flannel_backend": "wireguard-native"},
            {"flannel-backend", "ClusterIPRanges.slice[0].IP.slice[13]", "ClusterIPRange.IP.slice[13]"},
        ),
        ({"secrets_encryption": True}, {"secrets-encryption"}),
        ({"disable": ["traefik"]}, {"disable-service-lb"}),
    ],
)
def test_mismatches_in_k3s_words(recordings: Path, changes: dict[str, Any], names: set[str]) -> None:
    theirs = http(recordings / "http" / "local_node_v1-k3s_config.txt").json
    assert (
        set(critical_config.mismatches(critical_config.describe(recorded_flags(**changes), "m", "10.0.0.4"), theirs))
        == names
    )
    said = (recordings / "runs" / "11.log").read_text()
    assert names == {"disable-service-lb"} or all(
        f"critical configuration mismatched: {name}" in said for name in names
    )


def test_command_line_over_environment_over_file() -> None:
    document = {"token": "file", "node-label": ["a=1", "b=2"], "disable-cloud-controller": True}
    merged = flags.merge(
        "server", document, {"K3S_TOKEN": "environment", "K3S_CLUSTER_INIT": "true"}, ["--node-ip", "10.0.0.2"]
    )
    assert merged.text("token") == "environment"
    assert merged.on("cluster-init")
    assert merged.many("node-label") == ("a=1", "b=2")
    assert (
        flags.merge("server", document, {"K3S_TOKEN": "environment"}, ["--token=argument"]).text("token") == "argument"
    )


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(flags.UnknownFlag, match="flag provided but not defined: -clutser-init"):
        flags.merge("server", {"clutser-init": True}, {}, [])


def test_every_recorded_flag_of_the_server_is_known(recordings: Path) -> None:
    listed = re.findall(r"^ {3}--([a-z0-9-]+)", (recordings / "host" / "server_help.txt").read_text(), re.MULTILINE)
    assert set(listed) - flags.KNOWN["server"] == {"help"}


def test_a_real_k3s_restricts_what_a_kubelet_may_write(recordings: Path) -> None:
    """Our note of labels and taints relies on it (docs/security.md): a kubelet sets no label of that domain."""
    for journal in ("journal_first_server_start", "journal_join_m2"):
        recorded = (recordings / "host" / f"{journal}.txt").read_text()
        assert re.search(r"admission controller\(s\) successfully in the following order: .*NodeRestriction", recorded)


def test_node_arguments_hide_the_token(recordings: Path) -> None:
    document = {
        "cluster-init": True,
        "token": "secret",
        "node-name": "master1",
        "kubelet-arg": ["cloud-provider=external"],
    }
    shown = flags.node_arguments("server", flags.merge("server", document, {}, []))
    assert shown[:6] == ["server", "--cluster-init", "true", "--token", "********", "--node-name"]
    assert "secret" not in " ".join(shown)


def test_log_lines_have_logrus_form(recordings: Path) -> None:
    recorded = (recordings / "host" / "journal_first_server_start.txt").read_text()
    assert logfmt.render("info", "Starting etcd for new cluster, cluster-reset=false", {}, 1795467553) in recorded
    assert logfmt.render("info", "start", {}, 1795467553) in recorded
    duplicate = logfmt.render("error", f'Shutdown request received: "{membership.DUPLICATE}"', {}, 0).partition(" ")[2]
    assert duplicate in (recordings / "runs" / "03_join_duplicate.journal.txt").read_text()


def test_agent_keeps_living_servers_in_their_order() -> None:
    assert load_balancer.merged(["a", "b", "c"], ["d", "c", "b"]) == ["b", "c", "d"]


def test_a_server_that_does_not_answer_loses_its_turn(tmp_path: Path) -> None:
    chosen = load_balancer.Balancer(tmp_path / "lb.json", "https://10.0.0.2:6443")
    assert chosen.candidates() == ["https://10.0.0.2:6443"]
    chosen.replace(["10.0.0.2:6443", "10.0.0.3:6443"])
    chosen.failed("https://10.0.0.2:6443")
    assert chosen.candidates() == ["https://10.0.0.3:6443", "https://10.0.0.2:6443"]
    again = load_balancer.Balancer(tmp_path / "lb.json", "https://10.0.0.2:6443")
    again.load()
    assert again.addresses == ["10.0.0.2:6443", "10.0.0.3:6443"]


def test_cloud_controller_needs_deployment_and_secret() -> None:
    secret = {"data": {"token": "", "network": ""}}
    assert cloud.is_installed({"kind": "Deployment"}, secret)
    assert not cloud.is_installed(None, secret)
    assert not cloud.is_installed({"kind": "Deployment"}, None)
    assert not cloud.is_installed({"kind": "Deployment"}, {"data": {"token": ""}})


def test_typical_etcd_has_the_recorded_raft_clock(recordings: Path) -> None:
    settings = Settings(Layout(), "10.0.0.2", True, timing.TYPICAL.heartbeat_ms, timing.TYPICAL.election_ms)
    mine = configuration(settings, Launch("master1-473a3449"))
    recorded = (recordings / "host" / "etcd_config_m1.txt").read_text()
    assert f"heartbeat-interval: {mine['heartbeat-interval']}\n" in recorded
    assert f"election-timeout: {mine['election-timeout']}\n" in recorded
    assert "initial-cluster" not in mine


@pytest.mark.parametrize(("text", "profile"), [("instant\n", timing.INSTANT), ("typical", timing.TYPICAL)])
def test_latency_profile_of_a_host(tmp_path: Path, text: str, profile: timing.Timing) -> None:
    (tmp_path / "latency").write_text(text)
    assert timing.load(tmp_path / "latency") is profile
    assert timing.load(tmp_path / "none") is timing.INSTANT
    (tmp_path / "latency").write_text("slow")
    with pytest.raises(ValueError, match="unknown latency profile"):
        timing.load(tmp_path / "latency")
