"""Starting k3s as shell, on the make-believe host of the reset's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hosts.test_disaster_scripts import MakeBelieve


@pytest.fixture
def host(tmp_path: Path) -> MakeBelieve:
    """Give a host on which k3s is installed, and nothing more."""
    (tmp_path / "bin").mkdir()
    return MakeBelieve(tmp_path)


def _unit(host: MakeBelieve, active: str, sub: str) -> None:
    shown = f"printf 'ActiveState={active}\\nSubState={sub}\\n'"
    host.stub("systemctl", f'case "$*" in *"-p ActiveState -p SubState"*) {shown} ;; esac\n')


@pytest.mark.parametrize("sub", ["start-pre", "auto-restart"])
def test_a_k3s_that_the_guard_ends_again_and_again_gets_the_permit(host: MakeBelieve, sub: str) -> None:
    """Somebody started it by hand before the birth: it takes the permit at its next turn."""
    _unit(host, "activating", sub)
    assert host.answer("start_k3s", "k3s", "yes") == {"result": {}}
    assert (host.root / "run/birth").read_text() == "K3S_CLUSTER_INIT=true\n"


def test_a_k3s_that_runs_is_left_alone_and_gets_no_permit(host: MakeBelieve) -> None:
    _unit(host, "active", "running")
    assert host.answer("start_k3s", "k3s", "yes") == {"result": {}}
    assert not (host.root / "run/birth").exists()
    assert not [call for call in host.calls if " start " in call]
