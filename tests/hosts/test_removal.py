"""The script that removes a member, run here with an etcd that answers from a table: it acts on nothing but what it
was decided on (docs/architecture.md#law-6)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hetzner_k3s.hosts.shell import script

UID = "6c2170f8-0000-4000-8000-000000000001"
DEAD, LIVING, OTHER = "11", "12", "13"

# Stands in for what asks etcd; the file of requests tells what was asked.
ETCD = """
read_uid() { uid=$FAKE_UID; }
read_members() { status=200; answer=$FAKE_MEMBERS; [ ! -e "$FAKE_REMOVED" ] || answer=$FAKE_MEMBERS_AFTER; }
gateway() {
    status=200
    case $1 in
        maintenance/status) answer="{\\"leader\\": \\"$FAKE_LEADER\\"}" ;;
        cluster/member/remove) answer='{}'; : >"$FAKE_REMOVED" ;;
    esac
}
curl() { printf '%s\\n' "$FAKE_METRICS"; }
"""


@dataclass(frozen=True)
class Etcd:
    """What etcd answers: the UID it keeps, members and learners it lists, who leads, to whom it is connected."""

    uid: str = UID
    members: tuple[str, ...] = (DEAD, LIVING, OTHER)
    learners: tuple[str, ...] = ()
    leader: str = LIVING
    connected: tuple[str, ...] = (LIVING, OTHER)

    def listed(self, members: tuple[str, ...]) -> str:
        rows = [{"ID": m, "name": f"m-{m}", **({"isLearner": True} if m in self.learners else {})} for m in members]
        return json.dumps({"header": {"member_id": LIVING}, "members": rows})


def removal(etcd: Etcd, removed: Path) -> dict[str, Any]:
    lines = script("remove_member")
    environment = {
        "PATH": "/usr/bin:/bin",
        "FAKE_UID": etcd.uid,
        "FAKE_MEMBERS": etcd.listed(etcd.members),
        "FAKE_MEMBERS_AFTER": etcd.listed(tuple(m for m in etcd.members if m != DEAD)),
        "FAKE_LEADER": etcd.leader,
        "FAKE_METRICS": "\n".join(
            f'etcd_network_active_peers{{Local="c",Remote="{int(peer):x}"}} 1' for peer in etcd.connected
        ),
        "FAKE_REMOVED": str(removed),
    }
    command = ["sh", "-c", script("prelude") + ETCD + lines, "remove_member", DEAD, f"{int(DEAD):x}", UID]
    done = subprocess.run(
        [*command, DEAD, LIVING, OTHER], env=environment, text=True, capture_output=True, check=False, timeout=20
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_dead_member_is_removed(tmp_path: Path) -> None:
    assert removal(Etcd(), tmp_path / "removed") == {"result": {}}
    assert (tmp_path / "removed").exists()


CHANGED = {
    "another cluster answers": replace(Etcd(), uid="3481062c-0000-4000-8000-000000000002"),
    "somebody joined": replace(Etcd(), members=(DEAD, LIVING, OTHER, "14")),
    "somebody else is gone": replace(Etcd(), members=(DEAD, LIVING)),
    "somebody learns": replace(Etcd(), learners=(OTHER,)),
    "nobody leads": replace(Etcd(), leader="0"),
    "the dead one leads": replace(Etcd(), leader=DEAD),
    "the dead one is connected": replace(Etcd(), connected=(DEAD, LIVING)),
}


@pytest.mark.parametrize("change", CHANGED)
def test_nothing_is_removed_when_the_world_is_another_one(change: str, tmp_path: Path) -> None:
    answer = removal(CHANGED[change], tmp_path / "removed")
    assert answer["error"] == "precondition_changed", answer
    assert not (tmp_path / "removed").exists()


def test_a_member_that_is_gone_already_is_no_failure(tmp_path: Path) -> None:
    assert removal(replace(Etcd(), members=(LIVING, OTHER)), tmp_path / "removed") == {"result": {}}
