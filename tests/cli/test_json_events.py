"""`create --json` and `delete --json`: what a program reads of real runs on the simulation, against the schema."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.sim import used_by_servers

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.render.json_events import JsonReporter
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope, Verb
from hetzner_k3s.model.steps import StartMaster

from .conftest import CLUSTER, Ended, Invoke

REFERENCE = Path(__file__).parents[2] / "docs/reference"
SCHEMA = json.loads((REFERENCE / "events.schema.json").read_text())
PLAN = json.loads((REFERENCE / "status.schema.json").read_text())
KEYS = {
    branch["properties"]["event"]["const"]: {*SCHEMA["properties"], *branch["properties"]} for branch in SCHEMA["oneOf"]
}

Row = dict[str, Any]


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let the commands of a test work in a simulated world."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: false\n")
    with wiring.simulation(7, "instant") as opened:
        yield opened


def rows_of(ended: Ended) -> list[Row]:
    """Read the events of a run, each of them valid and without a key that is not documented."""
    rows: list[Row] = [json.loads(line) for line in ended.out.splitlines()]
    for row in rows:
        jsonschema.validate(row, SCHEMA)
        assert row.keys() <= KEYS[row["event"]]
        if row["event"] == "shown":
            jsonschema.validate(row["plan"], {**PLAN["properties"]["pending"], "$defs": PLAN["$defs"]})
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert (rows[0]["event"], rows[-1]["event"]) == ("began", "ended")
    assert rows[-1]["exit_code"] == ended.code
    return rows


def those(rows: list[Row], event: str) -> list[Row]:
    return [row for row in rows if row["event"] == event]


def test_a_creation_is_told_from_its_plan_to_its_end(invoke: Invoke, place: Place) -> None:
    made = invoke("create", "-c", "cluster.yaml", "--json")
    rows = rows_of(made)
    assert made.err == ""
    planned = {(step["step"], step["target"]) for step in those(rows, "shown")[0]["plan"]["steps"]}
    started, finished = those(rows, "started"), those(rows, "finished")
    assert {(row["step"], row["target"]) for row in started} == planned
    assert [row["id"] for row in started] == list(range(1, len(started) + 1))
    assert sorted(row["id"] for row in finished) == [row["id"] for row in started]
    assert those(rows, "said")
    end = rows[-1]
    assert (end["outcome"], end["servers"]) == ("converged", {"created": 3, "replaced": 0, "deleted": 0})
    assert end["steps"] == len(finished)
    assert end["next"].startswith("export KUBECONFIG=")
    assert end["api"].startswith("https://")


def test_a_run_with_nothing_to_do_says_that_it_compared(invoke: Invoke, place: Place) -> None:
    invoke("create", "-c", "cluster.yaml", "-q")
    rows = rows_of(invoke("create", "-c", "cluster.yaml", "--json"))
    assert [row["event"] for row in rows] == ["began", "shown", "ended"]
    assert (rows[-1]["steps"], rows[-1]["next"], rows[-1]["api"]) == (0, None, None)
    assert rows[-1]["summary"].startswith("is up to date")


def test_what_is_refused_is_told_with_its_code(invoke: Invoke, place: Place) -> None:
    invoke("create", "-c", "cluster.yaml", "-q")
    for lost in ("prod-master1", "prod-master2"):
        place.happen("lose", lost)
    rows = rows_of(invoke("create", "-c", "cluster.yaml", "--json"))
    refused = those(rows, "refused")[-1]["refusals"]
    assert "quorum.lost" in {refusal["code"] for refusal in refused}
    assert (rows[-1]["outcome"], rows[-1]["steps"]) == ("refused", 0)


def test_what_is_tried_again_has_not_failed(invoke: Invoke, place: Place) -> None:
    """Hetzner fails at the orders for longer than one call is patient."""
    place.run(faults.ApiFault("error", times=12, path="/servers", method="POST").strike(place.world))
    rows = rows_of(invoke("create", "-c", "cluster.yaml", "--json"))
    failed = those(rows, "failed")
    assert {row["again"] for row in failed} == {True}
    for row in failed:
        attempts = [one["attempt"] for one in those(rows, "started") if one["target"] == row["target"]]
        assert max(attempts) > row["attempt"]
    assert rows[-1]["outcome"] == "converged"


def test_an_error_ends_the_stream_with_its_exit_code(invoke: Invoke, place: Place) -> None:
    place.run(faults.ApiFault("error", times=None).strike(place.world))
    ended = invoke("create", "-c", "cluster.yaml", "--json")
    end = rows_of(ended)[-1]
    assert (end["outcome"], ended.code) == ("refused" if ended.code == 4 else "failed", end["exit_code"])


def test_an_interruption_ends_the_stream(invoke: Invoke, place: Place) -> None:
    async def interrupt_later() -> None:
        asyncio.get_running_loop().call_later(2, os.kill, os.getpid(), signal.SIGINT)

    place.run(interrupt_later())
    ended = invoke("create", "-c", "cluster.yaml", "--json")
    end = rows_of(ended)[-1]
    assert (end["outcome"], ended.code) == ("interrupted", 130)
    assert end["summary"].startswith("stopped: ")
    assert "it goes on where it was" in ended.err
    assert invoke("create", "-c", "cluster.yaml", "-q").code == 0


def test_a_deletion_is_told_and_nobody_is_asked(invoke: Invoke, place: Place) -> None:
    invoke("create", "-c", "cluster.yaml", "-q")
    unasked = invoke("delete", "-c", "cluster.yaml", "--json")
    assert (unasked.code, unasked.out) == (2, "")
    assert "--force" in unasked.err
    place.run(used_by_servers.make_volume(place.world, at="prod-master1"))
    rows = rows_of(invoke("delete", "-c", "cluster.yaml", "--json", "--force"))
    assert (rows[0]["verb"], rows[-1]["servers"]["deleted"]) == ("delete", 3)
    assert rows[-1]["summary"].startswith("is gone, but for what is named above: 3 deleted in")


@pytest.mark.usefixtures("place")
def test_a_deletion_is_told_where_the_name_is_a_flag(invoke: Invoke) -> None:
    rows = rows_of(invoke("delete", "-c", "cluster.yaml", "--json", "--confirm", "prod"))
    assert (rows[0]["verb"], rows[-1]["outcome"]) == ("delete", "converged")


def test_what_a_step_took_is_told_to_the_millisecond() -> None:
    rows: list[Row] = []
    reporter = JsonReporter(
        cluster="prod",
        run="1",
        verb=Verb.CREATE,
        now=lambda: 0.0,
        monotonic=lambda: 0.0,
        write=lambda row: rows.append({**row}),
    )
    step = StartMaster(target="prod-master1", server_id=1)
    planned = PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because="it is off")
    reporter.started(planned)
    reporter.finished(planned, 1.23456)
    assert rows[-1]["took"] == 1.235
