"""Blanks, quotes and umlauts in the names of files: they are names like any others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetzner_k3s.cli import wiring
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN

from .conftest import CLUSTER, Invoke

ODD = 'mein "Ordner" für Jo\'s'


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A simulated world, and a working folder of that name with configuration and keys in it."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    folder = home / ODD
    shutil.copytree(home / ".ssh", folder / "die Schlüssel")
    text = CLUSTER.replace("~/.ssh/", "./die Schlüssel/").replace("./kubeconfig", "./Küb config 'neu'")
    (folder / 'mein "Cluster".yaml').write_text(text + "protect_against_deletion: false\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    with wiring.simulation(7, "instant"):
        yield folder


@pytest.fixture
def place(folder: Path) -> Place:
    assert folder.is_dir()
    place = wiring._PLACE.get()
    assert place is not None
    return place


def test_configuration_keys_and_backup_may_have_any_name(invoke: Invoke, folder: Path, place: Place) -> None:
    config = 'mein "Cluster".yaml'
    assert "die Schlüssel" in (folder / config).read_text(encoding="utf-8")
    made = invoke("create", "-c", config)
    assert made.code == 0, made.err
    assert invoke("backup", "-c", config, "--to", "Montag früh").code == 0
    _lose_all(place)
    restored = invoke("create", "-c", config, "--restore", "Montag früh")
    assert restored.code == 0, restored.err


def test_a_snapshot_with_a_blank_in_its_name_is_uploaded_once(invoke: Invoke, folder: Path, place: Place) -> None:
    config = 'mein "Cluster".yaml'
    assert invoke("create", "-c", config).code == 0
    assert invoke("backup", "-c", config, "--to", "b").code == 0
    (found,) = (folder / "b").glob("backup-*")
    found.rename(folder / "my snapshöt 'x'.db")
    _lose_all(place)
    shown = invoke("plan", "-c", config, "--restore", "./my snapshöt 'x'.db")
    assert shown.out.count("copy the snapshot file to") == 1, shown.out + shown.err
    restored = invoke("create", "-c", config, "--restore", "./my snapshöt 'x'.db")
    assert restored.code == 0, restored.err
    assert restored.err.count("copying my snapshöt 'x'.db there") == 1, restored.err


def _lose_all(place: Place) -> None:
    for number in (1, 2, 3):
        place.happen("lose", f"prod-master{number}")
