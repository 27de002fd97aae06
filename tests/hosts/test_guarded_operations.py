# ruff: noqa: F811 (the fixture `host` comes from another module)
"""What an operation demands of its host before it acts, and checks before it calls itself done: each alone suffices.

The hosts are make-believe: a temporary folder, and stubs in the place of systemctl, curl, k3s and ssh-keyscan.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess

import pytest
from tests.hosts.test_disaster_scripts import CA, TOKEN, MakeBelieve, hold, host  # noqa: F401  the fixture

from hetzner_k3s.hosts.shell import script

RUNNING = 'case "$*" in *"ActiveState --value"*) echo active ;; esac\n'
BETWEEN_TWO_STARTS = 'case "$*" in *"ActiveState --value"*) echo activating ;; esac\n'
DISASTERS = {
    "fence_member": (CA,),
    "fetch_database": (),
    "reset_cluster": (CA, "2222", "1111"),
}


@pytest.mark.parametrize("state", [RUNNING, BETWEEN_TWO_STARTS], ids=["running", "between two starts"])
@pytest.mark.parametrize("name", DISASTERS)
def test_nothing_touches_the_data_while_k3s_runs(host: MakeBelieve, name: str, state: str) -> None:
    """The mark says that k3s is held; somebody has started it all the same."""
    hold(host)
    host.stub("systemctl", state)
    before = list(host.calls)
    ended = host.run(name, *DISASTERS[name])
    assert ended.returncode == 3, ended
    assert b"k3s runs on this host" in ended.stdout + ended.stderr
    assert (host.data / "server/token").read_text() == f"{TOKEN}\n"
    assert not [call for call in host.calls[len(before) :] if call.startswith(("k3s", "systemctl start"))]


def test_a_removed_member_is_never_reset(host: MakeBelieve) -> None:
    hold(host)
    (host.data / "server/db/etcd/tombstone").touch()
    refused = host.answer("reset_cluster", CA, "2222", "1111")
    assert refused["error"] == "precondition_changed"
    assert "removed from its cluster" in str(refused["message"])
    assert not [call for call in host.calls if call.startswith("k3s")]
    assert host.held


def test_the_data_of_another_cluster_is_never_reset(host: MakeBelieve) -> None:
    hold(host)
    assert host.answer("reset_cluster", "cd34" * 16, "2222", "1111")["error"] == "precondition_changed"
    assert not [call for call in host.calls if call.startswith("k3s")]


SAVED = "pre-repair-m1-1700000000"


@pytest.mark.parametrize(
    ("k3s", "why"),
    [
        (f': >"$snapshots/{SAVED}"', "an empty file"),
        (f'echo old >"$snapshots/{SAVED}"; touch -d 2020-01-01 "$snapshots/{SAVED}"', "a file from before"),
        (":", "no file"),
        ('echo new >"$snapshots/other-m1-1700000000"', "a file of another name"),
    ],
)
def test_a_snapshot_that_is_no_new_one_is_no_snapshot(host: MakeBelieve, k3s: str, why: str) -> None:
    """Nothing is removed from a cluster on the strength of it (docs/architecture.md#law-5)."""
    snapshots = host.data / "server/db/snapshots"
    snapshots.mkdir()
    host.stub("k3s", f"snapshots={snapshots}\n{k3s}\n")
    answer = host.answer("save_snapshot", "pre-repair")
    assert answer["error"] == "failed", why
    assert "no new snapshot" in str(answer["message"])


def test_the_newest_snapshot_is_told_with_its_size(host: MakeBelieve) -> None:
    snapshots = host.data / "server/db/snapshots"
    snapshots.mkdir()
    (snapshots / "pre-repair-m1-1").write_text("older")
    subprocess.run(["touch", "-d", "2020-01-01", snapshots / "pre-repair-m1-1"], check=True)
    host.stub("k3s", f'printf 12345 >"{snapshots}/{SAVED}"\n')
    answer = host.answer("save_snapshot", "pre-repair")["result"]
    assert isinstance(answer, dict)
    assert (answer["name"], answer["size"]) == (SAVED, 5)


def test_a_k3s_that_fails_has_saved_nothing(host: MakeBelieve) -> None:
    snapshots = host.data / "server/db/snapshots"
    snapshots.mkdir()
    host.stub("k3s", f'echo half >"{snapshots}/{SAVED}"; echo "etcd: no space"; exit 1\n')
    assert "no space" in str(host.answer("save_snapshot", "pre-repair")["message"])


LIST = '{"members":[{"ID":1,"name":"prod-master1-bbbb","peerURLs":["https://10.0.0.2:2380"]}]}'
IMPOSTOR = """
case "$*" in
    *health*) exit 7 ;;
    *--config*)
        asked=$(cat)
        case $asked in *'cacert = "'*/server/tls/server-ca.crt'"'*) printf '\\n000'; exit 60 ;; esac
        printf '%s\\n200' '{list}' ;;
esac
"""


def test_the_members_of_an_impostor_are_not_believed(host: MakeBelieve) -> None:
    """Whoever answers at that address without the cluster's CA could have the data put aside, and gets no password."""
    (host.data / "server/db/etcd/name").write_text("prod-master2-aaaa")
    host.stub("curl", IMPOSTOR.replace("{list}", LIST))
    answer = host.answer("wipe_joiner", "https://10.0.0.9:6443", "10.0.0.3")
    assert answer["error"] == "failed"
    assert (host.data / "server/token").exists()
    assert not [call for call in host.calls if "stop" in call]


@pytest.mark.parametrize("listed", ['{"members":[]}', "", '{"members":[{"peerURLs":[""]}]}'])
def test_an_empty_member_list_wipes_nobody(host: MakeBelieve, listed: str) -> None:
    host.stub("curl", f'case "$*" in *--config*) cat >/dev/null; printf "%s\\n200" {shlex.quote(listed)} ;; esac\n')
    assert host.answer("wipe_joiner", "https://10.0.0.9:6443", "10.0.0.3")["error"] == "failed"
    assert (host.data / "server/token").exists()


def test_a_k3s_that_does_not_stop_keeps_its_data(host: MakeBelieve) -> None:
    host.stub("curl", f"case \"$*\" in *--config*) cat >/dev/null; printf '%s\\n200' '{LIST}' ;; esac\n")
    host.stub("systemctl", 'case "$*" in stop*) exit 1 ;; esac\n')
    assert "k3s did not stop" in str(host.answer("wipe_joiner", "https://10.0.0.9:6443", "10.0.0.3")["message"])
    assert (host.data / "server/token").exists()


RELEASE = b"#!/bin/sh\necho k3s\n"


def download(host: MakeBelieve, sums: str) -> subprocess.CompletedProcess[bytes]:
    """Fetch k3s from a release whose checksum file is `sums`; pauses are skipped."""
    (host.root / "asset").write_bytes(RELEASE)
    (host.root / "sums").write_text(sums)
    fetch = (
        f'for last; do :; done\ncase "$last" in *.txt) cat "{host.root}/sums" ;; *) cp "{host.root}/asset" "$3" ;; esac'
    )
    host.stub("curl", 'shift 5\nset -- x "$@"\n' + fetch + "\n")
    host.stub("sleep", ":\n")
    host.stub("uname", "echo x86_64\n")
    (host.root / "bin/k3s").unlink()
    text = host.text(script("download_k3s"))
    return subprocess.run(["sh", "-c", text, "x", "v1.36.3+k3s1"], capture_output=True, check=False)


def test_a_release_with_its_checksum_is_put_in_place(host: MakeBelieve) -> None:
    done = download(host, f"{hashlib.sha256(RELEASE).hexdigest()}  k3s\n{'0' * 64}  k3s-arm64\n")
    assert done.returncode == 0, done.stderr
    assert (host.root / "bin/k3s").read_bytes() == RELEASE


@pytest.mark.parametrize("sums", [f"{'0' * 64}  k3s\n", f"{'0' * 64}  k3s-arm64\n", "", "<html>not found</html>\n"])
def test_a_release_without_its_checksum_is_never_put_in_place(host: MakeBelieve, sums: str) -> None:
    done = download(host, sums)
    assert done.returncode == 1
    assert not (host.root / "bin/k3s").exists()
    assert not (host.root / "bin/k3s.part").exists()
    assert not (host.state / "k3s-version").exists()


PASSWORD = "s3cr3t"
LINES = (
    f'level=fatal msg="kine: mysql://u:{PASSWORD}@tcp(10.0.0.5:3306)/k3s: refused"',
    f'level=error msg="postgres://k3s:{PASSWORD}@{PASSWORD}@10.0.0.5:5432/kine: refused"',
    f'level=fatal msg="bootstrap data already found and encrypted with different token postgres://k:{PASSWORD}@db/k"',
)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("seconds", ["0", "60"], ids=["in vain", "at each start"])
def test_the_last_words_of_k3s_come_without_a_password(host: MakeBelieve, line: str, seconds: str) -> None:
    counted = f'n=$(cat "{host.root}/n" 2>/dev/null || echo 0); echo $((n + 9)) >"{host.root}/n"; echo "$n"'
    host.stub(
        "systemctl", f'case "$*" in *SubState*) echo auto-restart ;; *NRestarts*) {counted} ;; *) exit 3 ;; esac\n'
    )
    host.stub("journalctl", f"cat <<'end'\n{line}\nend\n")
    host.stub("sleep", ":\n")
    process = subprocess.run(
        ["sh", "-c", host.text(_awaiting()), "x", "k3s", "active", seconds], capture_output=True, check=False, input=b""
    )
    message = str(json.loads(process.stdout)["message"])
    assert "level=" in message
    assert PASSWORD not in message


def _awaiting() -> str:
    """Return the wait without the part that ends it with its session: here nobody is at the other end."""
    return "\n".join((script("prelude"), "end_with_session() { :; }", script("facts"), script("await_k3s"))).replace(
        "end_with_session\n", ":\n"
    )


def rotate(host: MakeBelieve, offered: str) -> dict[str, object]:
    host.stub("ssh-keyscan", f"echo '127.0.0.1 ssh-ed25519 {offered}'\n")
    host.stub("sshd", "echo port 22\n")
    host.stub("sleep", ":\n")
    text = host.text("\n".join((script("prelude"), script("rotate_host_key")))).replace("/etc/ssh", f"{host.root}/ssh")
    command = ["sh", "-c", text, "x", "ssh-ed25519 AAAAnew host"]
    done = subprocess.run(command, input=b"private\n", capture_output=True, check=False)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_host_key_is_rotated_when_sshd_offers_it(host: MakeBelieve) -> None:
    """Else the next connection meets a key that nobody expects, and the host is lost to us."""
    assert rotate(host, "AAAAnew") == {"result": {}}
    assert (host.root / "ssh/ssh_host_ed25519_key").read_text() == "private\n"
    refused = rotate(host, "AAAAold")
    assert refused["error"] == "failed"
    assert "does not offer the new host key" in str(refused["message"])
