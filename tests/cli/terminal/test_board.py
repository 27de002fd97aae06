"""What the display makes of the events of a run: phases, what waits for what, and how much is left."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from tests.sim.clusters import CLUSTER, MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec

from hetzner_k3s.cli.render.live.board import MOST, Board, Picture, Row, counted
from hetzner_k3s.cli.render.live.frame import Signs, frame
from hetzner_k3s.cli.render.live.phases import PHASES
from hetzner_k3s.cli.render.live.todo import OVERDUE, Todo, estimate
from hetzner_k3s.model import steps
from hetzner_k3s.model.plan import Forecast, Scope
from hetzner_k3s.model.steps.traits import TRAITS, Occupies

from .story import Way, planned

SPEC = a_spec()
WAY = Way(SPEC)
SECONDS = {kind: traits.seconds for kind, traits in TRAITS.items()}
BOOT, SECURE, INSTALL = SECONDS[steps.CreateServer], SECONDS[steps.SecureHost], SECONDS[steps.InstallK3s]
INIT, JOIN = SECONDS[steps.InitControlPlane], SECONDS[steps.JoinControlPlane]


def a_board(way: Way = WAY) -> Board:
    board = Board(cluster=CLUSTER, servers=tuple(server.name for server in SPEC.servers()), began=0.0)
    board.shown(way.forecast, 0.0)
    return board


def rows(board: Board, now: float) -> dict[str, Row]:
    return {row.name: row for row in board.picture(now).rows}


def test_every_step_on_a_server_has_a_phase() -> None:
    on_servers = {kind for kind in get_args(steps.Step) if TRAITS[kind].occupies & (Occupies.HOST | Occupies.DEPARTURE)}
    assert on_servers - PHASES.keys() == set()
    assert PHASES.keys() <= set(get_args(steps.Step))
    assert all(during and after for during, after in PHASES.values())


def test_servers_stand_in_the_order_of_the_file() -> None:
    assert list(rows(a_board(), 0.0)) == ["master1", "master2", "master3", "pool-small-worker1", "pool-small-worker2"]


def test_what_is_left_is_the_longest_chain_and_not_the_sum() -> None:
    board = a_board()
    network = SECONDS[steps.EnsureNetwork]
    assert board.picture(0.0).left == network + BOOT + SECURE + INSTALL + INIT + JOIN
    board.started(WAY.network, 0.0)
    board.finished(WAY.network, 1.0)
    assert board.picture(1.0).left == BOOT + SECURE + INSTALL + INIT + JOIN


def test_the_critical_path_begins_at_the_master_that_is_behind() -> None:
    board = a_board()
    board.started(WAY.network, 0.0)
    board.finished(WAY.network, 1.0)
    for step in WAY.order.values():
        board.started(step, 1.0)
    for name in (WORKER1, WORKER2, MASTER2, MASTER3):
        board.finished(WAY.order[name], 11.0)
    seen = rows(board, 11.0)
    assert [row.name for row in seen.values() if row.critical] == ["master1"]
    board.finished(WAY.order[MASTER1], 26.0)
    for wave in (WAY.secure, WAY.install):
        for step in wave.values():
            board.started(step, 26.0)
            board.finished(step, 27.0)
    assert rows(board, 27.0)["pool-small-worker1"].detail == "waits for master1"
    board.started(WAY.init, 27.0)
    board.finished(WAY.init, 35.0)
    board.started(WAY.join[MASTER2], 35.0)
    board.started(WAY.join[WORKER1], 35.0)
    assert [row.name for row in board.picture(35.0).rows if row.critical] == ["master2", "master3"][:1]


def test_what_takes_longer_is_said_and_makes_the_rest_longer() -> None:
    board = a_board()
    board.started(WAY.network, 0.0)
    board.finished(WAY.network, 0.0)
    for step in WAY.order.values():
        board.started(step, 0.0)
    rest = SECURE + INSTALL + INIT + JOIN
    assert not rows(board, BOOT)["master1"].late
    late = board.picture(10 * BOOT)
    assert {row.late for row in late.rows} == {True}
    assert late.left == OVERDUE * 10 * BOOT + rest
    assert late.is_late


def test_the_bar_never_goes_back_and_never_to_its_end() -> None:
    board = a_board()
    board.started(WAY.network, 0.0)
    board.finished(WAY.network, 1.0)
    for step in WAY.order.values():
        board.started(step, 1.0)
    shares = [board.picture(float(second)).share for second in range(1, 2000, 7)]
    assert all(one <= other for one, other in pairwise(shares))
    assert 0.5 < shares[-1] <= MOST < 1
    board.shown(WAY.forecast, 2000.0)
    assert board.picture(2000.0).share <= MOST


def test_a_step_that_comes_twice_in_the_forecast_is_left_once_when_done_once() -> None:
    again = WAY.install[MASTER1]
    board = Board(cluster=CLUSTER, servers=SPEC.master_names, began=0.0)
    board.shown(Forecast(waves=((again,), (again,)), waits=(), refusals=(), notes=()), 0.0)
    board.started(again, 0.0)
    board.finished(again, 1.0)
    assert board.picture(1.0).left == INSTALL
    board.started(again, 1.0)
    board.finished(again, 2.0)
    assert board.picture(2.0).left is None


def test_a_step_that_is_tried_again_is_left_to_do_and_one_that_failed_is_not() -> None:
    board = a_board()
    board.started(WAY.order[WORKER1], 0.0)
    board.failed(WAY.order[WORKER1], "no answer", 5.0, again=True)
    row = rows(board, 6.0)["pool-small-worker1"]
    assert (row.phase, row.detail, row.failed, row.moving) == ("again", "no answer", False, False)
    board.started(WAY.order[WORKER1], 7.0)
    assert rows(board, 7.0)["pool-small-worker1"].phase == "ordered"
    board.failed(WAY.order[WORKER1], "no answer", 9.0, again=False)
    row = rows(board, 9.0)["pool-small-worker1"]
    assert (row.phase, row.failed) == ("failed", True)


def test_a_step_that_was_not_shown_is_seen_all_the_same() -> None:
    board = a_board()
    other = planned(steps.StartMaster(target=MASTER3, server_id=1))
    board.started(other, 1.0)
    assert rows(board, 2.0)["master3"].phase == "starting"
    board.finished(other, 3.0)
    assert rows(board, 3.0)["master3"].phase == "started"


def test_what_is_about_no_server_is_the_clusters() -> None:
    board = a_board()
    assert not board.said("prod-masters-pg1", "making the placement group", 1.0)
    assert board.picture(1.0).cluster is None, "nothing of the cluster's own is under way"
    board.started(WAY.network, 1.0)
    board.said("prod-masters-pg1", "making the placement group", 1.0)
    own = board.picture(2.0).cluster
    assert own is not None
    assert (own.name, own.detail, own.critical) == (CLUSTER, "masters-pg1: making the placement group", True)
    assert rows(board, 2.0)["master1"].detail == "waits for: make network prod"


def test_an_interruption_is_seen_at_once() -> None:
    board = a_board()
    board.interrupted(3.0)
    own = board.picture(4.0).cluster
    assert own is not None
    assert (own.phase, own.detail) == ("ending", "interrupted; giving the lock back")


def test_a_deletion_waits_for_its_servers_and_not_the_other_way_round() -> None:
    mark = planned(steps.MarkDeleting(target=CLUSTER), Scope.INFRASTRUCTURE)
    names = (MASTER1, MASTER2)
    servers = [planned(steps.DeleteServer(target=name, server_id=1), Scope.INFRASTRUCTURE) for name in names]
    network = planned(steps.DeleteResource(target=CLUSTER, kind="network", resource_id=1), Scope.INFRASTRUCTURE)
    todos = [
        Todo(mark, 0, ""),
        *(Todo(step, 1, step.step.target) for step in servers),
        Todo(network, 2, ""),
    ]
    seconds = [TRAITS[type(step.step)].seconds for step in (mark, servers[0], network)]
    assert estimate(todos, 0.0).seconds == sum(seconds)


def test_phases_are_counted_the_most_first() -> None:
    phases = ["ready", "booting", "ready"]
    assert counted(Row(name="x", phase=phase, seconds=0, detail="") for phase in phases) == "2 ready, 1 booting"


def test_a_thousand_servers_are_followed() -> None:
    way, board = Way(a_spec(workers=997)), Board(cluster=CLUSTER, servers=(), began=0.0)
    board.shown(way.forecast, 0.0)
    picture = board.picture(1.0)
    assert len(picture.rows) == 1000
    assert sum(row.critical for row in picture.rows) <= 1


@pytest.mark.parametrize("columns", [60, 79, 80, 120])
def test_what_stands_beside_the_bar_is_whole(columns: int) -> None:
    """At 80 columns a late run was told "expected 1 min 11", its unit cut off."""
    picture = Picture(rows=(), cluster=None, elapsed=3599.0, left=3590.0, expected=2399.0, share=0.5)
    (line,) = frame(picture, columns, 24, Signs())
    assert len(line.plain) < columns
    assert line.plain.endswith("59 min 59 s, about 59 min 50 s left; expected 39 min 59 s") or line.plain.endswith(" …")
    assert ("…" in line.plain) is (columns == 60)


def _picture(*rows: Row) -> Picture:
    return Picture(rows=rows, cluster=None, elapsed=1.0, left=None, expected=60.0)


def _row(name: str, *, critical: bool = False, moving: bool = False, failed: bool = False, late: bool = False) -> Row:
    return Row(
        name=name, phase=name, seconds=1.0, detail="", critical=critical, moving=moving, failed=failed, late=late
    )


def test_where_not_all_servers_fit_those_are_shown_that_matter_most() -> None:
    """What the rest waits for, then what failed, is late, or moves; they stay in the order of the file."""
    picture = _picture(
        _row("idle1"),
        _row("moves", moving=True),
        _row("late", moving=True, late=True),
        _row("idle2"),
        _row("failed", failed=True),
        _row("critical", critical=True),
    )
    names = [[line.plain[2:].split()[0] for line in frame(picture, 80, lines, Signs())] for lines in range(5, 11)]
    assert names == [
        ["critical", "and"],
        ["failed", "critical", "and"],
        ["late", "failed", "critical", "and"],
        ["moves", "late", "failed", "critical", "and"],
        ["idle1", "moves", "late", "failed", "critical", "and"],
        ["idle1", "moves", "late", "idle2", "failed", "critical"],
    ]


def test_what_failed_is_red_what_is_late_is_yellow_and_what_is_at_rest_is_faint() -> None:
    rows = (_row("rests"), _row("moves", moving=True), _row("late", moving=True, late=True), _row("fails", failed=True))
    picture = _picture(*rows, _row("critical", critical=True, moving=True))
    styled = [
        [(line.plain[s.start : s.end].strip(), str(s.style)) for s in line.spans]
        for line in frame(picture, 80, 24, Signs())
    ]
    assert styled == [
        [("", "bold cyan"), ("rests", "dim"), ("1 s", "dim")],
        [("", "bold cyan"), ("1 s", "dim")],
        [("", "bold cyan"), ("late", "yellow"), ("1 s", "yellow")],
        [("", "bold cyan"), ("fails", "red"), ("1 s", "dim")],
        [("▸", "bold cyan"), ("critical", "bold"), ("1 s", "dim")],
    ]


@pytest.mark.parametrize(
    ("elapsed", "left", "words"),
    [
        (0.4, 0.2, "0 s, about 5 s left"),
        (59.0, 8.0, "59 s, about 10 s left"),
        (60.0, 119.0, "1 min, about 2 min left"),
        (61.0, 121.0, "1 min 1 s, about 2 min left"),
        (61.0, 126.0, "1 min 1 s, about 2 min 10 s left"),
    ],
)
def test_what_is_left_is_said_as_roughly_as_it_is_known(elapsed: float, left: float, words: str) -> None:
    picture = Picture(rows=(), cluster=None, elapsed=elapsed, left=left, expected=3600.0, share=0.5)
    (line,) = frame(picture, 120, 24, Signs())
    assert line.plain.endswith(f" 50%  {words}")


@pytest.mark.parametrize(("columns", "line"), [(6, "   5…"), (8, "   50%…"), (16, "   50%  50 s, …")])
def test_a_narrow_terminal_shows_the_beginning(columns: int, line: str) -> None:
    picture = Picture(rows=(), cluster=None, elapsed=50.0, left=50.0, expected=100.0, share=0.5)
    assert [shown.plain for shown in frame(picture, columns, 24, Signs())] == [line]
