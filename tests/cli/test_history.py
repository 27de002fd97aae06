"""`history`: what transcripts tell of earlier runs, and where their time went."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli.runs import a_hostile_run, a_run, decided, step, write
from tests.sim import mischief

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.app import cli
from hetzner_k3s.cli.commands.create import create
from hetzner_k3s.cli.exits import run
from hetzner_k3s.cli.history import colleagues
from hetzner_k3s.cli.history.colleagues import with_colleagues
from hetzner_k3s.cli.history.critical_path import Phase, critical_path, seconds_by_phase
from hetzner_k3s.cli.history.runs import Run, read_run
from hetzner_k3s.cli.recording.opening import command_for_others
from hetzner_k3s.cli.render.history import run_document, run_lines
from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.kubernetes.run_history import CONFIG_MAP, PastRun

from .conftest import CLUSTER, Invoke

NAME = "20270115T080000Z-create-abc123.jsonl"


@pytest.fixture
def kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a cluster's transcripts, with one run in it; without a token no cluster can be asked."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HCLOUD_TOKEN")
    (home / "cluster.yaml").write_text(CLUSTER)
    folder = home / ".local/state/hetzner-k3s/prod/transcripts"
    write(folder / NAME, a_run())
    return folder


def read(tmp_path: Path, events: list[dict[str, object]]) -> Run:
    return read_run(write(tmp_path / NAME, events))


def test_every_phase_has_a_word() -> None:
    assert all(phase.value for phase in Phase)


def test_the_critical_path_is_what_the_run_waited_for(tmp_path: Path) -> None:
    path = critical_path(read(tmp_path, a_run()))
    told = [(one.phase, one.step.pair if one.step else one.what, one.start, one.end) for one in path]
    assert told == [
        (Phase.LOOK, "", 0.0, 2.0),
        (Phase.LOCK, "", 2.0, 3.0),
        (Phase.SERVERS, ("CreateServer", "prod-master1"), 3.0, 40.0),
        (Phase.DECIDE, "", 40.0, 41.0),
        (Phase.HOSTS, ("InstallK3s", "prod-master1"), 41.0, 50.0),
        (Phase.WAIT, "the API", 50.0, 58.0),
        (Phase.CONTROL_PLANE, ("MarkMember", "prod-master1"), 58.0, 59.0),
        (Phase.END, "", 59.0, 60.0),
    ]


def test_the_step_that_a_decision_followed_counts_and_not_the_one_that_ended_last(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        [
            decided(0.0, "CreateServer prod-master1", "CreateServer prod-worker1"),
            *step("CreateServer", "prod-master1", 0.0, 10.0),
            *step("CreateServer", "prod-worker1", 0.0, 10.5),
            decided(11.0, "InstallK3s prod-master1", after=("CreateServer prod-master1", "CreateServer prod-worker1")),
            *step("InstallK3s", "prod-master1", 11.0, 20.0),
        ],
    )
    assert [one.step.target for one in critical_path(run) if one.step] == ["prod-master1", "prod-master1"]


@pytest.mark.parametrize("seed", range(5))
def test_the_phases_of_a_real_run_add_up_to_it(
    seed: int, home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER)
    with wiring.simulation(seed, "typical") as place:
        invoke("create", "-c", "cluster.yaml")
        place.happen("lose", "prod-master1")
        invoke("create", "-c", "cluster.yaml")
        (repaired, made) = json.loads(invoke("history", "--simulated", "--json").out)
    for summary in (repaired, made):
        run = read_run(Path(summary["transcript"]))
        path = critical_path(run)
        assert (path[0].start, path[-1].end) == (0.0, run.seconds)
        assert all(one.end == after.start for one, after in itertools.pairwise(path))
        assert sum(seconds_by_phase(path).values()) == pytest.approx(run.seconds)
        assert sum(summary["phases"].values()) == pytest.approx(run.seconds, abs=0.1)
        assert len([one for one in path if one.step]) >= 5
        assert summary["outcome"] == "done"


def test_a_run_is_listed_and_told_step_by_step(kept: Path, invoke: Invoke) -> None:
    listed = invoke("history")
    assert listed.code == 0
    first, second = listed.out.splitlines()
    assert first.startswith("1  2027-01-15 ")
    assert first.endswith("  create of prod: done, 1 min 0 s")
    assert second == "   abc123 by me@here: servers 37.0 s, hosts 9.0 s, waiting 8.0 s, looking 2.0 s"
    for asked in ("1", "abc", "abc123"):
        told = invoke("history", asked).out
        assert "62% create server prod-master1 (37.0 s); 15% install k3s on prod-master1 (9.0 s)" in told
        assert "13% waited for the API (8.0 s)" in told
        assert "the other 1 ran beside it, 7.0 s of work in all" in told
        assert f"transcript: {kept / NAME}" in told
    document = json.loads(invoke("history", "1", "--json").out)
    assert document["phases"]["servers"] == 37.0
    assert [one["critical"] for one in document["steps"]] == [False, True, True, True]
    assert document["calls"]["ssh"] == {"well": 1, "failed": 0}


def test_own_runs_need_no_token_and_no_valid_file(kept: Path, invoke: Invoke, home: Path) -> None:
    told = invoke("history", "-c", "cluster.yaml")
    assert (told.code, "abc123" in told.out) == (3, True)
    assert told.err.startswith("note: prod could not be asked who else worked on it")
    assert "HCLOUD_TOKEN" in told.err
    (home / "cluster.yaml").write_text("cluster_name: prod\nnonsense: true\n")
    told = invoke("history", "-c", "cluster.yaml", "--json")
    assert [row["run"] for row in json.loads(told.out)] == ["abc123"]
    assert "kubeconfig_path: is required" in told.err
    (home / "cluster.yaml").write_text("cluster_name: ../prod\n")
    assert invoke("history", "-c", "cluster.yaml").code == 2
    assert kept.is_dir()


def test_another_clusters_runs_are_not_its_own(kept: Path, invoke: Invoke, home: Path) -> None:
    write(kept.parent.parent / "other/transcripts" / NAME.replace("abc123", "other1"), a_run())
    assert "other1" not in invoke("history", "-c", "cluster.yaml").out
    assert "other1" in invoke("history").out
    assert home.is_dir()


@pytest.mark.usefixtures("kept")
def test_a_run_that_is_not_there_is_a_mistake(invoke: Invoke) -> None:
    assert invoke("history", "xyz").code == 2
    assert "no run that was recorded here begins with 'xyz'" in invoke("history", "xyz").err


def test_a_machine_without_runs_says_so(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "nowhere"))
    told = invoke("history")
    assert (told.code, told.out) == (0, "")
    assert "no run was recorded" in told.err


def test_a_killed_run_is_told_as_far_as_it_was_written(kept: Path, invoke: Invoke) -> None:
    path = kept / NAME
    whole = path.read_text()
    path.write_text(whole[: whole.index('"finished", "step": "InstallK3s"')])
    told = invoke("history", "1").out
    assert "no end: it runs, or was killed" in told
    assert "1 step had no end when the run had one: install k3s on prod-master1" in told


@pytest.mark.parametrize(
    "line", ["", "no json", "[1]", "{}", '{"event": "started"}', '{"event": "decided", "planned": [1], "after": {}}',
             '{"event": "end", "code": "x"}', '{"at": "x", "event": "api"}', '{"at": 1e400, "event": "phase"}',
             '{"event": "run", "began": 1e300}']
)  # fmt: skip
def test_a_line_that_is_none_is_no_trouble(line: str, tmp_path: Path) -> None:
    path = write(tmp_path / NAME, a_run())
    path.write_text(f"{line}\n{path.read_text()}{line}\n")
    assert list(run_lines(read_run(path)))


def test_a_transcript_without_its_beginning_names_nobody(tmp_path: Path) -> None:
    """A disk that was full at its first line took others later."""
    run = read(tmp_path, a_run()[1:])
    assert (run.cluster, run.command, run.who, run.began, run.simulated) == ("", "", "", 0.0, False)
    assert (run.code, len(run.steps)) == (0, 4)


def test_what_is_not_printable_reaches_no_terminal(kept: Path, invoke: Invoke) -> None:
    events = a_hostile_run()
    events[0]["command"] = "create\x1b[2J"
    write(kept / NAME, events)
    for told in (invoke("history"), invoke("history", "1")):
        assert told.code == 0
        assert "\x1b" not in told.out


def test_a_document_tells_seconds_to_the_millisecond(tmp_path: Path) -> None:
    run = read(tmp_path, [{**event, "at": event["at"] / 7} for event in a_run()])
    document = json.loads(json.dumps(run_document(run)))
    seconds = [document["seconds"], *document["phases"].values()]
    seconds += [row["seconds"] for row in (*document["steps"], *document["critical_path"])]
    assert seconds == [round(one, 3) for one in seconds]
    assert document["seconds"] == 8.571
    assert document["phases"][Phase.WAIT.value] == 1.143
    assert [step["seconds"] for step in document["steps"]] == [1.0, 5.286, 1.286, 0.143]


@pytest.mark.parametrize("began", [1e12, 1e300, -1e18])
def test_a_moment_that_no_clock_shows_is_left_out(began: float, tmp_path: Path) -> None:
    first, *others = a_run()
    run = read(tmp_path, [{**first, "began": began}, *others])
    assert next(iter(run_lines(run))).endswith("by me@here, -")


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return a simulated world in which a cluster was made by a command of this machine."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER)
    with wiring.simulation(5, "instant") as opened:
        assert run(cli, ["create", "-q", "-c", "cluster.yaml"]) == 0
        yield opened


def noted(place: Place, **entries: str) -> None:
    """Write into the cluster's history, as others might."""
    store = mischief.store(place.world)

    async def write() -> None:
        found = await store.get(CONFIGMAPS, CONFIG_MAP, "kube-system")
        await store.delete(CONFIGMAPS, CONFIG_MAP, "kube-system")
        body = {"metadata": {"name": CONFIG_MAP}, "data": {**found["data"], **entries}}
        await store.create(CONFIGMAPS, body, "kube-system")

    place.run(write())


EVAS = json.dumps(
    {"when": "2027-01-15T08:00:00Z", "who": "eva@desk", "command": "replace worker1", "exit_code": 1, "seconds": 75.0}
)
ASKED = ("history", "--simulated", "-c", "cluster.yaml")


def test_a_colleagues_run_stands_among_ones_own_once(place: Place, invoke: Invoke) -> None:
    noted(place, evas1=EVAS)
    told = invoke(*ASKED)
    assert (told.code, told.err) == (0, "")
    first, second, third, *more = told.out.splitlines()
    assert first.startswith("1  2027-01-15 ")
    assert first.endswith("  replace worker1 of prod (simulation): failed, 1 min 15 s")
    assert second == "   evas1 by eva@desk"
    assert "  create of prod (simulation): done, " in third
    assert len(more) == 1
    (evas, own) = json.loads(invoke(*ASKED, "--json").out)
    assert (evas["run"], evas["transcript"], evas["phases"], evas["exit_code"]) == ("evas1", None, {}, 1)
    assert own["phases"]
    assert Path(own["transcript"]).exists()


def test_of_a_colleagues_run_is_told_what_is_known(place: Place, invoke: Invoke) -> None:
    noted(place, evas1=EVAS)
    told = invoke(*ASKED, "evas").out.splitlines()
    assert told[0].startswith("run evas1: replace worker1 of prod by eva@desk, 2027-01-15 ")
    assert told[1:] == [
        "The run took 1 min 15 s and ended: failed.",
        "",
        "transcript: on the machine of eva@desk, with all its steps",
    ]
    document = json.loads(invoke(*ASKED, "1", "--json").out)
    assert (document["steps"], document["critical_path"]) == ([], [])
    assert "prod-master1" in invoke(*ASKED, "2").out


def test_asking_leaves_no_run_of_its_own(place: Place, invoke: Invoke) -> None:
    assert [len(json.loads(invoke(*ASKED, "--json").out)) for _ in range(2)] == [1, 1]
    assert place.world.laptop.runs


def test_a_machine_without_runs_sees_those_of_others(place: Place, invoke: Invoke, home: Path) -> None:
    shutil.rmtree(home / ".local")
    (other,) = json.loads(invoke(*ASKED, "--json").out)
    assert (other["command"], other["outcome"], other["transcript"]) == ("create", "done", None)
    assert place.world.laptop.runs


def test_a_cluster_that_does_not_answer_hides_no_run_of_this_machine(place: Place, invoke: Invoke) -> None:
    for name in ("prod-master1", "prod-master2", "prod-master3"):
        place.happen("off", name)
    told = invoke(*ASKED)
    assert told.code == 3
    assert "create of prod (simulation): done" in told.out
    assert told.err == (
        "note: prod could not be asked who else worked on it, so these are this machine's runs alone: no master "
        "answers as a healthy voter of the recorded cluster\n"
    )


def test_a_cluster_is_not_waited_for_without_end(place: Place, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colleagues, "_WITHIN", 0.0)
    told = invoke(*ASKED)
    assert (told.code, len(told.out.splitlines())) == (3, 2)
    assert told.err.endswith("alone: no answer within 0 s\n")
    assert place.world.laptop.runs


def test_a_simulation_that_has_ended_is_not_asked(
    place: Place, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "is_simulated", lambda: False)
    noted(place, evas1=EVAS)
    told = invoke(*ASKED, "--json")
    assert (told.code, told.err, len(json.loads(told.out))) == (0, "", 1)


def test_what_is_no_run_is_counted_and_reaches_no_terminal(place: Place, invoke: Invoke) -> None:
    noted(place, evas1=EVAS.replace("eva@", "\\u001b[2J\\u202e"), note="\x1b[2J", more="{}")
    told = invoke(*ASKED)
    assert told.code == 0
    assert told.err == (
        "note: 2 entries of the ConfigMap kube-system/hetzner-k3s-history could not be read as runs and were left out\n"
    )
    assert r"by \x1b[2J\u202edesk" in told.out
    assert "\x1b" not in told.out


@pytest.mark.parametrize(("flags", "shown"), [((), False), (("-v",), True)])
def test_a_note_that_is_not_taken_is_told_to_whoever_asks_for_more(
    place: Place, invoke: Invoke, flags: tuple[str, ...], shown: bool
) -> None:
    store = mischief.store(place.world)

    async def spoil() -> None:
        await store.delete(CONFIGMAPS, CONFIG_MAP, "kube-system")
        await store.create(CONFIGMAPS, {"metadata": {"name": CONFIG_MAP}, "data": "none"}, "kube-system")

    place.run(spoil())
    place.happen("lose", "prod-master2")
    told = invoke("create", *flags, "-c", "cluster.yaml")
    assert told.code == 0
    remarks = [line for line in told.err.splitlines() if "not noted in the cluster: prod-master" in line]
    assert len(remarks) == shown, told.err


def test_a_picture_is_drawn_without_asking(place: Place, invoke: Invoke, home: Path) -> None:
    noted(place, evas1=EVAS)
    assert invoke(*ASKED, "--html", "run.html").code == 0
    assert "eva@desk" not in (home / "run.html").read_text()


def test_the_run_that_is_drawn_is_the_one_of_the_list(place: Place, invoke: Invoke, home: Path) -> None:
    noted(place, evas1=EVAS)
    assert invoke(*ASKED, "2", "--html", "run.html").code == 0
    own = json.loads(invoke(*ASKED, "2", "--json").out)["run"]
    assert own in (home / "run.html").read_text()


@pytest.mark.parametrize("asked", ["1", "evas"])
def test_no_page_is_drawn_of_a_run_on_another_machine(place: Place, invoke: Invoke, home: Path, asked: str) -> None:
    noted(place, evas1=EVAS)
    told = invoke(*ASKED, asked, "--html", "run.html", "--json")
    assert (told.code, told.out) == (2, "")
    assert "run evas1 was recorded on another machine: no page can be drawn of it" in told.err
    assert not (home / "run.html").exists()


def test_colleagues_read_a_command_without_this_machines_folders(home: Path) -> None:
    given = ["-c", "cluster.yaml", "-v", "--restore", str(home / "backups/last.zip"), "--keep", "prod-master1"]
    with create.make_context("create", given):
        assert command_for_others() == "create --keep prod-master1 --restore last.zip"


def _run(run: str, began: float, path: Path | None = None) -> Run:
    return Run(id=run, path=path, began=began)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # two cores are shared
@given(
    own=st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 9)), unique_by=lambda one: one[0]),
    others=st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 9)), unique_by=lambda one: one[0]),
)
def test_all_runs_stand_there_once_and_the_newest_first(
    own: list[tuple[str, float]], others: list[tuple[str, float]]
) -> None:
    here = [_run(name, began, Path(name)) for name, began in own]
    told = [PastRun(run=name, who="eva", began=began, command="c", code=0, seconds=1.0) for name, began in others]
    merged = with_colleagues(here, "prod", told, simulated=False)
    assert sorted(run.id for run in merged) == sorted({name for name, _ in own + others})
    assert [run.began for run in merged] == sorted((run.began for run in merged), reverse=True)
    assert [run for run in merged if run.path] == sorted(here, key=lambda run: run.began, reverse=True)
