"""What this machine does not allow is its user's trouble: one sentence with the path, exit code 2, nothing bought."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from hetzner_k3s.adapters.system import places
from hetzner_k3s.cli import crash, exits, wiring
from hetzner_k3s.cli.local_trouble import explained
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.errors import LocalTrouble

from .conftest import CLUSTER, Invoke


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER)
    with wiring.simulation(7, "instant") as opened:
        yield opened


def system(**changed: object) -> SimpleNamespace:
    """A system that answers some questions as told; what tests themselves do with it stays."""
    return SimpleNamespace(**{**vars(os), **changed})


def ended(invoke: Invoke, place: Place, *words: str) -> None:
    """Demand one sentence with these words, exit code 2, and that nothing was bought."""
    run = invoke("create", "-c", "cluster.yaml")
    assert run.code == 2, run.err
    assert "bug" not in run.err
    first = run.err.splitlines()[0]
    assert first.startswith("error: ")
    assert all(word in first for word in words), first
    assert not place.world.project.servers
    assert not place.world.project.networks


@pytest.mark.parametrize("where", ["the kubeconfig", "the state folder"])
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_bought(
    where: str, invoke: Invoke, place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = home if where == "the kubeconfig" else home / ".local"
    closed.mkdir(exist_ok=True)
    allowed = os.access

    def access(path: Path, mode: int) -> bool:  # root, who runs these tests, may write anywhere
        return Path(path) != closed and allowed(path, mode)

    monkeypatch.setattr(places, "os", system(access=access))
    ended(invoke, place, f"{closed} cannot be written")


def test_a_kubeconfig_of_another_user_names_both(
    invoke: Invoke, place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "kubeconfig").write_text("")
    os.chown(home / "kubeconfig", 4711, -1)
    monkeypatch.setattr(places, "os", system(access=lambda path, _: Path(path).name != "kubeconfig"))
    ended(invoke, place, f"{home / 'kubeconfig'} cannot be written", "user id 4711", f"this is {os.getuid()}")


def test_a_file_in_the_way_of_the_state_folder_is_named(invoke: Invoke, place: Place, home: Path) -> None:
    (home / ".local").write_text("")
    ended(invoke, place, f"{home / '.local'} is in the way")


def test_a_full_disk_is_told_before_anything_is_bought(
    invoke: Invoke, place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.statvfs(home)
    full = os.statvfs_result((*found[:4], 0, *found[5:]))
    monkeypatch.setattr(places, "os", system(statvfs=lambda _: full))
    ended(invoke, place, "no space is left for", str(home / "kubeconfig"))


def test_without_a_temporary_folder_it_is_said(invoke: Invoke, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(places, "tempfile", SimpleNamespace(gettempdir=none))
    ended(invoke, place, "no folder for temporary files")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/kubeconfig"),
            "/data/kubeconfig: no space left on device",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/runs/1.jsonl"), "/x/runs/1.jsonl: permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "/x: read-only file system"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/a']"), "temporary files"),
        (ModuleNotFoundError("No module named 'starlette'", name="starlette.routing"), "`starlette`"),
    ],
)
def test_a_system_error_is_one_sentence_and_exit_code_2(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def command() -> None:
        raise error

    assert exits.run(command, []) == 2
    told = capsys.readouterr().err
    assert words in told.splitlines()[0]
    assert len(told.splitlines()) == 2
    assert "bug" not in told


@pytest.mark.parametrize(
    "error", [ConnectionResetError(104, "reset"), TimeoutError("late"), KeyError("x"), ModuleNotFoundError(name="ours")]
)
def test_what_is_not_this_machines_stays_a_bug(error: Exception) -> None:
    assert explained(error) is None


def test_a_report_that_cannot_be_written_is_no_second_bug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def command() -> None:
        raise KeyError("x")

    def none(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(crash, "tempfile", SimpleNamespace(mkstemp=none))
    assert exits.run(command, []) == 70
    assert "KeyError; its details could not be written (No space left on device)" in capsys.readouterr().err


def test_a_lab_without_its_extra_says_what_to_install(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else found(name))
    told = invoke("lab", "up")
    assert told.code == 2
    assert "`uvicorn`" in told.err
    assert "'.[lab]'" in told.err


def test_a_full_disk_names_the_file_and_not_a_temporary_one(tmp_path: Path) -> None:
    from hetzner_k3s.adapters.system.files import append_private, write_private

    blocked = tmp_path / "file"
    blocked.write_text("")
    for write in (write_private, append_private):
        with pytest.raises(OSError, match=r"Not a directory|File exists") as trouble:
            write(blocked / "kubeconfig", "text")
        assert trouble.value.filename == str(blocked / "kubeconfig")
        assert isinstance(explained(trouble.value), LocalTrouble)
