"""The commands themselves on the simulation: what they print and how they end, on any machine."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetzner_k3s.cli import wiring
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import OTHER_TOKEN, TOKEN

from .conftest import CLUSTER, Invoke

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let the commands of a test work in a simulated world."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: false\n")
    with wiring.simulation(7, "instant") as opened:
        yield opened


def test_a_cluster_is_made_lost_in_part_and_brought_back(invoke: Invoke, place: Place) -> None:
    made = invoke("create", "-c", "cluster.yaml")
    assert (made.code, made.out) == (0, "")
    assert "is up to date" in made.err
    assert invoke("status", "-c", "cluster.yaml").code == 0
    place.happen("lose", "prod-master1")
    pending = invoke("plan", "-c", "cluster.yaml", "--check")
    assert pending.code == 3, pending.err
    assert invoke("create", "-c", "cluster.yaml").code == 0
    told = invoke("status", "-c", "cluster.yaml")
    assert told.code == 0
    assert re.search(r"^health +healthy$", told.out, re.MULTILINE)
    assert invoke("delete", "-c", "cluster.yaml", "--force").code == 0
    assert not place.world.project.servers


def test_status_ends_in_3_for_what_is_pending_and_in_4_for_a_lost_quorum(invoke: Invoke, place: Place) -> None:
    nothing = invoke("status", "-c", "cluster.yaml", "--json")
    assert (nothing.code, nothing.err) == (3, "")
    assert json.loads(nothing.out)["health"] == "degraded"
    invoke("create", "-c", "cluster.yaml")
    place.happen("lose", "prod-master2")
    assert invoke("status", "-c", "cluster.yaml").code == 3
    place.happen("lose", "prod-master3")
    lost = invoke("status", "-c", "cluster.yaml", "--json")
    assert lost.code == 4
    assert json.loads(lost.out)["health"] == "no-quorum"


def test_a_check_ends_in_3_for_a_master_that_only_we_cannot_reach(invoke: Invoke, place: Place) -> None:
    """It ended with 0 where `status` and `create` end with 3."""
    invoke("create", "-c", "cluster.yaml")
    place.happen("silence", "prod-master2")
    check = invoke("plan", "-c", "cluster.yaml", "--check")
    assert "degraded: prod-master2" in check.out
    assert (check.code, invoke("plan", "-c", "cluster.yaml").code) == (3, 0)
    assert (invoke("status", "-c", "cluster.yaml").code, invoke("create", "-c", "cluster.yaml").code) == (3, 3)


def test_a_lost_quorum_is_reset_by_a_flag_that_names_the_master(invoke: Invoke, place: Place) -> None:
    invoke("create", "-c", "cluster.yaml")
    for lost in ("prod-master1", "prod-master2"):
        place.happen("lose", lost)
    refused = invoke("create", "-c", "cluster.yaml")
    assert refused.code == 4
    assert "--reset-quorum-from prod-master3" in refused.err
    assert invoke("create", "-c", "cluster.yaml", "--reset-quorum-from", "prod-master3", "-q").code == 0
    assert invoke("status", "-c", "cluster.yaml").code == 0


_S3 = """\
datastore:
  mode: etcd
  etcd: {s3_enabled: true, s3_endpoint: s3.example, s3_region: r, s3_bucket: snaps, s3_access_key: k, s3_secret_key: s}
"""


def test_a_cluster_without_masters_is_restored_by_a_flag(invoke: Invoke, home: Path, place: Place) -> None:
    with (home / "cluster.yaml").open("a") as file:
        file.write(_S3 + "worker_node_pools:\n- {name: w, instance_type: cpx22, instance_count: 1, location: fsn1}\n")
    invoke("create", "-c", "cluster.yaml")
    place.wait(4000)
    assert "S3 prod/" in invoke("status", "-c", "cluster.yaml").out
    for lost in (1, 2, 3):
        place.happen("lose", f"prod-master{lost}")
    refused = invoke("create", "-c", "cluster.yaml")
    assert (refused.code, "restore.consent" in refused.err) == (4, True)
    restored = invoke("create", "-c", "cluster.yaml", "--restore", "latest", "-q")
    assert restored.code == 0, restored.err
    assert invoke("status", "-c", "cluster.yaml").code == 0


def test_status_claims_nothing_when_hetzner_cannot_be_listed(invoke: Invoke, place: Place) -> None:
    place.run(faults.ApiFault("error", times=None).strike(place.world))
    ended = invoke("status", "-c", "cluster.yaml", "--json")
    assert ended.code == 1
    assert json.loads(ended.out)["health"] == "unknown"


@pytest.mark.usefixtures("place")
def test_another_projects_token_finds_nothing_and_permits_nothing(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("create", "-c", "cluster.yaml").code == 0
    monkeypatch.setenv("HCLOUD_TOKEN", OTHER_TOKEN)
    gone = invoke("delete", "-c", "cluster.yaml", "--force")
    assert gone.code == 0
    assert "still remembers a bootstrap" in gone.err
    refused = invoke("create", "-c", "cluster.yaml")
    assert refused.code == 4
    assert "birth.kubeconfig" in refused.err
    assert "birth.journal" in refused.err


def test_outside_a_simulation_the_world_is_the_real_one() -> None:
    async def look() -> str:
        import asyncio

        return type(asyncio.get_running_loop()).__name__

    with wiring.simulation(1, "instant"):
        assert wiring.run(look()) == "VirtualTimeLoop"
    assert wiring.run(look()) != "VirtualTimeLoop"


def test_a_user_plays_with_a_cluster_of_their_own(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "cluster.yaml").write_text(CLUSTER)
    lines = ("create -q", "lose prod-master2", "  # a remark", "status", "create -q", "silence prod-master1", "plan")
    more = ("heal", "wait 60", "plan --check", "lose nobody", "dance", "quit now", "create")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join((*lines, *more))))
    ended = invoke("lab", "simulate", "-c", "cluster.yaml", "--latency", "instant")
    assert ended.code == 0
    codes = re.findall(r"^\(exit code (\d+)\)$", ended.err, re.MULTILINE)
    assert codes == ["0", "3", "0", codes[3], "0"]
    assert "there is no running server nobody" in ended.err
    assert "its server is deleted at Hetzner" in ended.err


def test_a_simulation_ends_with_its_input(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "cluster.yaml").write_text(CLUSTER)
    monkeypatch.setattr("sys.stdin", io.StringIO("status"))
    assert invoke("lab", "simulate", "-c", "cluster.yaml").err.endswith("(exit code 3)\n")


def test_a_simulation_tells_of_its_own_runs_alone(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "cluster.yaml").write_text(CLUSTER)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("create -q\nhistory"))
    told = invoke("lab", "simulate", "-c", "cluster.yaml", "--latency", "instant")
    assert told.err.endswith("(exit code 0)\n"), told.err
    assert "create" in told.out


def test_no_command_runs_a_loop_of_its_own() -> None:
    """It would leave the simulation, and miss what `wiring.run` does for all."""
    commands = (ROOT / "src/hetzner_k3s/cli/commands").glob("*.py")
    assert [path.name for path in commands if "asyncio.run(" in path.read_text()] == []


def test_the_demo_tells_its_story_without_hosts() -> None:
    demo = [sys.executable, str(ROOT / "scripts/demo.py"), "--simulated"]
    told = subprocess.run(demo, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, told.stderr
    assert "on the simulation" in told.stdout.splitlines()[0]
    claims = re.findall(r"^  (yes|NO )  (.*)$", told.stdout, re.MULTILINE)
    assert [verdict for verdict, _ in claims] == ["yes"] * 7


def test_a_backup_brings_a_cluster_back_whose_masters_are_all_lost(invoke: Invoke, place: Place) -> None:
    assert invoke("create", "-c", "cluster.yaml").code == 0
    assert invoke("backup", "-c", "cluster.yaml", "--to", "monday").code == 0
    for number in (1, 2, 3):
        place.happen("lose", f"prod-master{number}")
    listed = invoke("snapshots", "-c", "cluster.yaml", "--from", "monday")
    assert re.search(r"backup-\S+ +this machine .*this cluster", listed.out), listed.out
    shown = invoke("plan", "-c", "cluster.yaml", "--restore", "monday")
    assert "copy the snapshot file to master1" in shown.out, shown.out + shown.err
    restored = invoke("create", "-c", "cluster.yaml", "--restore", "monday")
    assert restored.code == 0, restored.err
    assert invoke("create", "-c", "cluster.yaml").code == 0
    missing = invoke("create", "-c", "cluster.yaml", "--restore", "./tuesday")
    assert missing.code == 1
    assert "--restore ./tuesday: cannot be read" in missing.err
