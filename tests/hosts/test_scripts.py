"""The scripts as shell: they parse, they are clean, and their readers of etcd's answers read what etcd wrote."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from hetzner_k3s.hosts.shell import operation_script, script
from hetzner_k3s.model.identity import database_digits

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


# Set by `print_facts`, which the scripts that have a name of their own like these do not call.
HARMLESS = {"parent"}


def assigned(name: str) -> set[str]:
    """Name what a script, or a part, assigns; what it does in a shell of its own, `name() (`, stays there."""
    text = re.sub(r"^\w+\(\) \(\n.*?^\)\n", "", script(name), flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return set(re.findall(r"(?:^|[\s;({])([a-z_]+)=", lines)) | set(re.findall(r"\bfor ([a-z_]+) in", lines))


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in (*PARTS, *ALONE)])
def test_what_all_scripts_share_overwrites_no_name_of_theirs(name: str) -> None:
    """POSIX sh has no local names. One was lost so: a reset wrote its log over the log of etcd that it was to keep."""
    shared = assigned("prelude") | (assigned("facts") if script("facts") in operation_script(name) else set())
    assert not (assigned(name) & shared) - HARMLESS


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


WIPING = """
k3s_data=$1/data
mkdir -p "$k3s_data/server/db/etcd" "$k3s_data/server/db/snapshots" "$k3s_data/server/tls"
printf 'prod-master2-aaaa' >"$k3s_data/server/db/etcd/name"
printf 'K10%s::server:pass"word' "$(printf %064d 0)" >"$k3s_data/server/token"
: >"$k3s_data/server/db/snapshots/kept"
members=$2 health=$3
curl() { case $* in *health*) printf %s "$health" ;; *) cat >"$k3s_data/asked"; printf '%s\n200' "$members" ;; esac; }
systemctl() { :; }
timeout() { shift; "$@"; }
set -- https://10.0.0.9:6443 10.0.0.3
"""


def wipe(tmp_path: Path, listed: str, health: str = "") -> dict[str, object]:
    members = '{"members":[{"ID":1,"name":"prod-master1-bbbb","peerURLs":["https://10.0.0.2:2380"]}' + listed + "]}"
    answer: dict[str, object] = json.loads(sh(WIPING + script("wipe_joiner"), str(tmp_path), members, health))
    return answer


def test_a_former_members_data_is_put_aside_and_its_snapshots_stay(tmp_path: Path) -> None:
    assert "result" in wipe(tmp_path, "")
    data = tmp_path / "data"
    assert [p.name for p in (data / "server" / "db" / "snapshots").iterdir()] == ["kept"]
    assert not (data / "server" / "token").exists()
    (aside,) = data.glob("server-former-*")
    assert (aside / "db" / "etcd" / "name").read_text() == "prod-master2-aaaa"
    assert 'user = "server:pass\\"word"' in (data / "asked").read_text()


@pytest.mark.parametrize(
    ("listed", "health"),
    [
        (',{"ID":2,"name":"prod-master2-aaaa","peerURLs":["https://10.0.0.7:2380"]}', ""),
        (',{"ID":2,"name":"","peerURLs":["https://10.0.0.3:2380"]}', ""),
        ("", '{"health":"true"}'),
    ],
    ids=["its name is listed", "its address is listed", "its etcd serves"],
)
def test_the_data_of_a_member_is_never_put_aside(tmp_path: Path, listed: str, health: str) -> None:
    assert wipe(tmp_path, listed, health)["error"] == "precondition_changed"
    assert (tmp_path / "data" / "server" / "token").exists()


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


# Cut from what a real k3s v1.36.3 answers (fixture http/local_node_v1-k3s_config.txt); it holds a key.
CONFIG = (
    '{"ClusterDNSs":["10.43.0.10"],"ClusterIPRanges":[{"IP":"10.42.0.0","Mask":"//8AAA=="}],"ClusterDNS":"10.43.0.10",'
    '"ClusterDomain":"cluster.local","DisableCCM":true,"FlannelBackend":"vxlan","AdvertiseIP":"10.0.0.2",'
    '"DisableServiceLB":true,"Skips":{"ccm":true},"IPSECPSK":"1dca52450471","SANs":["10.0.0.2"]}'
)
ANSWERING = """
k3s_data=$1/data
mkdir -p "$k3s_data/server/tls"
: >"$k3s_data/server/tls/server-ca.crt"
printf 'K10%s::server:pass"word' "$(printf %064d 0)" >"$k3s_data/server/token"
curl() { cat >"$asked"; printf '%s\n\nconfig %s\n\napi %s\n\ntoken %s\n' "$config" 200 "$api" "$status"; }
journalctl() { printf 'level=info msg=a\nlevel=error msg="bäd"\nlevel=info msg=b\n'; }
asked=$1/asked config=$2 status=$3 api=$4
supervisor_facts
"""


def supervisor(tmp_path: Path, config: str, status: str, api: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads(sh(script("facts") + ANSWERING, str(tmp_path), config, status, api))
    return answer


def test_of_the_supervisors_document_only_what_masters_must_agree_on_leaves_the_host(tmp_path: Path) -> None:
    assert supervisor(tmp_path, CONFIG, "200", "401") == {
        "token_status": "200",
        "api_status": "401",
        "config": {
            "ClusterDNSs": ["10.43.0.10"],
            "ClusterIPRanges": [{"IP": "10.42.0.0", "Mask": "//8AAA=="}],
            "ClusterDomain": "cluster.local",
            "DisableCCM": True,
            "FlannelBackend": "vxlan",
            "DisableServiceLB": True,
        },
        "complaint": None,
        "uid": None,
    }
    asked = (tmp_path / "asked").read_text()
    assert 'user = "server:pass\\"word"' in asked
    assert 'user = "node:pass\\"word"' in asked, "a cluster without an agent token has one token"


def test_an_api_that_is_down_comes_with_the_last_complaint(tmp_path: Path) -> None:
    answer = supervisor(tmp_path, "", "401", "503")
    assert (answer["config"], answer["token_status"]) == ({}, "401")
    assert answer["complaint"] == 'level=error msg="bd"'


ENDPOINTS = (
    "postgres://k3s:p@ss?word@10.0.0.5:5432/kine?sslmode=require",
    "mysql://u:p@tcp(db.example.com:3306)/k3s",
    "https://10.0.0.1:2379,https://10.0.0.2:2379",
    "nats://10.0.0.9:4222?bucket=k3s",
)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_database_is_told_by_its_place_as_the_product_reckons_it(tmp_path: Path, endpoint: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f'token: "x"\ndatastore-endpoint: "{endpoint}"\n')
    told = sh(script("facts") + 'k3s_config=$1\nread_config\ndatabase_digits "$config_database"', str(config))
    assert told == database_digits(endpoint)
    assert told != database_digits(endpoint.replace("10.0.0", "10.0.9").replace("db.", "other."))


def test_who_logs_in_to_a_database_makes_no_other_one_of_it() -> None:
    assert database_digits(ENDPOINTS[0]) == database_digits("postgres://other:secret@10.0.0.5:5432/kine")


ON_DATABASE = """
k3s_config=$1/config.yaml
printf 'token: "x"\\ndatastore-endpoint: "mysql://u:secret@tcp(10.0.0.5:3306)/k3s"\\n' >"$k3s_config"
namespace=$5
curl() {
    case $* in
        *kube-system*) [ -n "$namespace" ] && printf '%s' "$namespace" ;;
        *) printf '{}\n\nconfig %s\n\napi %s\n' "$status" "$api" ;;
    esac
}
journalctl() { printf 'level=fatal msg="kine: mysql://u:secret@tcp(10.0.0.5:3306)/k3s: connection refused"\n'; }
"""
NAMESPACE = json.dumps(
    {"kind": "Namespace", "metadata": {"uid": "6c2170f8-0000-4000-8000-000000000001", "a": "b"}}, indent=2
)


def on_database(tmp_path: Path, namespace: str, *, begun: bool = True) -> dict[str, object]:
    world = ANSWERING.replace("curl()", "unused()").replace("journalctl()", "unheard()")
    ask = world.removesuffix("supervisor_facts\n") + ON_DATABASE + "supervisor_facts\n"
    ask = (
        ask
        if begun
        else ask.replace("supervisor_facts\n", 'rm "$k3s_data/server/tls/server-ca.crt"\nsupervisor_facts\n')
    )
    answer: dict[str, object] = json.loads(sh(script("facts") + ask, str(tmp_path), "{}", "200", "401", namespace))
    return answer


def test_on_a_database_the_api_tells_whose_data_it_reads(tmp_path: Path) -> None:
    answer = on_database(tmp_path, NAMESPACE)
    assert (answer["uid"], answer["complaint"]) == ("6c2170f8-0000-4000-8000-000000000001", None)


@pytest.mark.parametrize("begun", [True, False])
def test_where_the_database_is_not_read_the_last_words_come_without_its_password(tmp_path: Path, begun: bool) -> None:
    answer = on_database(tmp_path, "", begun=begun)
    assert answer["uid"] is None
    assert answer["complaint"] == 'level=fatal msg="kine: mysql://tcp(10.0.0.5:3306)/k3s: connection refused"'


def set_token(path: Path, revive: str, token: str, before: str = "") -> dict[str, object]:
    text = f"k3s_config=$2\nour_state=$3\n{before}\n{script('set_token')}"
    answer: dict[str, object] = json.loads(sh(text, revive, str(path), str(path.parent), stdin=token))
    return answer


def test_a_token_is_set_and_every_other_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text('server: "https://10.0.0.3:6443"\ntoken: "old"\nnode-name: "m1"\n')
    assert set_token(path, "no", 'K10ab::server:pa"ss\\word\n') == {"result": {}}
    assert path.read_text() == (
        'token: "K10ab::server:pa\\"ss\\\\word"\nserver: "https://10.0.0.3:6443"\nnode-name: "m1"\n'
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert "no token" in str(set_token(path, "no", "\n"))
    assert "there is no" in str(set_token(tmp_path / "none", "no", "x\n"))


@pytest.mark.parametrize(
    ("world", "why"),
    [
        ("systemctl() { return 0; }", "k3s runs here"),
        ("""systemctl() { return 3; }; curl() { printf '{"health":"true","reason":""}'; }""", "etcd is healthy here"),
        (': >"$our_state/held"', "stopped and masked"),
    ],
)
def test_a_k3s_that_must_not_be_started_is_let_be(tmp_path: Path, world: str, why: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text('token: "old"\n')
    answer = set_token(path, "yes", "new\n", world)
    assert answer["error"] == "precondition_changed"
    assert why in str(answer["message"])
    assert path.read_text() == 'token: "old"\n'


def test_a_k3s_that_cannot_start_loses_its_password_file_and_is_started(tmp_path: Path) -> None:
    path, passwd = tmp_path / "config.yaml", tmp_path / "server" / "cred" / "passwd"
    passwd.parent.mkdir(parents=True)
    passwd.touch()
    path.write_text('token: "old"\n')
    world = 'k3s_data=$our_state\nsystemctl() { printf "%s\\n" "$*" >>"$our_state/asked"; [ "$2" != is-active ]; }'
    world += "\ncurl() { return 7; }"
    assert set_token(path, "yes", "new\n", world) == {"result": {}}
    assert not passwd.exists()
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "start --no-block k3s.service"
