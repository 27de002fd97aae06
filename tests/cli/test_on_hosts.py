# ruff: noqa: E501 (a message is one line)
"""`run` and `ssh` in the simulation: where commands go, what is told of them, how it ends; nothing unasked."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from inline_snapshot import snapshot
from tests.decide import world

from hetzner_k3s.cli.targets import targets
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN

from .conftest import CLUSTER, Ended, Invoke, simulated_cluster

ROOT = Path(__file__).parents[2]
ROW = json.loads((ROOT / "docs/reference/run.schema.json").read_text())
POOLS = """\
worker_node_pools:
- {name: small, instance_type: cpx22, instance_count: 2, location: fsn1}
- {name: big, instance_type: cpx22, instance_count: 1, location: fsn1}
"""
SMALL = ["prod-pool-small-worker1", "prod-pool-small-worker2"]
BIG = ["prod-pool-big-worker1"]
MASTERS = ["prod-master1", "prod-master2", "prod-master3"]


@pytest.fixture
def place(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let the commands of a test work in a simulated world that has a cluster."""
    with simulated_cluster(home, invoke, monkeypatch, CLUSTER + POOLS) as opened:
        yield opened


def run(invoke: Invoke, *arguments: str) -> Ended:
    return invoke("run", "-c", "cluster.yaml", *arguments)


def answered(ended: Ended) -> list[str]:
    return sorted({line.split(" | ")[0].strip() for line in ended.out.splitlines()})


def rows(ended: Ended) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in ended.out.splitlines()]
    for row in found:
        jsonschema.validate(row, ROW)
    return {row["host"]: row for row in found}


def test_every_host_answers_with_its_name_before_each_line(invoke: Invoke, place: Place) -> None:
    ended = run(invoke, "--yes", "--parallel", "1", "--command", "hostname; echo 'a  b'\necho oops >&2")
    assert ended.code == 0
    assert ended.out.splitlines()[:4] == snapshot(
        [
            "prod-master1            | prod-master1",
            "prod-master1            | a  b",
            "prod-master2            | prod-master2",
            "prod-master2            | a  b",
        ]
    )
    assert ended.err == snapshot("""\
command: hostname; echo 'a  b'\\necho oops >&2
on 6 hosts: prod-master1, prod-master2, prod-master3, prod-pool-big-worker1, prod-pool-small-worker1, prod-pool-small-worker2
prod-master1            | oops
prod-master2            | oops
prod-master3            | oops
prod-pool-big-worker1   | oops
prod-pool-small-worker1 | oops
prod-pool-small-worker2 | oops
exit status 0 on 6 hosts
""")
    assert answered(ended) == sorted([*MASTERS, *SMALL, *BIG])


@pytest.mark.parametrize(
    ("asked", "hosts"),
    [
        (["masters"], MASTERS),
        (["workers"], [*BIG, *SMALL]),
        (["small"], SMALL),
        (["master2", "big"], ["prod-master2", *BIG]),
        (["prod-master2", "master2"], ["prod-master2"]),
    ],
)
def test_it_runs_where_it_is_asked_to(invoke: Invoke, place: Place, asked: list[str], hosts: list[str]) -> None:
    flags = [flag for name in asked for flag in ("--instance", name)]
    ended = run(invoke, "--yes", "-q", *flags, "--command", "hostname")
    assert (ended.code, ended.err) == (0, "")
    assert answered(ended) == sorted(hosts)


@pytest.mark.parametrize(("name", "said"), [("master4", "is no server or pool of prod; there are "), ("smal", "small")])
def test_a_name_that_nothing_goes_by_is_answered_with_those_there_are(
    invoke: Invoke, place: Place, name: str, said: str
) -> None:
    ended = run(invoke, "--yes", "--instance", name, "--command", "true")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_the_exit_code_is_the_greatest(invoke: Invoke, place: Place) -> None:
    assert run(invoke, "--yes", "--command", "exit 3").code == 3
    ended = run(invoke, "--yes", "--instance", "masters", "--command", "uptime")
    assert ended.code == 127
    assert "exit status 127 on prod-master1, prod-master2, prod-master3" in ended.err
    assert "transcript:" not in ended.err, "that code is the command's"


def test_a_host_that_cannot_be_asked_is_named_and_makes_255(invoke: Invoke, place: Place) -> None:
    place.happen("silence", "prod-master2")
    place.happen("off", SMALL[0])
    ended = run(invoke, "--yes", "--command", "hostname")
    assert ended.code == 255
    assert answered(ended) == sorted(["prod-master1", "prod-master3", SMALL[1], *BIG])
    assert ended.err == snapshot("""\
command: hostname
on 4 hosts: prod-master1, prod-master3, prod-pool-big-worker1, prod-pool-small-worker2
prod-master2            | not run: no answer: timed out
prod-pool-small-worker1 | not run: its server is off
exit status 0 on 4 hosts; no exit status from prod-master2, prod-pool-small-worker1
""")


def test_nothing_is_sent_to_a_host_with_a_foreign_or_a_boot_key(invoke: Invoke, place: Place) -> None:
    place.happen("rebuild", "prod-master3")
    place.wait(60)
    ended = run(invoke, "--yes", "--json", "--instance", "masters", "--command", "hostname")
    row = rows(ended)["prod-master3"]
    assert (ended.code, row["status"], row["stdout"]) == (255, None, "")
    assert "not run: it answers with its boot host key, which proves nothing" in str(row["error"])


def test_a_connection_that_breaks_and_a_deadline_are_told(invoke: Invoke, place: Place) -> None:
    late = run(invoke, "--yes", "--instance", "master1", "--timeout", "5", "--command", "echo a; sleep 60")
    assert (late.code, late.out) == (255, "prod-master1 | a\n")
    assert "did not end within 5 s, and was ended" in late.err


def test_json_is_a_row_a_host_and_nothing_else(invoke: Invoke, place: Place) -> None:
    ended = run(invoke, "--yes", "--json", "--instance", "masters", "--command", "hostname; echo x >&2; exit 2")
    assert (ended.code, ended.err) == (2, "")
    told = rows(ended)
    assert sorted(told) == MASTERS
    for name, row in told.items():
        assert (row["status"], row["error"], row["stdout"], row["stderr"]) == (2, None, f"{name}\n", "x\n")


def test_a_script_is_read_from_its_file(invoke: Invoke, home: Path, place: Place) -> None:
    (home / "job.sh").write_text("# a comment\n\nhostname\nexit 5\n")
    ended = run(invoke, "--yes", "--instance", "big", "--script", "job.sh")
    assert (ended.code, ended.out) == (5, f"{BIG[0]} | {BIG[0]}\n")
    assert "script: job.sh" in ended.err
    (home / "binary").write_bytes(b"\xff\xfe")
    assert "is no text in UTF-8" in run(invoke, "--yes", "--script", "binary").err
    (home / "large").write_bytes(b"#" * (1 << 20) + b"\n")
    assert "is larger than 1 MiB" in run(invoke, "--yes", "--script", "large").err


@pytest.mark.parametrize("flags", [[], ["--command", "true", "--script", "cluster.yaml"]])
def test_it_takes_a_command_or_a_script(invoke: Invoke, place: Place, flags: list[str]) -> None:
    ended = run(invoke, "--yes", *flags)
    assert (ended.code, "give either --command or --script" in ended.err) == (2, True)


def test_where_nobody_can_be_asked_nothing_is_run_without_yes(invoke: Invoke, home: Path, place: Place) -> None:
    ended = run(invoke, "--command", "hostname")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == snapshot("""\
refused: this runs on hosts, and nobody can be asked whether to: stdin is no terminal
you can: give --yes
""")
    assert not list(home.rglob("*-run-*")), "it did not even look"


class _Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("continue", 0), ("n", 4), ("", 4), (None, 4)])
def test_at_a_terminal_it_shows_where_and_asks(
    invoke: Invoke, place: Place, monkeypatch: pytest.MonkeyPatch, answer: str | None, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", _Typed("" if answer is None else f"{answer}\n"))
    ended = run(invoke, "-q", "--instance", "small", "--command", "hostname")
    assert ended.code == code
    assert answered(ended) == (SMALL if code == 0 else [])
    assert "command: hostname\non 2 hosts: prod-pool-small-worker1, prod-pool-small-worker2\n" in ended.err
    assert "Run it on these 2 hosts? [y/N]" in ended.err
    assert ("Nothing was run." in ended.err) is (code == 4)


def test_hetzner_that_cannot_be_listed_is_no_empty_cluster(invoke: Invoke, place: Place) -> None:
    place.run(faults.ApiFault("error", times=None).strike(place.world))
    ended = run(invoke, "--yes", "--command", "true")
    assert (ended.code, "error: Hetzner could not be listed" in ended.err) == (1, True)


def test_neither_a_command_nor_what_it_printed_is_in_the_transcript(invoke: Invoke, home: Path, place: Place) -> None:
    run(invoke, "--yes", "--instance", "master1", "--command", "echo a-secret-of-theirs")
    invoke("ssh", "-c", "cluster.yaml", "master1", "--", "echo", "a-secret-of-theirs")
    noted = [path.read_text() for path in home.rglob("*.jsonl")]
    assert sum('"command":"run ' in text or '"command": "run ' in text for text in noted) == 1
    assert not [text for text in noted if "a-secret-of-theirs" in text]


def test_what_a_host_prints_reaches_no_terminal_raw(invoke: Invoke, place: Place) -> None:
    ended = run(invoke, "--yes", "--instance", "master1", "--command", f"echo 'a\tb \x1b[2J {TOKEN}'")
    assert ended.out == "prod-master1 | a       b \\x1b[2J ********\n"


def ssh(invoke: Invoke, *arguments: str) -> Ended:
    return invoke("ssh", "-c", "cluster.yaml", *arguments)


def test_ssh_runs_a_command_and_ends_with_its_code(invoke: Invoke, place: Place) -> None:
    ended = ssh(invoke, "master2", "--", "hostname; echo oops >&2; exit 9")
    assert (ended.code, ended.out, ended.err) == (9, "prod-master2\n", "oops\n")
    assert ssh(invoke, SMALL[0], "--", "echo", "-n", "x").out == "-n x\n"


def test_ssh_into_a_pipe_is_what_was_printed(invoke: Invoke, place: Place) -> None:
    assert ssh(invoke, "master1", "--", f"echo 'a\t\x1b[1m {TOKEN}'").out == f"a\t\x1b[1m {TOKEN}\n"


def test_ssh_to_one_that_cannot_be_asked_ends_with_255(invoke: Invoke, place: Place) -> None:
    place.happen("silence", "prod-master2")
    ended = ssh(invoke, "master2", "--", "hostname")
    assert (ended.code, ended.out) == (255, "")
    assert "error: prod-master2: " in ended.err
    assert "`hetzner-k3s status` shows more." in ended.err


def test_ssh_wants_one_host(invoke: Invoke, place: Place) -> None:
    ended = ssh(invoke, "small", "--", "hostname")
    assert (ended.code, "small is 2 hosts; `run --instance small`" in ended.err) == (2, True)
    place.happen("lose", "prod-master2")
    assert "master2 has no server" in ssh(invoke, "master2", "--", "hostname").err


def test_a_simulated_host_has_no_shell(invoke: Invoke, place: Place) -> None:
    ended = ssh(invoke, "master1")
    assert (ended.code, "it is simulated, and has no shell for a terminal" in ended.err) == (255, True)


def test_a_host_that_was_not_looked_at_is_no_target() -> None:
    seen = world.healthy()
    assert {target.why for target in targets(world.SPEC, seen)} == {""}
    unseen = targets(world.SPEC, replace(seen, hosts={}))
    assert {target.why for target in unseen} == {"it was not looked at"}
