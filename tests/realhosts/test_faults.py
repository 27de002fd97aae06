"""Hetzner fails: answers are lost, pages are short, nothing is in stock, another operator is at it.

One cluster stands for all of it; what is lost of it is brought back by the tests themselves.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.realhosts.cluster import Cluster, assert_whole
from tests.realhosts.killing import Call, hanging, kill_at
from tests.realhosts.standing import (
    MASTERS,
    WORKER,
    broken_api,
    last_request,
    lose,
    refused,
    standing,
    until,
    writes,
)

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER1, MASTER2, MASTER3 = MASTERS
LOCK = "demo-operator-lock"


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give the cluster that all tests of this file share."""
    with standing(lab, tmp_path_factory.mktemp("faults")) as made:
        yield made


def lost(cluster: Cluster, server: str) -> None:
    """Lose a server, unless an earlier test has left it lost."""
    if server in cluster.lab.servers():
        lose(cluster, server)


def members(cluster: Cluster) -> list[str]:
    """Read the member list as master1 tells it: ids, sorted."""
    return sorted(member.id for member in cluster.members(MASTER1))


@pytest.mark.parametrize(
    ("kind", "seen"), [("servers", "of 4 servers it showed 3"), ("networks", "of 1 networks it showed 0")]
)
def test_a_short_page_is_no_absence(kind: str, seen: str, cluster: Cluster) -> None:
    with broken_api(cluster.lab, "incomplete_page", method="GET", path=f"/{kind}", always=True):
        refused(cluster, "listing.incomplete", seen, "nothing can be proven absent")


def test_a_listing_that_fails_is_no_absence(cluster: Cluster) -> None:
    with broken_api(cluster.lab, "error", path="/servers", code="server_error", status=500, always=True):
        refused(cluster, "listing.incomplete", "server_error", "Run the command again when the Hetzner API answers")


def test_where_nothing_is_in_stock_the_cluster_stays_as_it_is(cluster: Cluster) -> None:
    before, nodes = members(cluster), set(cluster.nodes(MASTER1))
    process = cluster.process(MASTER1)
    lost(cluster, MASTER2)  # it may have led: in the election the API answers nobody
    with broken_api(cluster.lab, "unavailable"):
        done = cluster.create(expect=1)
    assert "resource_unavailable" in done.stderr
    assert f"Hetzner has no cpx22 for {MASTER2} in hel1 now" in done.stderr
    assert "What there is stays as it is." in done.stderr
    assert "Traceback" not in done.stderr
    assert (members(cluster), set(cluster.nodes(MASTER1))) == (before, nodes)
    assert cluster.process(MASTER1) == process
    assert MASTER2 not in cluster.lab.servers()
    assert no_lock(cluster)


def no_lock(cluster: Cluster) -> bool:
    """Tell whether the operator lock is free."""
    return LOCK not in {group["name"] for group in cluster.lab.resources("placement_groups")}


def test_a_lost_answer_makes_no_second_server(cluster: Cluster) -> None:
    lost(cluster, MASTER2)
    number = last_request(cluster.lab)
    with broken_api(cluster.lab, "drop", method="POST", path="/servers", always=True):
        cluster.create()
    assert writes(cluster.lab, number).count(("POST", "/servers")) == 1
    assert Counter(server["name"] for server in cluster.lab.resources("servers")) == Counter([*MASTERS, WORKER])
    assert_whole(cluster)


def _answers(code: str, status: int, **rule: Any) -> dict[str, Any]:
    return {"effect": "error", "path": "/.*", "code": code, "status": status, **rule}


TRANSIENT: dict[str, tuple[str, dict[str, Any]]] = {
    "gateways time out": (WORKER, _answers("timeout", 504, skip=10, times=3)),
    "answers get lost": (WORKER, {"effect": "drop", "path": "/.*", "skip": 10, "times": 4}),
    "the rate limit is reached": (WORKER, _answers("rate_limit_exceeded", 429, skip=10, times=4)),
    "listings fail": (MASTER3, _answers("server_error", 500, method="GET", path="/servers", skip=2, times=3)),
    "labels cannot be written": (MASTER3, _answers("unavailable", 503, method="PUT", path="/servers/.*", times=2)),
}
_QUICK = ("answers get lost", "listings fail")


@pytest.mark.parametrize(
    "fault", [fault if fault in _QUICK else pytest.param(fault, marks=pytest.mark.slow) for fault in TRANSIENT]
)
def test_what_passes_in_the_middle_of_a_run_does_not_end_it(fault: str, cluster: Cluster) -> None:
    server, rule = TRANSIENT[fault]
    lost(cluster, server)
    with broken_api(cluster.lab, **rule) as hits:
        cluster.create()
        assert hits() == rule["times"]
    assert_whole(cluster)


@pytest.mark.slow
def test_an_api_that_stays_broken_ends_the_run_and_the_next_one_goes_on(cluster: Cluster) -> None:
    lost(cluster, WORKER)
    with broken_api(cluster.lab, **_answers("server_error", 500, method="POST", path="/servers", always=True)):
        done = cluster.create(expect=1)
    assert "Hetzner failed at POST /servers" in done.stderr
    assert "Traceback" not in done.stderr
    assert no_lock(cluster)
    cluster.create()
    assert_whole(cluster)


def test_a_token_that_may_only_read_changes_nothing(cluster: Cluster) -> None:
    project = next(iter(cluster.lab.client.lab("GET", "state")["projects"]))
    cluster.lab.client.lab("POST", "tokens", {"token": "r" * 64, "project": project, "read_only": True})
    lost(cluster, WORKER)
    number, servers = last_request(cluster.lab), cluster.lab.servers()
    done = cluster.create(expect=5, token="r" * 64)
    assert "The Hetzner token may only read; make one with read and write permission." in done.stderr
    assert {request["status"] for request in cluster.lab.requests(number, writing=True)} == {403}
    assert cluster.lab.servers() == servers
    cluster.create()
    assert_whole(cluster)


@contextmanager
def another_operator(lab: LabHandle) -> Iterator[None]:
    """Hold the operator lock as a run of somebody else does, who renews it now and then."""
    labels = {"hetzner-k3s/holder": "ada-at-desk", "hetzner-k3s/run": "0123456789ab"}
    body = {"name": LOCK, "type": "spread", "labels": labels}
    number = lab.client.api("POST", "/placement_groups", body)["placement_group"]["id"]
    over = threading.Event()

    def renew() -> None:
        while not over.wait(1.0):
            later = {**labels, "hetzner-k3s/expires": str(int(time.time()) + 60)}
            lab.client.api("PUT", f"/placement_groups/{number}", {"labels": later})

    renewal = threading.Thread(target=renew)
    renewal.start()
    try:
        yield
    finally:
        over.set()
        renewal.join()
        lab.client.api("DELETE", f"/placement_groups/{number}")


def test_while_another_operator_is_at_it_nothing_is_begun(cluster: Cluster) -> None:
    lost(cluster, WORKER)
    with another_operator(cluster.lab):
        done = cluster.create(expect=4)
        assert "is being changed by ada-at-desk" in done.stderr
        assert "Wait until that run has ended" in done.stderr
        assert WORKER not in cluster.lab.servers()
    cluster.create()
    assert_whole(cluster)


@pytest.mark.slow
def test_two_runs_at_once_do_not_work_on_one_cluster(cluster: Cluster) -> None:
    """The first is held up in the middle for longer than it takes to see that it lives.

    Its order is lost, and asked for again: one whose answer alone is lost is found in a listing, and it goes on.
    """
    lost(cluster, WORKER)
    with hanging(cluster.lab, Call("POST", "/servers", carried_out=False)) as made:
        first = cluster.start("create")
        until(made, "the first run asks for a server")
        done = cluster.create(expect=4)
    assert re.search(r"demo is being changed by \w+@?\S* \(lock \d+, expires [\d:]{8} UTC\)", done.stderr)
    assert first.wait(timeout=120) == 0
    assert_whole(cluster)


@pytest.mark.slow
def test_the_lock_of_a_run_that_died_elsewhere_is_taken_over(cluster: Cluster) -> None:
    lost(cluster, WORKER)
    kill_at(cluster, Call("POST", "/servers", carried_out=False), "create")
    assert not no_lock(cluster)
    shutil.rmtree(cluster.folder / "state" / "hetzner-k3s" / "demo" / "runs")
    done = cluster.create()
    assert "watching for 60 s whether that run still lives" in done.stderr
    assert "taken over; waiting 30 s" in done.stderr
    assert_whole(cluster)


@pytest.mark.slow
def test_a_cluster_is_born_whole_although_every_first_answer_is_lost(fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path)
    with broken_api(fresh_lab, "drop", method="POST", path="/.*", always=True):
        cluster.create()
    posts = Counter(path for method, path in writes(fresh_lab, 0) if method == "POST")
    assert posts["/servers"] == 4
    assert cluster.births() == 1
    assert_whole(cluster)
