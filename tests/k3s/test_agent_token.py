"""A cluster with an agent token: who may read what, and what a restore needs (recordings second/32, 33, 35, 36)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hetzner_k3s.lab.k3s.trust import bootstrap

from .clusters import SERVER, TOKEN, birth, join, start_worker, token_of, work
from .rig import PASSWORD, Host, Rig, eventually

pytestmark = pytest.mark.realhosts

AGENTS = "only-for-agents-0123456789abcdef"
_LINE = re.compile(r"(server|node) \+ (server|agent) token (/\S+) -> (\d{3})")
_NEWER = f"{SERVER}/cred/passwd newer than datastore and could cause a cluster outage"


def agent_token_of(host: Host) -> str:
    return host.path(f"{SERVER}/agent-token").read_text().strip()


def outlast_the_slack(host: Host) -> None:
    """Wait until a file that is written now is newer than the datastore's copy by more than k3s overlooks."""
    written = host.path(f"{SERVER}/cred/passwd").stat().st_mtime
    eventually("three seconds", lambda: time.time() - written > bootstrap.SKEW, 10)


def test_each_token_may_read_what_was_recorded(new_rig: Callable[..., Rig], recordings: Path) -> None:
    first = birth(new_rig(), agent_token=AGENTS)
    passwords = {"server": PASSWORD, "agent": AGENTS}
    rows = _LINE.findall((recordings / "second" / "32-f8-access.txt").read_text())
    assert len(rows) == 24
    for user, token, path, code in rows:
        answer = first.curl(f"https://127.0.0.1:6443{path}", "-u", f"{user}:{passwords[token]}")
        assert answer.code == int(code), f"{user} with the {token} token at {path}"


def test_workers_join_with_the_agent_token_alone(new_rig: Callable[..., Rig], recordings: Path) -> None:
    rig = new_rig()
    first = birth(rig, agent_token=AGENTS)
    assert re.fullmatch(r"K10[0-9a-f]{64}::node:" + AGENTS, agent_token_of(first))
    work(rig, "worker1", first, agent_token_of(first))
    kept_out = start_worker(rig, "worker2", first, token_of(first))
    eventually("worker2 told no", lambda: "not authorized" in kept_out.log, 20, kept_out.tail)
    assert "worker2" not in first.kubectl("get", "nodes")
    recorded = (recordings / "second" / "36-f8-new-agent-server-token.txt").read_text()
    for words in ("Waiting to retrieve agent configuration; server is not ready", "not authorized"):
        assert words in recorded
        assert words in kept_out.log


def test_a_cluster_without_an_agent_token_links_it_to_the_servers(new_rig: Callable[..., Rig]) -> None:
    first = birth(new_rig())
    assert first.path(f"{SERVER}/agent-token").is_symlink()
    assert first.sh(f"cat {SERVER}/agent-token") == first.sh(f"cat {TOKEN}")


def test_a_master_without_the_agent_token_starts_once(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    second = join(rig, "master2", birth(rig, agent_token=AGENTS))  # its own file is newer than the datastore's now
    second.stop()
    outlast_the_slack(second)
    second.start()
    assert second.wait_end() == 1
    assert _NEWER in second.log


def test_a_restore_needs_the_agent_token_from_the_start(new_rig: Callable[..., Rig], recordings: Path) -> None:
    assert _NEWER in (recordings / "second" / "35-f8-restore.txt").read_text()
    rig = new_rig()
    first = birth(rig, agent_token=AGENTS)
    first.sh("k3s etcd-snapshot save --name full")
    (snapshot,) = first.path(f"{SERVER}/db/snapshots").iterdir()
    saved = snapshot.read_bytes()
    fresh = rig.replace(first)
    for configured, code in ((None, 1), (AGENTS, None)):
        fresh.wipe(SERVER)
        fresh.path("/root/full").write_bytes(saved)
        fresh.server_config(agent_token=configured)
        fresh.start("--cluster-reset", "--cluster-reset-restore-path=/root/full")
        assert fresh.wait_end() == 0
        outlast_the_slack(fresh)
        fresh.start()
        if code is None:
            fresh.wait_ready()
        else:
            assert fresh.wait_end() == code
            assert _NEWER in fresh.log
