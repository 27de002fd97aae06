"""A file that is of no use: every mistake at once on stderr, exit code 2, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CLUSTER, Invoke

COMMANDS = ["create", "status", "delete"]


@pytest.mark.parametrize("command", COMMANDS)
def test_all_mistakes_are_told_at_once(invoke: Invoke, home: Path, command: str) -> None:
    broken = CLUSTER.replace("instance_count: 3", "instance_count: many").replace("k3s_version: v1", "k3s_version: 1")
    (home / "cluster.yaml").write_text(broken + "masters_poll: {}\n")
    ended = invoke(command, "-c", "cluster.yaml")
    assert (ended.code, ended.out) == (2, "")
    lines = ended.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("cluster.yaml:") for line in lines)
    assert ["k3s_version" in lines[0], "instance_count" in lines[1], "masters_poll" in lines[2]] == [True] * 3


def _missing(_path: Path) -> None:
    pass


def _directory(path: Path) -> None:
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_text("")


def _junk(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00" * 350_000)


def _tabs(path: Path) -> None:
    path.write_text("cluster_name: prod\n\tmasters_pool: {}\n")


@pytest.mark.parametrize("make", [_missing, _directory, _empty, _junk, _tabs])
def test_what_is_no_file_at_all_is_told_in_words(invoke: Invoke, home: Path, make: Callable[[Path], None]) -> None:
    make(home / "cluster.yaml")
    ended = invoke("create", "-c", "cluster.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("cluster.yaml")
    assert "Traceback" not in ended.err


def test_a_protected_cluster_is_not_deleted(invoke: Invoke, home: Path) -> None:
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: true\n")
    ended = invoke("delete", "-c", "cluster.yaml")
    assert (ended.code, ended.out) == (4, "")
    assert "protect_against_deletion" in ended.err


def test_a_warning_about_the_file_is_told_by_whatever_reads_it(invoke: Invoke, home: Path) -> None:
    (home / "cluster.yaml").write_text(CLUSTER + "ssh_port: 22\nprotect_against_deletion: true\n")
    told = invoke("delete", "-c", "cluster.yaml").err
    assert told.startswith("cluster.yaml:14:1: warning: ssh_port: is ignored"), told
