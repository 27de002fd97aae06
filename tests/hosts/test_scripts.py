"""The scripts as shell: they parse, they are clean, and their readers of etcd's answers read what etcd wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from hetzner_k3s.hosts.shell import operation_script, script

SCRIPTS = sorted(path.name.removesuffix(".sh") for path in files("hetzner_k3s.hosts").joinpath("scripts").iterdir())
PARTS = ("prelude", "facts")
ALONE = ("download_k3s", "start_guard")

# Cut from answers of etcd 3.6 (fixtures: 2382_member_list_m1.txt, 2381_metrics_selected.txt).
MEMBERS = (
    '{"header":{"cluster_id":"15085366208075471218", "member_id":"1143524885326647474", "raft_term":"5"}, '
    '"members":[{"ID":"1143524885326647474", "name":"master1-473a3449", "peerURLs":["https://10.0.0.2:2380"], '
    '"clientURLs":["https://10.0.0.2:2379"]}, {"ID":"9054383352403965534", "name":"master3-503d1464", '
    '"peerURLs":["https://10.0.0.20:2380"], "clientURLs":["https://10.0.0.20:2379"], "isLearner":true}]}'
)


def whole(name: str) -> str:
    return script(name) if name in ALONE else "#!/bin/sh\n" + operation_script(name)


def sh(text: str, *arguments: str, stdin: str = "") -> str:
    command = ["sh", "-c", script("prelude") + text, "test", *arguments]
    return subprocess.run(command, input=stdin, text=True, capture_output=True, check=False).stdout


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in PARTS])
def test_it_is_shell(name: str) -> None:
    subprocess.run(["sh", "-n"], input=whole(name), text=True, check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in PARTS])
def test_shellcheck_finds_nothing(name: str) -> None:
    # What one operation does not use of the prelude, and what `read` and `eval` set, it cannot see.
    command = ["shellcheck", "--severity=warning", "--exclude=SC2034,SC2154,SC2317,SC2329", "-"]
    found = subprocess.run(command, input=whole(name), text=True, capture_output=True, check=False)
    assert not found.stdout


@pytest.mark.parametrize("text", ["plain", 'say "no"', "back\\slash", "two\nlines\tand a tab", "ümläut", ""])
def test_any_text_becomes_a_json_string(text: str) -> None:
    assert json.loads(sh('json_string "$1"', text)) == text.replace("\n", " ").replace("\t", " ")


def test_a_refusal_is_a_document_with_its_exit_status() -> None:
    answer = json.loads(sh("precondition_changed 'a \"learner\" is there'"))
    assert answer == {"error": "precondition_changed", "message": 'a "learner" is there'}


def test_ids_are_the_members_not_the_headers() -> None:
    assert sh('member_ids "$1"', MEMBERS).split() == ["1143524885326647474", "9054383352403965534"]


def test_an_entry_is_found_by_its_whole_peer_url() -> None:
    entry = sh('member_entry "$1" "\\"https://10.0.0.2:2380\\""', MEMBERS)
    assert "master1-473a3449" in entry
    assert "isLearner" not in entry
    assert not sh('member_entry "$1" "\\"https://10.0.0.21:2380\\""', MEMBERS).strip()


def test_files_are_replaced_whole_and_left_alone_when_they_are_right(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.yaml"
    sh('write_atomically 0600 "$1"', str(path), stdin="token: x\n")
    assert path.read_text() == "token: x\n"
    assert path.stat().st_mode & 0o777 == 0o600
    inode = path.stat().st_ino
    sh('write_atomically 0600 "$1"', str(path), stdin="token: x\n")
    assert path.stat().st_ino == inode
    sh('write_atomically 0644 "$1"', str(path), stdin="token: x\n")
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["config.yaml"]
