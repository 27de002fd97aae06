"""A failure stops the step that failed, and nothing that does not depend on it.

See docs/architecture.md#law-12.
"""

from __future__ import annotations

import pytest

from hetzner_k3s.act.setbacks import ATTEMPTS, REPETITIONS, Setbacks
from hetzner_k3s.model.errors import (
    CloudConflict,
    CloudRefused,
    CloudUnavailable,
    ExitCode,
    Fate,
    HostBusy,
    KubeError,
    LockLost,
    OrderRefused,
    ProductError,
    WrongCluster,
)
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.plan import Forecast, PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.steps import CreateServer, InstallK3s, StartRestored, Step, WipeJoiner
from hetzner_k3s.model.steps.traits import TRAITS

_NO = Fate.DID_NOT_HAPPEN


def _bought(name: str) -> CreateServer:
    return CreateServer(target=name, server_type="cpx22", image="debian-13", location="fsn1", placement_group=None)


def _planned(step: Step) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.WORKER, reason=Reason.MISSING, because="the file asks for it")


BUY_A, BUY_B = (_planned(_bought(name)) for name in ("a", "b"))
INSTALL = _planned(InstallK3s(target="c", server_id=3, role=K3sRole.AGENT, version="v1"))
ALL = (BUY_A, BUY_B, INSTALL)


def _run() -> Setbacks:
    return Setbacks(approved=frozenset(planned.key for planned in ALL))


@pytest.mark.parametrize(
    "error",
    [
        CloudUnavailable("sold out", code="resource_unavailable", fate=_NO),
        CloudUnavailable("no other hardware", code="placement_error", fate=_NO),
        CloudRefused("no more servers", code="resource_limit_exceeded", fate=_NO),
        OrderRefused("no such type", code="invalid_input", fate=_NO),
    ],
    ids=lambda error: error.code,
)
def test_a_server_that_is_not_sold_stops_only_itself(error: ProductError) -> None:
    run = _run()
    run.fail(BUY_A, error)
    assert run.startable(ALL) == (BUY_B, INSTALL)
    assert run.unsold == {"a"}
    assert run.error() is error


@pytest.mark.parametrize(
    "error",
    [HostBusy("busy", server="c"), KubeError("no", server="c", fate=_NO)],
    ids=lambda error: type(error).__name__,
)
def test_a_step_is_tried_again_and_then_stopped_alone(error: ProductError) -> None:
    run = _run()
    for _ in range(ATTEMPTS - 1):
        run.fail(INSTALL, error)
        assert run.startable(ALL) == ALL
    run.fail(INSTALL, error)
    assert run.startable(ALL) == (BUY_A, BUY_B)
    assert run.unsold == frozenset()


def test_a_name_that_is_taken_is_not_asked_for_again() -> None:
    run = _run()
    run.fail(BUY_A, CloudConflict("taken", code="uniqueness_error", fate=_NO))
    assert run.startable(ALL) == (BUY_B, INSTALL)


@pytest.mark.parametrize(
    "error",
    [
        LockLost("lost"),
        WrongCluster("another one"),
        CloudRefused("read-only", code="token_readonly", fate=_NO),
        CloudRefused("wrong token", code="unauthorized", fate=_NO),
        CloudRefused("not allowed", code="forbidden", fate=_NO),
    ],
    ids=lambda error: getattr(error, "code", type(error).__name__),
)
def test_what_holds_for_all_steps_ends_the_run(error: ProductError) -> None:
    run = _run()
    run.fail(BUY_A, error)
    run.fail(BUY_B, CloudRefused("later", code="resource_limit_exceeded", fate=_NO))
    assert run.startable(ALL) == ()
    assert run.error() is error


def test_what_was_not_shown_is_not_begun_for_as_long_as_it_is_wanted() -> None:
    run = Setbacks(approved=frozenset({BUY_A.key}))
    assert run.startable(ALL) == (BUY_A,)
    assert "more has to be done than was shown" in str(run.error())
    assert run.startable((BUY_A,)) == (BUY_A,)
    assert run.error() is None


def test_what_was_not_shown_is_said_once_with_all_its_steps() -> None:
    run = Setbacks()
    assert run.startable((BUY_A, BUY_B, WIPE)) == ()
    because = "because the file asks for it"
    assert str(run.error()).endswith(
        f"more has to be done than was shown: create server a, b, {because}; put the old data aside on d, {because}"
    )
    assert str(run.error()).count("the cluster changed") == 1


def test_what_was_not_shown_is_told_behind_what_failed() -> None:
    run = Setbacks(approved=frozenset({BUY_A.key}))
    run.fail(BUY_A, CloudRefused("refused", code="resource_limit_exceeded", fate=_NO))
    run.startable((BUY_B, WIPE))
    assert str(run.error()).startswith("refused; the cluster changed")


SOLD_OUT = CloudUnavailable("sold out", code="resource_unavailable", fate=_NO)
REFUSAL = Refusal(code="x", saw="s", why="w", you_can="y")


def _shown(*steps: PlannedStep, refusals: tuple[Refusal, ...] = ()) -> Forecast:
    return Forecast(waves=(steps,), waits=(), refusals=refusals, notes=())


def test_the_way_is_shown_anew_where_what_was_shown_could_not_be_all() -> None:
    """What only turned up on the way ends the run instead: its user has not seen it coming."""
    run = Setbacks()
    run.approve(_shown(BUY_A))
    run.startable(ALL)
    assert not run.way_is_another, "nothing was missing from what was shown"
    run.fail(BUY_A, SOLD_OUT)
    run.startable((BUY_B,))
    assert run.way_is_another, "the way with a server less is another one"
    run.approve(_shown(BUY_B))
    run.startable((BUY_B,))
    assert not run.way_is_another, "nothing is wanted that was not shown"
    run.startable((BUY_B, INSTALL))
    assert not run.way_is_another, "that the server is not sold was known when the way was shown"


def test_behind_first_aid_the_way_is_shown_anew() -> None:
    run = Setbacks()
    run.approve(_shown(BUY_A, refusals=(REFUSAL,)))
    run.startable((BUY_A,))
    assert not run.way_is_another
    run.startable(ALL)
    assert run.way_is_another


WIPE = _planned(WipeJoiner(target="d", server_id=4, server_url="https://10.0.0.2:6443", address="10.0.0.3"))


@pytest.mark.parametrize(
    ("planned", "most"), [(INSTALL, REPETITIONS), (WIPE, 1)], ids=["a step", "one that is begun once"]
)
def test_a_step_without_effect_is_stopped(planned: PlannedStep, most: int) -> None:
    run = Setbacks(approved=frozenset({planned.key}))
    for _ in range(most):
        assert run.startable((planned,)) == (planned,)
        run.begin(planned)
    assert run.startable((planned,)) == ()
    assert f"{most} times" in str(run.error())
    assert TRAITS[planned.key.kind].once is (most == 1)


def test_all_failures_are_told_with_their_advice() -> None:
    run = _run()
    run.fail(BUY_A, CloudUnavailable("none of a", code="resource_unavailable", fate=_NO, hint="Later."))
    run.fail(BUY_B, CloudUnavailable("none of b", code="resource_unavailable", fate=_NO, hint="Later."))
    error = run.error()
    assert error is not None
    assert (str(error), error.hint, error.exit_code) == ("none of a; none of b", "Later.", ExitCode.FAILED)


def test_failures_of_two_kinds_end_in_one() -> None:
    run = _run()
    run.fail(BUY_A, CloudRefused("the limit", code="resource_limit_exceeded", fate=_NO))
    assert (run.error() or ProductError("")).exit_code is ExitCode.CLOUD_REFUSED
    run.fail(BUY_B, CloudUnavailable("none of b", code="resource_unavailable", fate=_NO))
    assert (run.error() or ProductError("")).exit_code is ExitCode.FAILED


def test_a_step_is_tried_again_until_it_failed_too_often() -> None:
    run, tries = _run(), []
    for _ in range(ATTEMPTS):
        run.fail(INSTALL, HostBusy("busy", server="c"))
        tries.append(run.tries_again(INSTALL))
    assert tries == [*[True] * (ATTEMPTS - 1), False]


def test_nothing_is_tried_again_in_a_run_that_has_ended() -> None:
    run = _run()
    run.fail(INSTALL, LockLost("another run took it"))
    assert not run.tries_again(INSTALL)


def test_a_run_that_restored_a_cluster_does_not_end_as_one_that_did_nothing() -> None:
    """Its exit code of a refusal, 4, promises that nothing was done."""
    started = StartRestored(target="a", server_id=1, quiet=())
    run = _run()
    run.complete(INSTALL)
    assert run.ending(ExitCode.REFUSED) is ExitCode.REFUSED
    run.complete(_planned(started))
    run.complete(INSTALL)
    assert run.ending(ExitCode.REFUSED) is ExitCode.FAILED
    assert run.ending(ExitCode.CONVERGED) is ExitCode.CONVERGED
