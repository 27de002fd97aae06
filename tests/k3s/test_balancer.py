"""What an agent makes of the masters that it learned of in an earlier run."""

from __future__ import annotations

from pathlib import Path

from hetzner_k3s.lab.k3s.node.load_balancer import Balancer

FIRST, OTHER = "https://10.0.0.3:6443", "https://10.0.0.4:6443"


def test_an_agent_remembers_the_masters_that_it_learned_of(tmp_path: Path) -> None:
    Balancer(tmp_path / "file", FIRST).replace(["10.0.0.5:6443"])
    again = Balancer(tmp_path / "file", FIRST)
    again.load()
    assert again.candidates() == ["https://10.0.0.5:6443", FIRST]


def test_an_agent_that_is_pointed_elsewhere_forgets_the_masters_that_it_knew(tmp_path: Path) -> None:
    """Pointed to the restored master and started anew, the recorded one was Ready 3.6 s later (second/09)."""
    Balancer(tmp_path / "file", FIRST).replace(["10.0.0.3:6443"])
    pointed = Balancer(tmp_path / "file", OTHER)
    pointed.load()
    assert pointed.candidates() == [OTHER]
