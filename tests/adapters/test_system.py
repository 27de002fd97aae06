"""The operator's machine: kubeconfig evidence, the run journal and its lock, host keys."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest
from ruamel.yaml import YAML

from hetzner_k3s.adapters.system import Ed25519HostKeys, OperatorMachine, SystemClock, SystemRng
from hetzner_k3s.adapters.system.births import Project, project_key
from hetzner_k3s.model.errors import LocalTrouble
from hetzner_k3s.model.hosts.contact import host_key_label
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.tokens import ClusterTokens

CA = b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
CA_HASH = hashlib.sha256(CA).hexdigest()

HOLD_A_RUN = """
import sys
from pathlib import Path
from hetzner_k3s.adapters.system import OperatorMachine, SystemClock
machine = OperatorMachine(cluster="demo", kubeconfig=Path("/nowhere"), run=sys.argv[1], clock=SystemClock())
machine.record("started", {})
print("recorded", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "hetzner-k3s" / "demo"


def machine(tmp_path: Path, run: str = "run1") -> OperatorMachine:
    return OperatorMachine(cluster="demo", kubeconfig=tmp_path / "kubeconfig", run=run, clock=SystemClock())


def kubeconfig(*contexts: str, ca: bytes = CA) -> str:
    data = base64.b64encode(ca).decode()
    clusters = [
        {"name": c, "cluster": {"server": f"https://{c}:6443", "certificate-authority-data": data}} for c in contexts
    ]
    return json.dumps(
        {
            "clusters": clusters,
            "contexts": [{"name": c, "context": {"cluster": c, "user": "u"}} for c in contexts],
            "users": [{"name": "u", "user": {"token": f"of {contexts[0]}"}}],
        }
    )


def test_nothing_is_remembered_of_a_new_cluster(tmp_path: Path, state: Path) -> None:
    evidence = machine(tmp_path).evidence()
    assert evidence.kubeconfig_ca is None
    assert not evidence.open_birth
    assert not state.exists()


def test_the_contexts_of_the_cluster_are_evidence(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig("demo", "demo-master1", "other"))
    evidence = machine(tmp_path).evidence()
    assert evidence.kubeconfig_ca == CA_HASH
    assert evidence.kubeconfig_servers == {"demo": "https://demo:6443", "demo-master1": "https://demo-master1:6443"}


def test_contexts_of_others_are_none(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig("other", "demo2", "other-master1"))
    assert machine(tmp_path).evidence().kubeconfig_ca is None


@pytest.mark.parametrize("text", ["a: [", "\x00", "- list", "clusters: 7", "contexts: [{name: demo}]", "[" * 3000])
def test_a_file_that_cannot_be_read_is_evidence_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    assert machine(tmp_path).evidence().kubeconfig_ca == "unreadable"


def test_a_directory_in_its_place_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").mkdir()
    assert machine(tmp_path).evidence().kubeconfig_ca == "unreadable"


def test_the_kubeconfig_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("demo-master1"))
    path.chmod(0o644)
    machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo")))
    assert path.read_text() == kubeconfig("demo")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["kubeconfig"]
    machine(tmp_path).remove_kubeconfig()
    assert not path.exists()


def contexts_of(path: Path) -> dict[str, str]:
    """Read what each context leads to."""
    document = YAML(typ="safe").load(path.read_text())
    clusters = {entry["name"]: entry["cluster"]["server"] for entry in document["clusters"]}
    return {entry["name"]: clusters[entry["context"]["cluster"]] for entry in document["contexts"]}


def test_our_contexts_are_merged_and_others_untouched(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    before = "# by hand\n" + json.dumps({"current-context": "other", "x": 1, **json.loads(kubeconfig("other"))})
    path.write_text(before)
    kept = machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo", "demo-master1")))
    assert kept == str(tmp_path / "kubeconfig.before-demo")
    assert Path(kept).read_text() == before
    assert Path(kept).stat().st_mode & 0o777 == path.stat().st_mode & 0o777 == 0o600
    assert contexts_of(path) == {name: f"https://{name}:6443" for name in ("other", "demo", "demo-master1")}
    assert path.read_text().startswith("# by hand")
    assert YAML(typ="safe").load(path.read_text())["current-context"] == "other"
    found = machine(tmp_path).evidence()
    assert (found.kubeconfig_ca, sorted(found.kubeconfig_servers)) == (CA_HASH, ["demo", "demo-master1"])


def test_earlier_copies_of_a_kubeconfig_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    for at, other in enumerate(("first", "second", "third"), 1):
        path.write_text(kubeconfig(other))
        kept = machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo")))
        assert kept == f"{path}.before-demo{'' if at == 1 else f'-{at}'}"
    copies = sorted(tmp_path.glob("kubeconfig.before-*"))
    assert [kept.read_text() for kept in copies] == [kubeconfig(name) for name in ("first", "second", "third")]


def test_contexts_of_ours_that_went_are_replaced_in_a_merged_file(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("other"))
    machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo-master1", "demo-master2")))
    machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo-master1", "demo-master3")))
    assert sorted(contexts_of(path)) == ["demo-master1", "demo-master3", "other"]


@pytest.mark.parametrize("ours", [("demo",), ("demo-master1", "demo")])
def test_a_cluster_of_anothers_context_keeps_a_name_that_ours_would_have(tmp_path: Path, ours: tuple[str, ...]) -> None:
    path = tmp_path / "kubeconfig"
    theirs = json.loads(kubeconfig("demo"))
    theirs["contexts"] = [{"name": "theirs", "context": {"cluster": "demo", "user": "u"}}]
    path.write_text(json.dumps(theirs).replace("https://demo:", "https://theirs:"))
    machine(tmp_path).write_kubeconfig(Secret(kubeconfig(*ours)))
    assert contexts_of(path) == {"theirs": "https://theirs:6443", **{name: f"https://{name}:6443" for name in ours}}


def test_a_context_that_leads_nowhere_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    for name in ("other", "demo-master9"):
        document = json.loads(kubeconfig("another"))
        document["contexts"].append({"name": name, "context": {"cluster": "gone", "user": "u"}})
        path.write_text(json.dumps(document))
        assert machine(tmp_path).evidence().kubeconfig_ca is None


def test_a_deletion_takes_our_contexts_out_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("other"))
    machine(tmp_path).remove_kubeconfig()
    assert path.read_text() == kubeconfig("other")
    machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo")))
    merged = path.read_text()
    kept = machine(tmp_path).remove_kubeconfig()
    assert kept == str(tmp_path / "kubeconfig.before-demo-2")
    assert Path(kept).read_text() == merged
    assert contexts_of(path) == {"other": "https://other:6443"}


def entries_of(path: Path) -> dict[str, list[str]]:
    """Read what a kubeconfig holds, by name."""
    document = YAML(typ="safe").load(path.read_text())
    return {key: [entry["name"] for entry in document[key]] for key in ("clusters", "contexts", "users")}


def test_what_only_our_contexts_name_goes_with_them(tmp_path: Path) -> None:
    """Else the admin's key of a cluster that is gone would stay, and each run would leave another one."""
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("other"))
    for _ in range(2):
        machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo-master1", "demo-master2")))
    names = ["other", "demo-master1", "demo-master2"]
    assert entries_of(path) == {"clusters": names, "contexts": names, "users": ["u", "u@hetzner-k3s-demo"]}
    machine(tmp_path).remove_kubeconfig()
    assert entries_of(path) == {"clusters": ["other"], "contexts": ["other"], "users": ["u"]}


def test_what_another_context_names_as_well_stays(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    document = json.loads(kubeconfig("demo-master1", "demo-master2"))
    document["contexts"].append({"name": "mine", "context": {"cluster": "demo-master2", "user": "u"}})
    path.write_text(json.dumps(document))
    machine(tmp_path).remove_kubeconfig()
    assert entries_of(path) == {"clusters": ["demo-master2"], "contexts": ["mine"], "users": ["u"]}


def test_tokens_lie_where_the_guide_says_and_later_runs_find_them(tmp_path: Path, state: Path) -> None:
    tokens = ClusterTokens(Secret(f"K10{CA_HASH}::server:pw"), Secret(f"K10{CA_HASH}::node:agents"))
    kept = Path(machine(tmp_path).keep_tokens(tokens))
    assert kept == state / "tokens" / tokens.held.server
    guide = Path(__file__).parents[2] / "docs/guides/restore.md"
    assert "in `~/.local/state/hetzner-k3s/<cluster>/tokens/`" in guide.read_text()
    machine(tmp_path).record("started", {})
    later = machine(tmp_path, "run2")
    assert later.evidence().kept == (tokens.held,)
    assert later.token(tokens.held.server) == tokens.server
    assert later.agent_token(tokens.held.agent or "") == tokens.agent


LAB, NEXT_LAB = "lab-1", "lab-2"


def in_project(
    tmp_path: Path, token: str, *, lab: str = "", config: str = "a", kubeconfig: str = "k"
) -> OperatorMachine:
    """A run with this token, from these files."""
    project = Project(
        key=project_key(lab, token),
        lab=lab,
        config=f"/etc/{config}.yaml",
        kubeconfig=str(tmp_path / kubeconfig),
    )
    return OperatorMachine(
        cluster="demo", kubeconfig=tmp_path / kubeconfig, run="r", clock=SystemClock(), project=project
    )


def test_one_name_is_a_cluster_in_each_of_two_projects(tmp_path: Path) -> None:
    in_project(tmp_path, "one").record("birth opened", {"cluster": "demo"})
    assert in_project(tmp_path, "one", config="b", kubeconfig="l").evidence().open_birth
    other = in_project(tmp_path, "two", config="b", kubeconfig="l")
    assert not other.evidence().open_birth
    other.record("birth opened", {"cluster": "demo"})
    other.record("birth closed", {"cluster": "demo"})
    assert in_project(tmp_path, "one").evidence().open_birth, "the other project's deletion is not this one's"


@pytest.mark.parametrize("same", [{"config": "a", "kubeconfig": "l"}, {"config": "b", "kubeconfig": "k"}])
def test_the_same_file_with_another_token_is_taken_for_a_mistake(tmp_path: Path, same: dict[str, str]) -> None:
    in_project(tmp_path, "one").record("birth opened", {"cluster": "demo"})
    wrong = in_project(tmp_path, "two", **same)
    assert wrong.evidence().open_birth
    wrong.record("birth closed", {"cluster": "demo"})
    assert not in_project(tmp_path, "one").evidence().open_birth, "its name was typed with that file"


def test_a_birth_from_before_projects_were_noted_counts_in_all(tmp_path: Path, state: Path) -> None:
    state.mkdir(parents=True)
    (state / "births.jsonl").write_text('{"at": 1.0, "event": "birth opened", "cluster": "demo"}\n')
    for token in ("one", "two"):
        assert in_project(tmp_path, token, config=token, kubeconfig=token).evidence().open_birth


@pytest.mark.parametrize("cut_off", ['{"at": 1.0, "eve', "", "[]", "7"])
def test_a_line_that_a_crash_cut_off_counts_as_a_birth(tmp_path: Path, state: Path, cut_off: str) -> None:
    state.mkdir(parents=True)
    (state / "births.jsonl").write_text(f"{cut_off}\n")
    assert in_project(tmp_path, "one").evidence().open_birth


def test_a_lab_that_is_gone_hinders_no_other_one(tmp_path: Path) -> None:
    gone = in_project(tmp_path, "one", lab=LAB)
    gone.record("birth opened", {"cluster": "demo"})
    gone.write_kubeconfig(Secret(kubeconfig("demo")))
    anew = in_project(tmp_path, "two", lab=NEXT_LAB).evidence()
    assert (anew.open_birth, anew.kubeconfig_ca) == (False, None)


@pytest.mark.parametrize("token", ["one", "two"])
def test_in_one_lab_a_wrong_token_is_a_mistake_as_at_hetzner(tmp_path: Path, token: str) -> None:
    first = in_project(tmp_path, "one", lab=LAB)
    first.record("birth opened", {"cluster": "demo"})
    first.write_kubeconfig(Secret(kubeconfig("demo")))
    found = in_project(tmp_path, token, lab=LAB).evidence()
    assert (found.open_birth, found.kubeconfig_ca) == (True, CA_HASH)


def test_a_cluster_at_hetzner_hinders_a_lab_with_the_same_file(tmp_path: Path) -> None:
    living = in_project(tmp_path, "one")
    living.record("birth opened", {"cluster": "demo"})
    living.write_kubeconfig(Secret(kubeconfig("demo")))
    lab = in_project(tmp_path, "two", lab=LAB).evidence()
    assert (lab.open_birth, lab.kubeconfig_ca) == (True, CA_HASH)


def test_no_token_stands_in_the_memory_of_births(tmp_path: Path, state: Path) -> None:
    in_project(tmp_path, "t" * 64).record("birth opened", {"cluster": "demo"})
    assert "t" * 64 not in (state / "births.jsonl").read_text()


def test_a_birth_is_open_until_a_deletion_closes_it(tmp_path: Path) -> None:
    first = machine(tmp_path)
    first.record("birth opened", {"cluster": "demo"})
    assert machine(tmp_path, "run2").evidence().open_birth
    first.record("birth closed", {"cluster": "demo"})
    assert not machine(tmp_path, "run3").evidence().open_birth


def test_the_journal_is_lines_for_its_owner_alone(tmp_path: Path, state: Path) -> None:
    writer = machine(tmp_path)
    writer.record("started", {"step": "CreateServer", "target": "demo-master1"})
    writer.record("finished", {"step": "CreateServer", "target": "demo-master1"})
    path = state / "runs" / "run1.jsonl"
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["started", "finished"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_line_of_the_journal_is_for_people(tmp_path: Path, state: Path) -> None:
    """Moments by the millisecond, and letters as they are written."""
    machine(tmp_path).record("failed", {"error": "für master1 kam nichts"})
    line = (state / "runs" / "run1.jsonl").read_text()
    assert "für master1" in line
    assert re.search(r'"at": \d+(\.\d{1,3})?,', line)


def test_a_run_is_dead_only_when_its_journal_is_here_and_nobody_holds_it(tmp_path: Path) -> None:
    watcher = machine(tmp_path, "watcher")
    assert not watcher.run_is_dead("never-seen")
    assert not watcher.run_is_dead("../../etc/passwd")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_RUN, "other"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "recorded\n"
        assert not watcher.run_is_dead("other")
    finally:
        other.kill()
        other.communicate()
    assert watcher.run_is_dead("other")


def test_a_host_key_is_what_ssh_reads_and_its_label_is_of_its_blob() -> None:
    first, second = Ed25519HostKeys().generate(), Ed25519HostKeys().generate()
    private = asyncssh.import_private_key(first.private_key.reveal())
    assert private.algorithm == b"ssh-ed25519"
    assert private.export_public_key().decode().split()[:2] == first.public_key.split()
    assert first.label == host_key_label(private.public_data)
    assert first.label != second.label
    assert len(first.label) == 52
    assert first.label.isalnum()


def test_random_values_are_as_long_as_asked_for() -> None:
    assert len(SystemRng().token_hex(8)) == 16
    assert 2 <= SystemRng().uniform(2, 3) <= 3
    assert SystemClock().monotonic() <= SystemClock().monotonic()


def test_the_kubeconfig_of_a_cluster_that_was_deleted_from_here_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig("demo"))
    machine(tmp_path).record("birth closed", {"cluster": "demo", "ca": CA_HASH})
    assert machine(tmp_path, "run2").evidence().kubeconfig_ca is None
    (tmp_path / "kubeconfig").write_text(kubeconfig("demo", ca=b"another"))
    assert machine(tmp_path, "run3").evidence().kubeconfig_ca is not None


@pytest.fixture
def own_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user a home without a kubeconfig, and say where that would lie."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path / "home/.kube/config"


def test_ones_own_kubeconfig_is_made_where_there_is_none(tmp_path: Path, own_kubeconfig: Path) -> None:
    written = machine(tmp_path).merge_kubeconfig(Secret(kubeconfig("demo")))
    assert (written.path, written.kept) == (str(own_kubeconfig), None)
    assert list(contexts_of(own_kubeconfig)) == ["demo"]
    assert own_kubeconfig.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "kubeconfig").exists()


def test_a_merge_keeps_others_and_what_is_current(tmp_path: Path, own_kubeconfig: Path) -> None:
    own_kubeconfig.parent.mkdir(parents=True)
    before = json.dumps({"current-context": "other", **json.loads(kubeconfig("other"))})
    own_kubeconfig.write_text(before)
    written = machine(tmp_path).merge_kubeconfig(Secret(kubeconfig("demo")))
    assert list(contexts_of(own_kubeconfig)) == ["other", "demo"]
    assert YAML(typ="safe").load(own_kubeconfig.read_text())["current-context"] == "other"
    assert written.kept is not None
    assert Path(written.kept).read_text() == before
    again = machine(tmp_path).merge_kubeconfig(Secret(kubeconfig("demo")))
    assert list(contexts_of(Path(again.path))) == ["other", "demo"]


def test_a_merge_goes_into_the_first_file_that_is_named(
    tmp_path: Path, own_kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f":{tmp_path}/first:{tmp_path}/second")
    assert machine(tmp_path).merge_kubeconfig(Secret(kubeconfig("demo"))).path == f"{tmp_path}/first"
    assert (own_kubeconfig.exists(), (tmp_path / "second").exists()) == (False, False)


@pytest.mark.parametrize("text", ["a: [", "[1, 2]", "clusters: 3\n"])
def test_what_is_no_kubeconfig_is_not_merged_into(tmp_path: Path, own_kubeconfig: Path, text: str) -> None:
    own_kubeconfig.parent.mkdir(parents=True)
    own_kubeconfig.write_text(text)
    with pytest.raises(LocalTrouble, match="is no kubeconfig that can be read, and was left as it is"):
        machine(tmp_path).merge_kubeconfig(Secret(kubeconfig("demo")))
    assert own_kubeconfig.read_text() == text
    assert [path.name for path in own_kubeconfig.parent.iterdir()] == ["config"]


def test_without_a_home_there_is_nothing_to_merge_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    ours = machine(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(LocalTrouble, match="no home folder with a kubeconfig"):
        ours.merge_kubeconfig(Secret(kubeconfig("demo")))
