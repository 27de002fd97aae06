"""The scripts that let a living member go, and hand leadership over, with an etcd that answers from a table: they act
on nothing but what they were decided on (docs/architecture.md#law-5, docs/architecture.md#law-6).
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hetzner_k3s.hosts.shell import script

UID = "6c2170f8-0000-4000-8000-000000000001"
OWN, GOING, THIRD = "12", "11", "13"

ETCD = """
read_uid() { uid=$FAKE_UID; }
gateway() {
    status=200
    printf '%s\\n' "$1 $2" >>"$FAKE_ASKED"
    case $1 in
        cluster/member/list) answer=$FAKE_MEMBERS
            [ -z "$FAKE_REMOVES" ] || [ ! -e "$FAKE_DONE" ] || answer=$FAKE_AFTER ;;
        maintenance/status) leader=$FAKE_LEADER; [ ! -e "$FAKE_DONE" ] || leader=$FAKE_NEXT_LEADER
            answer="{\\"header\\":{\\"member_id\\":\\"$FAKE_OWN\\"},\\"leader\\":\\"$leader\\"}" ;;
        *) answer='{}'
            if [ "$(grep -c remove "$FAKE_ASKED")" -gt "$FAKE_UNSETTLED" ]; then : >"$FAKE_DONE"; else
                status=503 answer='{"code":14, "message":"etcdserver: unhealthy cluster"}'
            fi ;;
    esac
}
curl() { printf '%s\\n' "$FAKE_METRICS"; }
"""


@dataclass(frozen=True)
class Etcd:
    """What etcd answers to the member `own`; `removes` tells whether a removal has its effect."""

    uid: str = UID
    own: str = OWN
    members: tuple[str, ...] = (OWN, GOING, THIRD)
    learners: tuple[str, ...] = ()
    leader: str = OWN
    next_leader: str = GOING
    connected: tuple[str, ...] = (GOING, THIRD)
    removes: bool = True
    unsettled: int = -1
    """How often it says that the others have not been connected for long enough."""

    def listed(self, members: tuple[str, ...]) -> str:
        rows = [{"ID": m, "name": f"m-{m}", **({"isLearner": True} if m in self.learners else {})} for m in members]
        return json.dumps({"header": {"member_id": self.own}, "members": rows})


def run(etcd: Etcd, folder: Path, name: str, *arguments: str) -> tuple[dict[str, Any], list[str]]:
    """Run a script; returns its answer, and what it asked etcd to do."""
    lines = [
        f'etcd_network_active_peers{{Local="c",Remote="{int(peer):x}"}} {int(peer in etcd.connected)}'
        for peer in etcd.members
        if peer != etcd.own
    ]
    environment = {
        "PATH": "/usr/bin:/bin",
        "FAKE_UID": etcd.uid,
        "FAKE_OWN": etcd.own,
        "FAKE_MEMBERS": etcd.listed(etcd.members),
        "FAKE_AFTER": etcd.listed(tuple(m for m in etcd.members if m != GOING)),
        "FAKE_REMOVES": "yes" if etcd.removes else "",
        "FAKE_UNSETTLED": str(etcd.unsettled),
        "FAKE_LEADER": etcd.leader,
        "FAKE_NEXT_LEADER": etcd.next_leader,
        "FAKE_METRICS": "\n".join(lines),
        "FAKE_DONE": str(folder / "done"),
        "FAKE_ASKED": str(folder / "asked"),
    }
    command = ["sh", "-c", script("prelude") + ETCD + script(name), name, *arguments]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=20)
    answer: dict[str, Any] = json.loads(done.stdout)
    asked = (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []
    return answer, [line for line in asked if "remove" in line or "transfer" in line]


def retire(etcd: Etcd, folder: Path) -> tuple[dict[str, Any], list[str]]:
    return run(etcd, folder, "retire_member", GOING, f"{int(GOING):x}", UID, OWN, GOING, THIRD)


def test_a_living_member_is_let_go(tmp_path: Path) -> None:
    assert retire(Etcd(), tmp_path) == ({"result": {}}, ['cluster/member/remove {"ID":"11"}'])


def test_one_that_joined_just_now_is_waited_for(tmp_path: Path) -> None:
    """etcd refuses while not all that stay have been connected for 5 s; three failures in a second ended the run."""
    assert retire(replace(Etcd(), unsettled=2), tmp_path) == ({"result": {}}, ['cluster/member/remove {"ID":"11"}'] * 3)


NOT_TO_BE_RETIRED = {
    "another cluster answers": replace(Etcd(), uid="3481062c-0000-4000-8000-000000000002"),
    "somebody joined": replace(Etcd(), members=(OWN, GOING, THIRD, "14")),
    "somebody else is gone": replace(Etcd(), members=(OWN, GOING)),
    "somebody learns": replace(Etcd(), learners=(THIRD,)),
    "nobody leads": replace(Etcd(), leader="0"),
    "the one that goes leads": replace(Etcd(), leader=GOING),
    "it is this host's own member": replace(Etcd(), own=GOING, leader=THIRD, connected=(OWN, THIRD)),
    "one that stays is not connected": replace(Etcd(), connected=(GOING,)),
    "only the one that goes is connected twice": replace(Etcd(), connected=(GOING, GOING)),
}


@pytest.mark.parametrize("change", NOT_TO_BE_RETIRED)
def test_nobody_is_let_go_when_the_world_is_another_one(change: str, tmp_path: Path) -> None:
    answer, asked = retire(NOT_TO_BE_RETIRED[change], tmp_path)
    assert (answer.get("error"), asked) == ("precondition_changed", [])


def test_a_member_that_is_gone_already_is_not_removed_twice(tmp_path: Path) -> None:
    assert retire(replace(Etcd(), members=(OWN, THIRD)), tmp_path) == ({"result": {}}, [])


def test_a_removal_without_effect_is_a_failure(tmp_path: Path) -> None:
    answer, _ = retire(replace(Etcd(), removes=False), tmp_path)
    assert answer["error"] == "failed"
    assert "still in the list" in answer["message"]


def hand_over(etcd: Etcd, folder: Path) -> tuple[dict[str, Any], list[str]]:
    return run(etcd, folder, "move_leader", GOING, f"{int(GOING):x}")


def test_leadership_is_handed_to_the_heir(tmp_path: Path) -> None:
    assert hand_over(Etcd(), tmp_path) == ({"result": {}}, ['maintenance/transfer-leadership {"targetID":"11"}'])


def test_a_member_that_does_not_lead_hands_nothing_over(tmp_path: Path) -> None:
    assert hand_over(replace(Etcd(), leader=THIRD), tmp_path) == ({"result": {}}, [])


NO_HEIRS = {
    "it is no member": replace(Etcd(), members=(OWN, THIRD)),
    "it is a learner": replace(Etcd(), learners=(GOING,)),
    "it is not connected": replace(Etcd(), connected=(THIRD,)),
}


@pytest.mark.parametrize("change", NO_HEIRS)
def test_leadership_goes_to_nobody_who_could_not_lead(change: str, tmp_path: Path) -> None:
    answer, asked = hand_over(NO_HEIRS[change], tmp_path)
    assert (answer.get("error"), asked) == ("precondition_changed", [])


def test_a_hand_over_that_was_not_taken_is_a_failure(tmp_path: Path) -> None:
    answer, _ = hand_over(replace(Etcd(), next_leader=OWN), tmp_path)
    assert answer["error"] == "failed"
