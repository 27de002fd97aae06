"""The script that starts a master anew, with an etcd that answers from a table: no vote goes while others are missing.

See docs/architecture.md#law-5.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hetzner_k3s.hosts.shell import script

OTHERS = ("11", "13")

HOST = """
is_held() { return 1; }
units_digest() { :; }
put_files() { return 1; }
timeout() { : >"$FAKE_STOPPED"; }
gateway() { status=200 answer=$FAKE_MEMBERS; }
sleep() { printf x >>"$FAKE_WAITED"; }
date() { printf '%s\\n' "$(($(wc -c <"$FAKE_WAITED") / 2))"; }
curl() {
    case $* in
        *health*) printf '{"health":"%s"}\\n' "$([ "$(wc -c <"$FAKE_WAITED")" -ge "$FAKE_WELL_FOR" ] || echo true)" ;;
        *) [ "$(wc -c <"$FAKE_WAITED")" -lt "$FAKE_CONNECTED_AFTER" ] || printf '%s\\n' "$FAKE_METRICS" ;;
    esac
}
"""


@dataclass(frozen=True)
class Etcd:
    """The etcd of the master that goes: members by id, and after how many looks it is connected, or no longer well."""

    members: tuple[str, ...] = ("12", *OTHERS)
    learner: bool = False
    connected_after: int = 0
    well_for: int = 100


def is_stopped(etcd: Etcd, folder: Path) -> bool:
    """Run the script up to the stop of k3s; tell whether it came there, and demand that else a reason was given."""
    listed = [{"ID": member, **({"isLearner": True} if etcd.learner else {})} for member in etcd.members]
    metrics = [f'etcd_network_active_peers{{Local="c",Remote="{int(peer):x}"}} 1' for peer in OTHERS]
    stopped, waited = folder / "stopped", folder / "waited"
    waited.touch()
    environment = {
        "PATH": "/usr/bin:/bin",
        "FAKE_MEMBERS": json.dumps({"members": listed}),
        "FAKE_METRICS": "\n".join(metrics),
        "FAKE_CONNECTED_AFTER": str(etcd.connected_after),
        "FAKE_WELL_FOR": str(etcd.well_for),
        "FAKE_STOPPED": str(stopped),
        "FAKE_WAITED": str(waited),
    }
    words = ["reconfigure", "k3s", "-", "12", *OTHERS]
    command = ["sh", "-c", script("prelude") + HOST + script("reconfigure"), *words]
    done = subprocess.run(command, input="", env=environment, text=True, capture_output=True, check=False, timeout=20)
    answer = json.loads(done.stdout)
    assert answer["error"] == ("failed" if stopped.exists() else "precondition_changed"), done
    return stopped.exists()


GO = {
    "all others are connected": Etcd(),
    "it has just begun to connect": Etcd(connected_after=5),
    "it is not well any more": Etcd(connected_after=100, well_for=3),
    "it never was well": Etcd(connected_after=100, well_for=0, members=()),
}
STAY = {
    "somebody joined": replace(Etcd(), members=("12", *OTHERS, "14")),
    "somebody is gone": replace(Etcd(), members=("12", "11")),
    "somebody learns": replace(Etcd(), learner=True),
    "the others do not come": Etcd(connected_after=100),
}


@pytest.mark.parametrize("etcd", GO.values(), ids=GO)
def test_it_is_stopped(etcd: Etcd, tmp_path: Path) -> None:
    assert is_stopped(etcd, tmp_path)


@pytest.mark.parametrize("etcd", STAY.values(), ids=STAY)
def test_it_goes_on(etcd: Etcd, tmp_path: Path) -> None:
    assert not is_stopped(etcd, tmp_path)
