"""The debug transcript: everything a run did is in it, no secret is, and nothing that goes wrong with it ends a run."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.adapters.answering import Answer, answering
from tests.decide.world import CREATE, MASTER1, MASTER2, SPEC, healthy, lose, plan

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.hetzner.connection import Exchange
from hetzner_k3s.adapters.system import SystemClock, SystemRng
from hetzner_k3s.adapters.system import transcripts as files
from hetzner_k3s.adapters.system.transcripts import RUNS_KEPT, TranscriptFile, transcripts
from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.recording import Recorder
from hetzner_k3s.cli.recording.wrapped import RecordedHosts
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.model.errors import CloudError, CloudRefused, Fate, OperationFailed
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.hosts.origin import Introduction
from hetzner_k3s.model.operations.commands import RunCommand, Stream
from hetzner_k3s.model.operations.looks import ReadSecret, SecretKind
from hetzner_k3s.model.operations.operation import Done, Operation
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot, SendSnapshot
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.ports import Heard

from .conftest import CLUSTER, Invoke

R = TypeVar("R")
HETZNER_TOKEN = "a-hetzner-token-of-64-characters"
SERVER_TOKEN = "K10" + "ab" * 32 + "::server:0123456789abcdef"
TARGET = HostTarget(server_id=1, name="prod-master1", address="203.0.113.1", port=22, keys={"a": HostKeyKind.FINAL})


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let the commands of a test work in a simulated world."""
    monkeypatch.setenv("HCLOUD_TOKEN", HETZNER_TOKEN)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: false\n")
    with wiring.simulation(7, "instant") as opened:
        yield opened


def folder(home: Path) -> Path:
    return home / ".local/state/hetzner-k3s/simulations/prod"


def written(home: Path) -> list[Path]:
    return transcripts(folder(home))


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_is_told_call_by_call(invoke: Invoke, place: Place, home: Path) -> None:
    before = len(place.world.laptop.journal)
    assert invoke("create", "-c", "cluster.yaml", "--prune").code == 0
    (path,) = written(home)
    told = events(path)
    kinds = Counter(event["event"] for event in told)
    first, last = told[0], told[-1]
    assert (first["event"], first["command"], first["cluster"]) == ("run", "create --prune", "prod")
    assert (last["event"], last["code"]) == ("end", 0)
    assert [event["phase"] for event in told if event["event"] == "phase"] == ["look", "lock", "work"]
    journal = [event for event, _ in place.world.laptop.journal[before:]]
    assert (kinds["started"], kinds["finished"]) == (journal.count("started"), journal.count("finished"))
    api = [event for event in told if event["event"] == "api"]
    assert {"method": "POST", "path": "/servers", "status": 201}.items() <= api[-1].items() or any(
        event["path"] == "/servers" and event["method"] == "POST" and event["status"] == 201 for event in api
    )
    assert {event["call"] for event in told if event["event"] == "ssh"} >= {"Probe", "Install", "ReadSecret"}
    assert {event["call"] for event in told if event["event"] == "kube"} >= {"view", "wait_node_ready"}
    assert [event["at"] for event in told] == sorted(event["at"] for event in told)


def test_every_step_was_decided_on_digested_inputs(invoke: Invoke, place: Place, home: Path) -> None:
    invoke("create", "-c", "cluster.yaml")
    told = events(written(home)[0])
    decided = [event for event in told if event["event"] == "decided"]
    planned = Counter((step, target) for event in decided for step, target, _ in event["planned"])
    started = Counter((event["step"], event["target"]) for event in told if event["event"] == "started")
    assert planned == started
    inputs = [event["inputs"] for event in decided]
    assert all(set(one) == {"all", "file", "intent", "cloud", "hosts", "kube", "local", "rest"} for one in inputs)
    assert len({one["file"] for one in inputs}) == 1
    assert len({one["hosts"] for one in inputs}) > 3
    assert place.world.project.servers


def test_what_is_refused_and_where_it_is_told_is_said(invoke: Invoke, place: Place, home: Path) -> None:
    invoke("create", "-c", "cluster.yaml")
    assert "transcript: " not in invoke("status", "-c", "cluster.yaml").err
    for name in ("prod-master1", "prod-master2"):
        place.happen("lose", name)
    refused = invoke("create", "-c", "cluster.yaml")
    path = written(home)[0]
    assert refused.code == 4
    assert refused.err.splitlines()[-1] == f"transcript: {path}"
    assert events(path)[-1]["code"] == 4
    assert [event["refused"] for event in events(path) if event["event"] == "foreseen"][-1] == ["quorum.lost"]


def test_an_error_is_its_last_word(invoke: Invoke, place: Place, home: Path) -> None:
    place.run(faults.ApiFault("error", times=None).strike(place.world))
    assert invoke("backup", "-c", "cluster.yaml", "--to", "folder").code == 1
    told = events(written(home)[0])
    assert [event["event"] for event in told[-2:]] == ["error", "end"]
    assert told[-1]["code"] == 1


@pytest.mark.parametrize("command", [("run", "--yes", "--command", "exit 7"), ("ssh", "master1", "--", "exit 7")])
def test_what_a_user_runs_on_hosts_is_their_own_and_so_is_its_exit_code(
    invoke: Invoke, place: Place, home: Path, command: tuple[str, ...]
) -> None:
    invoke("create", "-c", "cluster.yaml", "-q")
    before = written(home)
    ended = invoke(command[0], "-c", "cluster.yaml", *command[1:])
    (path,) = [one for one in written(home) if one not in before]
    first, *_, last = events(path)
    assert "exit 7" not in path.read_text()
    assert first["command"] == ("run --command --yes" if command[0] == "run" else "ssh master1")
    assert last["code"] == 1
    assert ended.code > 1


def test_only_its_owner_reads_it(invoke: Invoke, place: Place, home: Path) -> None:
    os.umask(0o000)
    invoke("plan", "-c", "cluster.yaml")
    (path,) = written(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not place.world.project.servers


def test_no_secret_of_a_cluster_is_in_it(invoke: Invoke, place: Place, home: Path) -> None:
    invoke("create", "-c", "cluster.yaml")
    place.happen("lose", "prod-master1")
    invoke("create", "-c", "cluster.yaml", "-vv")
    text = "".join(path.read_text() for path in written(home))
    kept = place.world.laptop.kept_tokens[0]
    secrets = [HETZNER_TOKEN, kept.server.reveal(), kept.for_agents.reveal(), kept.server.reveal().rpartition(":")[2]]
    kubeconfig = place.world.laptop.kubeconfig or ""
    secrets += [line.split()[-1] for line in kubeconfig.splitlines() if "client-key-data" in line]
    assert len(secrets) > 4
    assert [secret for secret in secrets if secret in text] == []
    assert "PRIVATE KEY" not in text
    assert "cloud-config" not in text


def test_more_is_shown_to_whoever_asks(invoke: Invoke, place: Place) -> None:
    quiet = invoke("create", "-c", "cluster.yaml").err
    place.happen("lose", "prod-master1")
    some = invoke("create", "-c", "cluster.yaml", "-v").err
    place.happen("lose", "prod-master2")
    all_of_it = invoke("create", "-c", "cluster.yaml", "-vv").err
    for marks, seen in (
        ((), quiet),
        (("[decided] ", "[started] "), some),
        (("[decided] ", "[ssh] ", "[api] "), all_of_it),
    ):
        assert {mark for mark in ("[decided] ", "[started] ", "[ssh] ", "[api] ") if mark in seen} >= set(marks)
    assert "[" not in quiet
    assert "[ssh]" not in some
    assert any("CreateServer prod-master1" in line for line in some.splitlines() if "[decided] do " in line)


def a_recorder(path: Path | None, said: list[str] | None = None) -> Recorder:
    clock = SystemClock()
    file = TranscriptFile(path, "create", "run1", 1.8e9)
    return Recorder(file, SPEC, clock.monotonic, 0, (said if said is not None else []).append)


def end(recorder: Recorder, path: Path) -> str:
    recorder.end(1)
    return transcripts(path)[0].read_text()


def test_a_token_that_an_api_echoes_is_masked(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    said = json.dumps({"error": {"code": "forbidden", "message": f"{HETZNER_TOKEN}\x1b[2J may not"}}).encode()
    with answering(lambda _method, _path: Answer(said, 403, headers={"X-Correlation-Id": HETZNER_TOKEN})) as api:
        heard: list[Exchange] = []
        cloud = HetznerCloud(
            Secret(HETZNER_TOKEN), clock=SystemClock(), rng=SystemRng(), endpoint=api.url, heard=heard.append
        )
        with pytest.raises(CloudRefused) as refused:
            asyncio.run(cloud.servers())
    recorder.note("error", error="CloudRefused", message=str(refused.value))
    recorder.call("api", heard[0].asked, path=heard[0].path, request_id=heard[0].request_id)
    text = end(recorder, tmp_path)
    assert HETZNER_TOKEN not in text
    assert text.count("********") >= 2
    assert "\x1b" not in text


class Echoing:
    """`ports.Hosts` that fail with what a hostile host says."""

    async def perform(self, target: HostTarget, operation: Operation[R]) -> R:
        del operation
        raise OperationFailed(
            f"token={SERVER_TOKEN} of {target.name}\nforged",
            server="m",
            operation="x",
            fate=Fate.DID_NOT_HAPPEN,
        )

    async def stream(self, target: HostTarget, operation: Operation[Done]) -> AsyncIterator[bytes]:
        yield b"piece"
        await self.perform(target, operation)

    async def send(self, target: HostTarget, operation: ReceiveSnapshot, pieces: AsyncIterator[bytes]) -> None:
        del pieces
        await self.perform(target, operation)

    async def run(self, target: HostTarget, command: RunCommand, heard: Heard) -> int:
        heard(Stream.OUT, b"piece")
        await self.perform(target, command)
        return 0

    async def introduce(self, target: HostTarget) -> Introduction:
        return Introduction(key=target.name, facts=HostFacts(key=HostKeyKind.BOOT))

    async def host_key(self, target: HostTarget) -> str:
        return target.name

    async def close(self) -> None:
        """Do nothing."""


def test_a_token_that_a_host_says_is_masked_though_nobody_here_knew_it(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    hosts = RecordedHosts(Echoing(), recorder, SystemClock())

    async def story() -> None:
        with pytest.raises(OperationFailed):
            await hosts.perform(TARGET, ReadSecret(kind=SecretKind.KUBECONFIG))

    asyncio.run(story())
    (ssh, _) = map(json.loads, end(recorder, tmp_path).splitlines())
    assert ssh["call"], ssh["outcome"] == ("ReadSecret", "OperationFailed")
    assert "0123456789abcdef" not in ssh["message"]
    assert "\n" not in ssh["message"]


def test_a_secret_that_is_known_only_later_is_masked_too(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    recorder.note("error", message="a-late-secret-0815 was said")
    Secret("a-late-secret-0815")
    assert "a-late-secret-0815" not in end(recorder, tmp_path)


def test_a_stream_is_noted_with_how_it_ended(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    hosts = RecordedHosts(Echoing(), recorder, SystemClock())

    pieces: list[bytes] = []

    async def story() -> None:
        async for piece in hosts.stream(TARGET, SendSnapshot(name="s")):
            pieces.append(piece)

    with pytest.raises(OperationFailed):
        asyncio.run(story())
    assert pieces == [b"piece"]
    assert json.loads(end(recorder, tmp_path).splitlines()[0])["outcome"] == "OperationFailed"


def test_every_attempt_is_an_exchange_with_hetzners_name_for_it() -> None:
    named = {"X-Correlation-Id": "abc-1"}
    busy = Answer(b'{"error": {"code": "rate_limit_exceeded", "message": "slower"}}', 429, headers=named)
    pagination = b'{"last_page": 1, "total_entries": 0, "next_page": null}'
    empty = Answer(b'{"servers": [], "meta": {"pagination": ' + pagination + b"}}", headers=named)
    told = iter([busy, empty])
    heard: list[Exchange] = []
    with answering(lambda _method, _path: next(told)) as api:
        cloud = HetznerCloud(
            Secret("t" * 64), clock=SystemClock(), rng=SystemRng(), endpoint=api.url, heard=heard.append
        )
        asyncio.run(cloud.servers())
    assert [(one.method, one.path, one.status, one.request_id) for one in heard] == [
        ("GET", "/servers", 429, "abc-1"),
        ("GET", "/servers", 200, "abc-1"),
    ]


def test_a_request_that_nobody_answers_is_an_exchange() -> None:
    with answering() as gone:
        url = gone.url
    heard: list[Exchange] = []
    cloud = HetznerCloud(Secret("t" * 64), clock=SystemClock(), rng=SystemRng(), endpoint=url, heard=heard.append)
    with pytest.raises(CloudError):
        asyncio.run(cloud.create_placement_group("g", {}))
    assert {(one.status, one.error) for one in heard} == {(None, "ConnectError")}


@pytest.mark.parametrize("why", ["no home", "in the way", "full"])
def test_nothing_that_goes_wrong_with_it_ends_a_run(why: str, tmp_path: Path) -> None:
    said: list[str] = []
    if why == "in the way":
        (tmp_path / "transcripts").write_text("a file where the folder should be")
    recorder = a_recorder(None if why == "no home" else tmp_path, said)
    if why == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), recorder._file._handle)
    for _ in range(1000):
        recorder.note("ssh", server="prod-master1", call="Probe", outcome="done", seconds=0.1)
    recorder.end(1)
    (note,) = said
    assert note.startswith("note: no transcript of this run is kept (")
    assert recorder.path is None


def test_a_run_goes_on_without_it(invoke: Invoke, place: Place, home: Path) -> None:
    folder(home).mkdir(parents=True)
    (folder(home) / "transcripts").write_text("in the way")
    made = invoke("create", "-c", "cluster.yaml")
    assert made.code == 0
    assert made.err.count("no transcript of this run is kept") == 1
    assert len(place.world.project.servers) == 3


def test_a_run_that_cannot_be_remembered_at_all_says_so(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user id without a name and without HOME was told of a bug."""
    (home / "cluster.yaml").write_text(CLUSTER)
    monkeypatch.setattr(Path, "home", classmethod(_homeless))
    told = invoke("create", "-c", "cluster.yaml")
    assert told.code == 2
    assert "HOME" in told.err


def _homeless(_cls: type[Path]) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_the_guide_says_how_much_is_kept() -> None:
    guide = " ".join((Path(__file__).parents[2] / "docs/guides/looking-back.md").read_text().split())
    assert f"{RUNS_KEPT} runs that may change the cluster are kept, and {RUNS_KEPT} others" in guide
    assert f"One that reaches {files._MOST_BYTES >> 20} MiB takes no more lines but the last" in guide
    assert files._MOST_BYTES % (1 << 20) == 0


def test_twenty_runs_that_change_and_twenty_that_look_are_kept(tmp_path: Path) -> None:
    for number in range(RUNS_KEPT + 5):
        for command in ("create", "status"):
            TranscriptFile(tmp_path, command, f"run{number}", 1.8e9 + number).close()
    kept = Counter(path.name.split("-")[1] for path in transcripts(tmp_path))
    assert kept == {"create": 20, "status": 20}
    newest = transcripts(tmp_path)[0].name
    assert newest.endswith("-run24.jsonl")
    assert not any(path.name.endswith("-run4.jsonl") for path in transcripts(tmp_path))


@pytest.mark.parametrize("command", ["kubeconfig", "run", "ssh"])
def test_what_is_run_all_day_pushes_no_creation_out(tmp_path: Path, command: str) -> None:
    TranscriptFile(tmp_path, "create", "made", 1.8e9).close()
    for number in range(RUNS_KEPT + 5):
        TranscriptFile(tmp_path, command, f"run{number}", 1.8e9 + 1 + number).close()
    kept = Counter(path.name.split("-")[1] for path in transcripts(tmp_path))
    assert kept == {"create": 1, command: RUNS_KEPT}


class Counted(TranscriptFile):
    """A transcript that counts how often it is written to."""

    writes = 0

    def write(self, lines: Sequence[str], *, last: bool = False) -> None:
        self.writes += 1
        super().write(lines, last=last)


def test_notes_are_written_many_at_a_time(tmp_path: Path) -> None:
    file = Counted(tmp_path, "create", "run1", 1.8e9)
    recorder = Recorder(file, SPEC, lambda: 5.0, 0, lambda _line: None)
    for _ in range(10_000):
        recorder.note("ssh", server="prod-master1", call="Probe", outcome="done", seconds=0.1)
    recorder.end(0)
    assert file.writes <= 52
    assert len(events(transcripts(tmp_path)[0])) == 10_001


def test_a_decision_is_noted_once_however_often_it_is_made(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    state = lose(healthy(), MASTER2)
    for _ in range(3):
        recorder.decided(state, CREATE, plan(state))
    other = lose(healthy(), MASTER1)
    recorder.decided(other, CREATE, plan(other))
    first, second, _ = map(json.loads, end(recorder, tmp_path).splitlines())
    assert first["inputs"]["cloud"] != second["inputs"]["cloud"]
    assert first["inputs"]["file"] == second["inputs"]["file"]
    assert [step for step, *_ in second["planned"]] == ["SaveSnapshot", "CreateServer"]


def test_one_that_is_full_still_says_how_the_run_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_BYTES", 100_000)
    recorder = a_recorder(tmp_path)
    for number in range(2000):
        recorder.note("ssh", server="prod-master1", call="Probe", message=f"{number} {'x' * 990}")
    recorder.end(3)
    (path,) = transcripts(tmp_path)
    assert 100_000 < path.stat().st_size < 500_000
    assert json.loads(path.read_text().splitlines()[-1])["code"] == 3
