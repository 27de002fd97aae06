"""Commands against an emulated Hetzner API that holds nothing, or little."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetzner_k3s.adapters.system.operator import state_directory
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import load_spec
from hetzner_k3s.lab.realhosts.state import StateFolder, default_folder

from .conftest import CLUSTER, Invoke
from .hetzner import TOKEN, Hetzner, running


@pytest.fixture(scope="module")
def emulated() -> Iterator[Hetzner]:
    with running() as hetzner:
        yield hetzner


@pytest.fixture
def hetzner(emulated: Hetzner, home: Path, monkeypatch: pytest.MonkeyPatch) -> Hetzner:
    """Point the commands at an API whose project is empty again."""
    for path in ("/networks", "/placement_groups"):
        for resource in emulated.send("GET", path)[path[1:]]:
            emulated.send("DELETE", f"{path}/{resource['id']}")
    monkeypatch.setenv("HCLOUD_ENDPOINT", emulated.url)
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: false\n")
    return emulated


def typing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def remains(hetzner: Hetzner) -> list[str]:
    paths = ("/networks", "/placement_groups", "/servers", "/firewalls", "/ssh_keys", "/load_balancers")
    return [resource["name"] for path in paths for resource in hetzner.send("GET", path)[path[1:]]]


@pytest.mark.usefixtures("hetzner")
@pytest.mark.parametrize("command", ["create", "status", "delete"])
def test_a_wrong_token_ends_in_5_and_says_so(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", "w" * 64)
    ended = invoke(command, "-c", "cluster.yaml")
    assert ended.code == 5
    assert "Check the Hetzner token" in ended.err
    assert "w" * 64 not in ended.err + ended.out


@pytest.mark.usefixtures("hetzner")
def test_the_status_of_nothing_is_pending(invoke: Invoke) -> None:
    ended = invoke("status", "-c", "cluster.yaml")
    assert ended.code == 3
    assert ended.out.splitlines()[0] == "prod: not initialized yet"
    assert ended.out.count("absent") == 3
    assert "create server master2 (cpx22 in hel1, ubuntu-24.04)" in ended.err


@pytest.mark.usefixtures("hetzner")
def test_deleting_nothing_asks_nothing(invoke: Invoke) -> None:
    ended = invoke("delete", "-c", "cluster.yaml")
    assert (ended.code, ended.out) == (0, "")


def _with_a_group(hetzner: Hetzner) -> None:
    labels = {"cluster": "prod", "role": "masters"}
    hetzner.send("POST", "/placement_groups", name="prod-masters-pg1", type="spread", labels=labels)


@pytest.mark.parametrize("typed", ["", "prof\n"], ids=["nothing", "another name"])
@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_delete_shows_what_goes_and_wants_the_name(
    invoke: Invoke, hetzner: Hetzner, monkeypatch: pytest.MonkeyPatch, typed: str, quiet: list[str]
) -> None:
    _with_a_group(hetzner)
    typing(monkeypatch, typed)
    ended = invoke("delete", "-c", "cluster.yaml", *quiet)
    assert (ended.code, ended.out) == (4, "")
    assert "delete placement group masters-pg1" in ended.err
    assert "nothing was deleted" in ended.err
    assert remains(hetzner) == ["prod-masters-pg1"]


def test_with_the_name_it_is_deleted(invoke: Invoke, hetzner: Hetzner, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_a_group(hetzner)
    typing(monkeypatch, "prod\n")
    ended = invoke("delete", "-c", "cluster.yaml")
    assert ended.code == 0
    assert remains(hetzner) == []


def test_with_the_name_as_a_flag_nobody_is_asked(
    invoke: Invoke, hetzner: Hetzner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else is as if it had been typed: the protection of the file holds, and a wrong name deletes nothing."""
    _with_a_group(hetzner)
    typing(monkeypatch, "")
    wrong = invoke("delete", "-c", "cluster.yaml", "--confirm", "staging")
    assert wrong.code == 2
    assert "--confirm names 'staging', and cluster.yaml is of the cluster 'prod'" in wrong.err
    unprotected = (home / "cluster.yaml").read_text()
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: true\n")
    assert invoke("delete", "-c", "cluster.yaml", "--confirm", "prod").code == 4
    assert remains(hetzner) == ["prod-masters-pg1"]
    (home / "cluster.yaml").write_text(unprotected)
    assert invoke("delete", "-c", "cluster.yaml", "--confirm", "prod").code == 0
    assert remains(hetzner) == []


def test_what_may_be_the_clusters_is_named_where_its_name_is_asked_for(
    invoke: Invoke, hetzner: Hetzner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_a_group(hetzner)
    labels = {"managed-by": "csi-driver", "pvc-namespace": "default", "pvc-name": "data"}
    hetzner.send("POST", "/volumes", name="pvc-1", size=10, location="fsn1", labels=labels)
    typing(monkeypatch, "prod\n")
    ended = invoke("delete", "-c", "cluster.yaml", "--with-volumes", "--with-load-balancers")
    assert ended.code == 0
    told = " ".join(ended.err.split())
    assert "10 GB, of default/data) stays, with all data: made by Kubernetes, and perhaps for this cluster" in told
    assert "Later: `hcloud volume delete" in told
    assert [volume["name"] for volume in hetzner.send("GET", "/volumes")["volumes"]] == ["pvc-1"]


def test_force_deletes_a_protected_cluster_without_a_word(
    invoke: Invoke, hetzner: Hetzner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: true\n")
    _with_a_group(hetzner)
    typing(monkeypatch, "")
    ended = invoke("delete", "-c", "cluster.yaml", "--force", "-q")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert remains(hetzner) == []


def test_reading_needs_no_lock_and_takes_none(invoke: Invoke, hetzner: Hetzner) -> None:
    labels = {"hetzner-k3s/holder": "alice", "hetzner-k3s/run": "a1", "hetzner-k3s/expires": "1"}
    hetzner.send("POST", "/placement_groups", name="prod-operator-lock", type="spread", labels=labels)
    ended = invoke("status", "-c", "cluster.yaml")
    assert ended.code == 3
    assert remains(hetzner) == ["prod-operator-lock"]


ORDERED = """\
image: debian-99
masters_pool:
  instance_type: cpx99
  instance_count: 3
  locations:
    - fsn1
    - hel1
    - fsn9
"""


@pytest.mark.parametrize("command", ["plan", "create", "status"])
def test_what_hetzner_does_not_sell_is_refused_with_line_and_column(
    invoke: Invoke, hetzner: Hetzner, home: Path, command: str
) -> None:
    """In the form of every other mistake in the file, before anything is bought."""
    begin, _, end = CLUSTER.partition("masters_pool:")
    rest = end[end.index("schedule_workloads") :]
    (home / "cluster.yaml").write_text(begin + ORDERED + rest)
    ended = invoke(command, "-c", "cluster.yaml")
    assert ended.code == {"plan": 4, "create": 4, "status": 3}[command]
    lines = (ended.out + ended.err).splitlines()
    assert [line for line in lines if line.startswith("cluster.yaml:")] == [
        "cluster.yaml:9:8: image: there is no image debian-99",
        "cluster.yaml:11:18: masters_pool.instance_type: there is no server type cpx99 (did you mean cpx62?)",
        "cluster.yaml:16:7: masters_pool.locations[2]: there is no location fsn9 (did you mean fsn1?)",
    ]
    assert "   code: order.impossible" in lines
    assert remains(hetzner) == []


@pytest.mark.usefixtures("hetzner")
def test_a_refused_setting_is_data_too(invoke: Invoke, home: Path) -> None:
    (home / "cluster.yaml").write_text(CLUSTER.replace("cpx22", "cpx99"))
    (refusal,) = json.loads(invoke("plan", "-c", "cluster.yaml", "--json").out)["refusals"]
    (setting,) = refusal["settings"]
    assert setting.pop("message").startswith("there is no server type cpx99")
    assert setting == {"file": "cluster.yaml", "line": 10, "column": 18, "key": "masters_pool.instance_type"}


@pytest.fixture
def channels(hetzner: Hetzner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read k3s' releases where the lab has them."""
    monkeypatch.setenv("INSTALL_K3S_CHANNEL_URL", hetzner.channels)


@pytest.mark.usefixtures("channels")
@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("v1.36.3+k3s1", None),
        ("v1.36.33+k3s1", "the newest of v1.36 is v1.36.3+k3s1"),
        ("v1.63.3+k3s1", "its newest is v1.36.3+k3s1"),
    ],
)
def test_a_release_that_the_channels_do_not_have_is_refused_in_its_line(
    invoke: Invoke, home: Path, version: str, told: str | None
) -> None:
    (home / "cluster.yaml").write_text(CLUSTER.replace("v1.36.3+k3s1", version))
    ended = invoke("plan", "-c", "cluster.yaml")
    assert ended.code == (4 if told else 0)
    assert "was not looked up" not in ended.out
    refused = [line for line in ended.out.splitlines() if line.startswith("cluster.yaml:")]
    assert refused == ([f"cluster.yaml:3:14: k3s_version: k3s has no release {version}: {told}"] if told else [])


@pytest.mark.usefixtures("hetzner")
def test_channels_that_do_not_answer_are_a_note(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTALL_K3S_CHANNEL_URL", "http://127.0.0.1:9/channels")
    (home / "cluster.yaml").write_text(CLUSTER.replace("v1.36.3+k3s1", "v1.63.3+k3s1"))
    ended = invoke("plan", "-c", "cluster.yaml")
    assert ended.code == 0
    assert "note: whether there is a k3s v1.63.3+k3s1 was not looked up: http://127.0.0.1:9/channels" in ended.out


@pytest.mark.parametrize("lab", [None, "lab-4711"])
def test_a_birth_is_remembered_with_the_project_that_it_is_of(
    hetzner: Hetzner, home: Path, monkeypatch: pytest.MonkeyPatch, lab: str | None
) -> None:
    """A lab's projects go with it, so what is noted of them names the lab; at Hetzner's own address there is none."""
    monkeypatch.delenv("HETZNER_K3S_LAB", raising=False)
    if lab is not None:
        monkeypatch.setenv("HETZNER_K3S_LAB", lab)

    async def remembered() -> dict[str, str]:
        spec = load_spec(Path("cluster.yaml"))
        async with wiring.open_session(spec) as session:
            session.ports.local.record("birth opened", {})
        told: dict[str, str] = json.loads((state_directory(spec.name) / "births.jsonl").read_text().splitlines()[-1])
        return told

    here = asyncio.run(remembered())
    assert here["lab"] == (lab or hetzner.url)
    assert here["config"] == str((home / "cluster.yaml").resolve())
    assert here["kubeconfig"] == str(home / "kubeconfig")
    monkeypatch.delenv("HCLOUD_ENDPOINT")
    monkeypatch.setenv("HCLOUD_TOKEN", "t" * 64)
    there = asyncio.run(remembered())
    assert "lab" not in there
    assert there["project"] != here["project"]
    monkeypatch.setenv("HCLOUD_TOKEN", "u" * 64)
    assert asyncio.run(remembered())["project"] not in {here["project"], there["project"]}


@pytest.mark.usefixtures("hetzner")
def test_where_this_machine_is_in_the_internet_is_known_at_hetzner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The firewall of a lab sees another address, and would be blamed for what it does not do."""
    monkeypatch.setattr(wiring, "public_address", lambda: "198.51.100.9")

    async def own_address() -> str | None:
        async with wiring.open_session(load_spec(Path("cluster.yaml"))) as session:
            return session.ports.local.evidence().public_address

    assert asyncio.run(own_address()) is None
    monkeypatch.delenv("HCLOUD_ENDPOINT")
    assert asyncio.run(own_address()) == "198.51.100.9"


@pytest.mark.usefixtures("hetzner")
def test_a_bucket_is_opened_where_the_file_names_one(home: Path) -> None:
    place = "s3_endpoint: s3.example, s3_region: r, s3_bucket: snaps"
    s3 = f"{{s3_enabled: true, {place}, s3_access_key: k, s3_secret_key: s}}"

    async def has_a_bucket() -> bool:
        async with wiring.open_session(load_spec(Path("cluster.yaml"))) as session:
            return session.ports.objects is not None

    assert not asyncio.run(has_a_bucket())
    (home / "cluster.yaml").write_text(f"{CLUSTER}datastore:\n  mode: etcd\n  etcd: {s3}\n")
    assert asyncio.run(has_a_bucket())


def test_a_lab_that_another_command_is_at_work_on_is_left_alone(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is the usual one as well: whatever is wrong with `up`, no lab is begun here."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    state = StateFolder(default_folder())
    with state.locked(wait=True):
        ended = invoke("lab", "up", "--state", str(state.folder))
    assert (ended.code, ended.out) in {(1, ""), (2, "")}, ended.err
    assert "is at work on" in ended.err or "real hosts cannot run here" in ended.err
    assert state.read_record() is None


def test_without_a_lab_its_commands_say_so(invoke: Invoke, tmp_path: Path) -> None:
    down = invoke("lab", "down", "--state", str(tmp_path / "lab"))
    assert (down.code, down.err) == (0, "no lab is running\n")
    status = invoke("lab", "status", "--state", str(tmp_path / "lab"))
    assert status.code != 0
    assert "error: no lab is running" in status.err
