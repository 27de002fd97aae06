"""`init`, `validate` and `schema`: a first file, what is wrong with one, and what an editor needs."""

from __future__ import annotations

import io
import json
import socket
import sys
from pathlib import Path
from typing import NoReturn

import jsonschema
import pytest
from inline_snapshot import snapshot

from hetzner_k3s.config.json_schema import document

from .conftest import CLUSTER, Invoke

ROOT = Path(__file__).parents[2]
ANSWER = json.loads((ROOT / "docs/reference/validate.schema.json").read_text())
BROKEN = CLUSTER.replace("instance_count: 3", "instance_count: many").replace("v1.36", "1.36") + "masters_poll: {}\n"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder without home, token, keys and network, as a job in CI may."""

    def unreachable(*_arguments: object) -> NoReturn:
        raise AssertionError("it asked the network")

    for name in ("HOME", "HCLOUD_TOKEN", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_valid_file_needs_no_token_key_or_network(invoke: Invoke, nowhere: Path) -> None:
    (nowhere / "cluster.yaml").write_text(CLUSTER)
    ended = invoke("validate", "-c", "cluster.yaml")
    assert (ended.code, ended.out, ended.err) == (0, "", "cluster.yaml is valid\n")
    assert invoke("validate", "-q", "-c", "cluster.yaml").err == ""


def test_all_mistakes_are_told_at_once_with_their_places(invoke: Invoke, nowhere: Path) -> None:
    (nowhere / "cluster.yaml").write_text(BROKEN)
    ended = invoke("validate", "-c", "cluster.yaml")
    assert (ended.code, ended.err) == (2, "cluster.yaml is not valid: 3 errors\n")
    assert ended.out == snapshot("""\
cluster.yaml:3:14: k3s_version: '1.36.3+k3s1' is not a k3s release: expected a form such as v1.36.3+k3s1
cluster.yaml:11:19: masters_pool.instance_count: expected a whole number, got 'many'
cluster.yaml:14:1: masters_poll: unknown key (did you mean "masters_pool"?)
""")


def test_warnings_are_told_and_no_error(invoke: Invoke, nowhere: Path) -> None:
    (nowhere / "cluster.yaml").write_text(CLUSTER + "ssh_port: 22\nautoscaling_image: debian-12\n")
    ended = invoke("validate", "-c", "cluster.yaml")
    assert (ended.code, ended.err) == (0, "cluster.yaml is valid: 2 warnings\n")
    assert ended.out.count(": warning: ") == 2


def test_what_the_file_itself_says_of_token_and_bucket_is_checked(invoke: Invoke, nowhere: Path) -> None:
    etcd = "{s3_enabled: true, s3_bucket: A, s3_endpoint: s3.example.com}"
    (nowhere / "cluster.yaml").write_text(f"{CLUSTER}hetzner_token: tökén\ndatastore: {{etcd: {etcd}}}\n")
    ended = invoke("validate", "-c", "cluster.yaml")
    assert ended.code == 2
    assert [line.split(": ")[1] for line in ended.out.splitlines()] == ["hetzner_token", "datastore.etcd.s3_bucket"]
    assert "tökén" not in ended.out


@pytest.mark.parametrize("text", [CLUSTER, BROKEN, "", "\t", CLUSTER + "ssh_port: 22\n"])
def test_json_has_the_same_findings(invoke: Invoke, nowhere: Path, text: str) -> None:
    (nowhere / "cluster.yaml").write_text(text)
    told, lines = invoke("validate", "-c", "cluster.yaml", "--json"), invoke("validate", "-c", "cluster.yaml", "-q")
    answer = json.loads(told.out)
    jsonschema.validate(answer, ANSWER)
    assert (told.code, told.err, answer["valid"]) == (lines.code, "", lines.code == 0)
    assert len(answer["findings"]) == len(lines.out.splitlines())
    for finding, line in zip(answer["findings"], lines.out.splitlines(), strict=True):
        assert line.endswith(finding["message"])
        assert line.startswith(f"cluster.yaml:{finding['line']}:" if finding["line"] else "cluster.yaml: ")


def test_no_file_is_a_finding(invoke: Invoke, nowhere: Path) -> None:
    ended = invoke("validate", "-c", "nothing.yaml")
    assert (ended.code, ended.out) == (2, "nothing.yaml: no such file\n")


def test_schema_is_data(invoke: Invoke) -> None:
    ended = invoke("schema")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == document()


def test_a_first_file_by_flags_is_valid_and_has_its_schema(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(nowhere))  # without it this user's own home counts, where a key may lie
    flags = ["--name", "shop", "--masters", "1", "--workers", "0", "--location", "hel1", "--instance-type", "cax11"]
    made = invoke("init", *flags, "--allow", "192.0.2.0/24", "--allow", "2001:db8::/32")
    assert (made.code, made.out) == (0, "cluster.yaml\n"), made.err
    assert (nowhere / "cluster.yaml").read_text() == snapshot("""\
# yaml-language-server: $schema=cluster.schema.json
# A k3s cluster on Hetzner Cloud. Every key: docs/reference/configuration.md of hetzner-k3s.
# The API token is taken from the environment: export HCLOUD_TOKEN=…
cluster_name: shop   # cannot change later
kubeconfig_path: ./kubeconfig
k3s_version: v1.36.3+k3s1   # `hetzner-k3s releases` lists them

networking:
  ssh:
    private_key_path: ~/.ssh/id_ed25519
    public_key_path: ~/.ssh/id_ed25519.pub
  allowed_networks:
    ssh: [192.0.2.0/24, "2001:db8::/32"]
    api: [192.0.2.0/24, "2001:db8::/32"]

# One master: when it is lost, so is the cluster. Three bear the loss of one.
masters_pool:
  instance_type: cax11
  instance_count: 1
  locations: [hel1]   # one for each master, or one for all

schedule_workloads_on_masters: true   # there are no workers

protect_against_deletion: true   # `hetzner-k3s delete` refuses until this is false
""")
    assert made.err == snapshot("""\
note: there is no ~/.ssh/id_ed25519.pub yet; `ssh-keygen -t ed25519 -f ~/.ssh/id_ed25519` makes a key
next: export HCLOUD_TOKEN=… && hetzner-k3s plan --config cluster.yaml
""")
    assert invoke("validate", "-c", "cluster.yaml").code == 0
    assert json.loads((nowhere / "cluster.schema.json").read_text()) == document()


def test_a_first_file_by_defaults_is_three_masters_and_two_workers(invoke: Invoke, nowhere: Path) -> None:
    assert invoke("init", "-c", "prod.yaml").code == 0
    assert (nowhere / "prod.yaml").read_text() == snapshot("""\
# yaml-language-server: $schema=cluster.schema.json
# A k3s cluster on Hetzner Cloud. Every key: docs/reference/configuration.md of hetzner-k3s.
# The API token is taken from the environment: export HCLOUD_TOKEN=…
cluster_name: my-cluster   # cannot change later
kubeconfig_path: ./kubeconfig
k3s_version: v1.36.3+k3s1   # `hetzner-k3s releases` lists them

networking:
  ssh:
    private_key_path: ~/.ssh/id_ed25519
    public_key_path: ~/.ssh/id_ed25519.pub
  allowed_networks:   # everybody: narrow these two to your own networks
    ssh: [0.0.0.0/0]
    api: [0.0.0.0/0]

# Any one of them may be lost: run `hetzner-k3s create` again, and it is replaced.
masters_pool:
  instance_type: cpx22
  instance_count: 3
  locations: [fsn1, hel1, nbg1]   # one for each master, or one for all

worker_node_pools:
  - name: workers
    instance_type: cpx22
    instance_count: 2
    location: fsn1

protect_against_deletion: true   # `hetzner-k3s delete` refuses until this is false
""")
    assert invoke("validate", "-c", "prod.yaml").code == 0


def test_what_is_there_is_never_overwritten(invoke: Invoke, nowhere: Path) -> None:
    (nowhere / "cluster.yaml").write_text("mine")
    ended = invoke("init")
    assert (ended.code, ended.out) == (2, "")
    assert "cluster.yaml is there already" in ended.err
    assert (nowhere / "cluster.yaml").read_text() == "mine"
    (nowhere / "cluster.schema.json").write_text("mine too")
    assert "cluster.schema.json is there already" in invoke("init", "-c", "other.yaml").err
    assert (nowhere / "cluster.schema.json").read_text() == "mine too"


def test_flags_of_which_no_valid_file_can_be_made_are_all_named(invoke: Invoke, nowhere: Path) -> None:
    ended = invoke("init", "--masters", "2", "--name", "Ä: [", "--k3s-version", "1.36")
    assert ended.code == 2
    for named in ("cluster_name: ", "masters_pool.instance_count: ", "k3s_version: "):
        assert named in ended.err
    assert list(nowhere.iterdir()) == []


def test_the_key_of_this_user_is_named(invoke: Invoke, home: Path) -> None:
    (home / ".ssh/id_ed25519.pub").rename(home / ".ssh/id_rsa.pub")
    made = invoke("init")
    assert "public_key_path: ~/.ssh/id_rsa.pub\n" in (home / "cluster.yaml").read_text()
    assert "there is no" not in made.err


def test_at_a_terminal_it_asks_and_asks_again(home: Path) -> None:
    pytest.importorskip("pyte", reason="pyte is not installed here")
    from tests.cli.terminal.emulator import converse

    answers = ["Shop", "shop", "two", "2", "3", "0", "", "fsn1, hel1", "fsn1, hel1, nbg1", "", "", "192.0.2.7/32"]
    program = [sys.executable, "-m", "hetzner_k3s", "init"]
    environment = {"HOME": str(home), "TERM": "xterm-256color", "PYTHONUTF8": "1", "NO_COLOR": "1"}
    seen = converse(program, (80, 40), *answers, cwd=home, environment=environment)
    assert seen.code == 0, seen.emulator.text
    assert seen.emulator.text == snapshot("""\
Name of the cluster [my-cluster]: Shop
cluster_name: takes lower-case letters, digits and dashes, starts with a letter
  and ends with a letter or digit
Name of the cluster [my-cluster]: shop
Masters (1, 3, 5, …) [3]: two
'two' is no whole number
Masters (1, 3, 5, …) [3]: 2
masters_pool.instance_count: etcd needs an odd number of masters, 1 or better 3;
  got 2
Masters (1, 3, 5, …) [3]: 3
Workers (0: pods run on the masters) [2]: 0
Server type [cpx22]:
Locations (one, or one for each master) [fsn1, hel1, nbg1]: fsn1, hel1
masters_pool.locations: expected 3 locations, one for each master (or one for
  all), got 2
Locations (one, or one for each master) [fsn1, hel1, nbg1]: fsn1, hel1, nbg1
Release of k3s [v1.36.3+k3s1]:
Your private SSH key [~/.ssh/id_ed25519]:
Networks that may reach SSH and the API [0.0.0.0/0]: 192.0.2.7/32
cluster.yaml
next: export HCLOUD_TOKEN=… && hetzner-k3s plan --config cluster.yaml\
""")
    assert "locations: [fsn1, hel1, nbg1]" in (home / "cluster.yaml").read_text()


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_is_answered_is_in_the_file_and_what_a_flag_says_is_not_asked(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed("shop\nmany\n2\n1\n4\ncpx32\n\n\n192.0.2.7/32\n"))
    ended = invoke("init", "--ssh-key", "~/.ssh/of-a-flag")
    assert ended.code == 0, ended.err
    assert "'many' is no whole number\n" in ended.err
    assert "etcd needs an odd number of masters" in ended.err
    assert "Your private SSH key" not in ended.err
    text = (home / "cluster.yaml").read_text()
    for said in (
        "cluster_name: shop",
        "instance_count: 1",
        "instance_count: 4",
        "cpx32",
        "~/.ssh/of-a-flag",
        "192.0.2.7/32",
    ):
        assert said in text
