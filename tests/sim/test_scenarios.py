"""Every scenario, by number and name (docs/facts/recovery.md#scenarios)."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.loader import load

from . import seen
from .scenario import Scenario
from .scenarios_database import ON_DATABASE
from .scenarios_disaster import DISASTER
from .scenarios_k3s import K3S
from .scenarios_loss import LOSS
from .scenarios_restore import RESTORE
from .scenarios_world import WORLD

ALL = [
    *LOSS.scenarios,
    *RESTORE.scenarios,
    *DISASTER.scenarios,
    *WORLD.scenarios,
    *K3S.scenarios,
    *ON_DATABASE.scenarios,
]
_ELSEWHERE = {
    "29": "test_kill.py",
    "48": "below",
    "74": "test_kill.py",
    "79": "test_storms.py",
}
"""Scenarios that are tests of their own."""


_TWO_MASTERS = """\
cluster_name: prod
kubeconfig_path: ./kubeconfig
k3s_version: v1.36.3+k3s1
networking:
  ssh: {public_key_path: ~/.ssh/id_ed25519.pub, private_key_path: ~/.ssh/id_ed25519}
masters_pool: {instance_type: cpx22, instance_count: 2, locations: [fsn1]}
"""


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.id)
def test_scenario(scenario: Scenario) -> None:
    passed = seen.played(scenario)
    assert not passed.broken, passed.broken


def test_every_scenario_is_here() -> None:
    numbers = {scenario.number for scenario in ALL} | _ELSEWHERE.keys()
    assert numbers == {str(number) for number in range(1, 80)}


def test_48_even_count_config(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(_TWO_MASTERS)
    with pytest.raises(ConfigError) as refused:
        load(path, {"HOME": str(tmp_path), "HCLOUD_TOKEN": "t"})
    assert "instance_count" in str(refused.value.diagnostics)
