"""What a user reads: the plan, refusals, progress, status."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from inline_snapshot import snapshot

from hetzner_k3s import decide
from hetzner_k3s.cli.render.ending import Ending, Tally
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.cli.render.plan import forecast_lines, forecast_rows, plan_lines
from hetzner_k3s.cli.render.status import status_lines
from hetzner_k3s.cli.render.tables import age, duration
from hetzner_k3s.model import naming, steps
from hetzner_k3s.model.cloud import CloudView, PlacementGroup, Server, ServerStatus
from hetzner_k3s.model.errors import ExitCode, ProductError, SshStage
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import (
    DiskFacts,
    EtcdFacts,
    HostFacts,
    HostKeyKind,
    Member,
    Snapshot,
    UnitFacts,
    Unreachable,
)
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.operations.members import MembersPrecondition
from hetzner_k3s.model.plan import Forecast, Intent, PlannedStep, Reason, Refusal, Scope, Verb, Wait
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, SshSpec
from hetzner_k3s.model.state import ClusterState, unseen
from hetzner_k3s.model.steps import Step
from hetzner_k3s.model.steps.traits import TRAITS
from hetzner_k3s.model.steps.words import VERBS
from hetzner_k3s.model.text.wording import size
from hetzner_k3s.model.version import K3sVersion


def _bought(name: str) -> steps.CreateServer:
    return steps.CreateServer(
        target=name, server_type="cpx22", image="debian-13", location="fsn1", placement_group=None
    )


def planned(step: Step, because: str, reason: Reason = Reason.LOST) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=reason, because=because)


REPAIR = (
    (planned(steps.SaveSnapshot(target="pre-repair-1", via=2), "nothing is removed before a snapshot"),),
    (
        planned(_bought("prod-master1"), "its server is gone"),
        planned(_bought("prod-pool-small-worker1"), "its server is gone"),
    ),
    (
        planned(
            steps.RemoveMember(
                target="prod-master1",
                member_id="1",
                via=2,
                precondition=MembersPrecondition(ids=("1", "2", "3"), uid="u"),
            ),
            "its server is gone and two of three voters are healthy",
        ),
    ),
)


def test_the_plan_says_why() -> None:
    assert "\n".join(plan_lines("prod", REPAIR)) == snapshot("""\
  1. save snapshot pre-repair-1
       because nothing is removed before a snapshot
  2. create server master1, pool-small-worker1 (cpx22 in fsn1, debian-13)
       because its server is gone
  3. remove etcd member of master1
       because its server is gone and two of three voters are healthy\
""")


def test_a_wave_of_many_is_one_line() -> None:
    wave = [planned(_bought(f"prod-a-w{i}"), "the file asks for it") for i in range(1, 501)]
    assert "\n".join(plan_lines("prod", [wave])) == snapshot("""\
  1. create server a-w1, a-w2, a-w3, a-w4, a-w5 and 495 more (cpx22 in fsn1, debian-13)
       because the file asks for it\
""")


def test_of_a_wave_as_many_are_named_as_a_line_holds() -> None:
    def named(count: int) -> str:
        wave = [planned(_bought(f"prod-w{i}"), "the file asks for it") for i in range(1, count + 1)]
        return next(iter(plan_lines("prod", [wave])))

    assert named(5) == "  1. create server w1, w2, w3, w4, w5 (cpx22 in fsn1, debian-13)"
    assert named(6) == "  1. create server w1, w2, w3, w4, w5 and 1 more (cpx22 in fsn1, debian-13)"


def test_a_forecast_is_the_same_rows_in_words_and_in_json() -> None:
    forecast = Forecast(waves=REPAIR, waits=(), refusals=(), notes=("a note",))
    assert "\n".join(forecast_lines("prod", forecast)).startswith("note: a note\n  1. save snapshot")
    rows = forecast_rows(forecast)
    assert rows["notes"] == ["a note"]
    steps = rows["steps"]
    assert isinstance(steps, list)
    assert [(row["wave"], row["step"], row["target"]) for row in steps] == snapshot(
        [
            (1, "SaveSnapshot", "pre-repair-1"),
            (2, "CreateServer", "prod-master1"),
            (2, "CreateServer", "prod-pool-small-worker1"),
            (3, "RemoveMember", "prod-master1"),
        ]
    )


def test_the_expected_time_is_that_of_the_longest_step_of_each_wave() -> None:
    forecast = Forecast(waves=REPAIR, waits=(), refusals=(), notes=())
    longest = [max(TRAITS[type(planned.step)].seconds for planned in wave) for wave in REPAIR]
    assert forecast.seconds == sum(longest)
    assert f"time: about {sum(longest):.0f} s" in list(forecast_lines("prod", forecast))
    assert forecast_rows(forecast)["expected_seconds"] == round(sum(longest))
    assert "time:" not in "\n".join(forecast_lines("prod", replace(forecast, waves=())))


def test_nothing_to_do_is_said() -> None:
    nothing = Forecast(waves=(), waits=(), refusals=(), notes=())
    assert list(forecast_lines("prod", nothing)) == ["prod is up to date: nothing to do"]


def test_every_step_has_words() -> None:
    assert {*VERBS, steps.DeleteResource} == set(get_args(Step))


class Screen:
    """Lines written, and a clock that the test moves."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seconds = 100.0

    def reporter(self, *, quiet: bool = False) -> ConsoleReporter:
        return ConsoleReporter("prod", quiet=quiet, now=lambda: self.seconds, write=self.lines.append)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


REFUSAL = Refusal(
    code="master.unreachable",
    saw="Master prod-master2 (id 4) is unreachable: no answer.",
    why="The server exists and may hold data that no other master has.",
    you_can="Bring it back, or delete it at Hetzner and run `create` again.",
)


def test_a_run_is_told() -> None:
    screen = Screen()
    reporter = screen.reporter()
    wait = Wait(what="a learner", because="master3 is at 412 of 118000", deadline=120.0)
    reporter.shown(Forecast(waves=REPAIR[:1], waits=(), refusals=(), notes=("no autoscaler yet",)))
    screen.seconds += 12.34
    reporter.say("prod-master1", "joining through prod-master2")
    reporter.waiting(wait)
    screen.seconds += 100
    reporter.failed(REPAIR[1][0], ProductError("no answer"), again=True)
    reporter.failed(REPAIR[1][0], ProductError("no capacity"), again=False)
    reporter.shown(Forecast(waves=(), waits=(), refusals=(), notes=("no autoscaler yet", "another")))
    assert screen.text == snapshot("""\
note: no autoscaler yet
  1. save snapshot pre-repair-1
       because nothing is removed before a snapshot
time: about 2 s
   12.3s master1              joining through prod-master2
   12.3s prod                 waiting for a learner (up to 120 s): master3 is at 412 of 118000
  112.3s master1              trying again (create server master1): no answer
  112.3s master1              failed (create server master1): no capacity
note: another\
""")


def test_quiet_tells_only_what_went_wrong() -> None:
    screen = Screen()
    reporter = screen.reporter(quiet=True)
    reporter.shown(Forecast(waves=REPAIR, waits=(), refusals=(REFUSAL,), notes=("no autoscaler yet",)))
    reporter.say("prod-master1", "joining through prod-master2")
    reporter.failed(REPAIR[1][0], ProductError("no answer"), again=True)
    reporter.ended(Ending(verb=Verb.CREATE, code=ExitCode.REFUSED, tally=Tally(steps=1), seconds=3.0))
    assert screen.text == snapshot("""\
refused: Master prod-master2 (id 4) is unreachable: no answer.
    why: The server exists and may hold data that no other master has.
you can: Bring it back, or delete it at Hetzner and run `create` again.
   code: master.unreachable
explain: hetzner-k3s explain master.unreachable\
""")


SPEC = ClusterSpec(
    name="prod",
    hetzner_token=Secret("t"),
    kubeconfig_path="/nowhere",
    k3s_version=K3sVersion.parse("v1.36.3+k3s1"),
    masters=tuple(
        MasterSpec(name=f"prod-master{i}", index=i, location="fsn1", instance_type="cpx22", image="debian-13")
        for i in (1, 2, 3)
    ),
    ssh=SshSpec(private_key_path=None, public_key_path="/nowhere.pub", public_key="ssh-ed25519 AAAA"),
)


def _state() -> ClusterState:
    record = {
        naming.LABEL_PHASE: "born",
        naming.LABEL_CA: "3f2a" * 10,
        naming.LABEL_UID: "6c2170f8-0000",
        naming.LABEL_LINEAGE: "9a",
    }
    labels = naming.server_labels("prod", naming.ROLE_MASTER)
    servers = tuple(
        Server(id=i, name=f"prod-master{i}", status=ServerStatus.RUNNING, labels=labels, public_ipv4=f"192.0.2.{i}")
        for i in (2, 3)
    )
    groups = (PlacementGroup(id=9, name="prod-masters-pg1", labels=record),)
    members = tuple(Member(id=str(i), name=f"prod-master{i}-x", peer_urls=(), learner=False) for i in (1, 2, 3))
    facts = HostFacts(
        key=HostKeyKind.FINAL,
        k3s_version="v1.36.3+k3s1",
        server_unit=UnitFacts(active="active"),
        disk=DiskFacts(wal=True, server_ca="3f2a" * 16),
        etcd=EtcdFacts(healthy=True, member_id="2", leader="2", members=members, uid="6c2170f8-0000"),
        snapshots=(Snapshot(name="etcd-snapshot-prod-master2-1", size=7_340_000, created=-5400.0),),
    )
    nodes = tuple(KubeNode(name=f"prod-master{i}", uid=str(i), ready=i == 2) for i in (1, 2, 3))
    return ClusterState(
        observed_at=0.0,
        cloud=Known(CloudView(servers=servers, placement_groups=groups)),
        hosts={2: Known(facts), 3: Unreachable(SshStage.TCP, "timed out")},
        kube={2: Known(KubeView(uid="6c2170f8-0000", nodes=nodes))},
    )


def _told(state: ClusterState) -> str:
    intent = Intent(verb=Verb.CREATE)
    return "\n".join(status_lines(decide.report(SPEC, state, intent, decide.forecast(SPEC, state, intent))))


def test_status_shows_what_each_witness_sees() -> None:
    assert _told(_state()) == snapshot("""\
prod: born, ca 3f2a3f2a, uid 6c2170f8-0000, lineage 9a
health  degraded
        not as the file wants them: prod-master1, prod-master2, prod-master3
        `create` would refuse: network.gone, server.by-hand, member.removal-unsafe
etcd    1 of 3 voters seen healthy, 2 needed
k3s     v1.36.3+k3s1 on 1; the file says v1.36.3+k3s1

SERVER        ID  HETZNER  ADDRESS    HOST       K3S     VERSION       ETCD    NODE
prod-master1  -   absent   -          -          -       -             -       NotReady
prod-master2  2   running  192.0.2.2  answers    active  v1.36.3+k3s1  leader  Ready
prod-master3  3   running  192.0.2.3  no answer  -       -             -       NotReady

MEMBER          ADDRESS  STATE        CONNECTED TO IT
prod-master1-x           dead         -
prod-master2-x           leader       -
prod-master3-x           unreachable  -

SNAPSHOT                      WHERE         AGE         SIZE
etcd-snapshot-prod-master2-1  prod-master2  1 h 30 min  7.3 MB

tokens: initialized without an agent token: a worker would get the server token, which opens the keys of the CA\
""")


def test_status_of_nothing() -> None:
    assert _told(replace(_state(), cloud=Known(CloudView()))) == snapshot("""\
prod: not initialized yet
health  degraded
        not as the file wants them: prod-master1, prod-master2, prod-master3
        `create` would take 21 steps
k3s     none runs; the file says v1.36.3+k3s1

SERVER        ID  HETZNER  ADDRESS  HOST  K3S  VERSION  ETCD  NODE
prod-master1  -   absent   -        -     -    -        -     -
prod-master2  -   absent   -        -     -    -        -     -
prod-master3  -   absent   -        -     -    -        -     -\
""")


def test_status_of_a_listing_that_failed_claims_nothing() -> None:
    assert _told(unseen("no answer", 0.0)) == "prod: what exists at Hetzner could not be listed"


def test_status_of_two_births_names_both() -> None:
    state = _state()
    other = replace(state.view.servers[0], labels={**state.view.servers[0].labels, naming.LABEL_UID: "other"})
    told = _told(state.with_view(replace(state.view, servers=(other, state.view.servers[1]))))
    assert told.startswith("prod: the birth record has two values of uid: 6c2170f8-0000, other\n")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5.2, "0 min"), (60.0, "1 min"), (3599.0, "59 min"), (3660.0, "1 h 01 min"), (172_800.0, "2 days")],
)
def test_ages_are_told_in_units_that_matter(seconds: float, words: str) -> None:
    assert age(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(512, "0.5 kB"), (7_340_000, "7.3 MB")])
def test_sizes_are_told_in_units_that_matter(count: int, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.84, "0.8 s"), (2.0, "2 s"), (12.4, "12 s"), (59.7, "1 min"), (151.2, "2 min 31 s"), (3720.0, "1 h 02 min")],
)
def test_durations_are_told_in_units_that_matter(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def _tally(*steps_: tuple[Step, Reason]) -> Tally:
    tally = Tally()
    for step, reason in steps_:
        tally.finished(planned(step, "why", reason))
    return tally


CREATED = [(_bought(f"prod-w{i}"), Reason.MISSING) for i in range(5)]
REPLACED = (_bought("prod-master1"), Reason.LOST)
ADOPTED = (_bought("prod-master2"), Reason.UNFINISHED)
DELETED = (steps.DeleteServer(target="prod-w9", server_id=9), Reason.DELETE)
OTHER = (steps.KeepTokens(target="prod", via=1), Reason.DIFFERS)


def _ended(verb: Verb, code: ExitCode, tally: Tally, exported: str | None = None) -> tuple[str, str]:
    ending = Ending(
        verb=verb, code=code, tally=tally, seconds=151, api="https://192.0.2.1:6443", kubeconfig="/k", exported=exported
    )
    return ending.summary, ending.next


def test_the_end_says_what_was_done_and_what_comes_next() -> None:
    done = _tally(*CREATED, REPLACED, ADOPTED)
    assert _ended(Verb.CREATE, ExitCode.CONVERGED, done) == (
        "is up to date: 5 created, 1 replaced in 2 min 31 s; API at https://192.0.2.1:6443",
        "export KUBECONFIG=/k",
    )
    assert _ended(Verb.CREATE, ExitCode.CONVERGED, done, exported="/k")[1] == "kubectl get nodes"
    anew = (_bought("prod-w9"), Reason.MISSING)
    assert str(_tally(DELETED, anew)) == "1 replaced"
    assert str(_tally(DELETED, *CREATED)) == "5 created, 1 deleted"
    assert _ended(Verb.CREATE, ExitCode.PENDING, _tally(OTHER))[0] == (
        "is up to date, but for what was left alone: 1 step done in 2 min 31 s; API at https://192.0.2.1:6443"
    )
    assert _ended(Verb.DELETE, ExitCode.CONVERGED, _tally(DELETED)) == (
        "nothing of it is left: 1 deleted in 2 min 31 s",
        "",
    )


def test_the_end_of_a_deletion_does_not_hide_what_it_left() -> None:
    screen = Screen()
    reporter = screen.reporter()
    for notes in (("volume pvc-1 stays",), ()):
        reporter.shown(Forecast(waves=(), waits=(), refusals=(), notes=notes))
    assert _ended(Verb.DELETE, ExitCode.CONVERGED, reporter.tally) == ("is gone, but for what is named above", "")
    reporter.finished(planned(DELETED[0], "it carries the cluster's label", Reason.DELETE), 1.0)
    reporter.ended(Ending(verb=Verb.DELETE, code=ExitCode.CONVERGED, tally=reporter.tally, seconds=3.0))
    assert screen.text == snapshot("""\
note: volume pvc-1 stays
    0.0s prod                 is gone, but for what is named above: 1 deleted in 3 s\
""")
    assert _ended(Verb.CREATE, ExitCode.CONVERGED, reporter.tally)[0].startswith("is up to date: ")


def test_the_end_claims_nothing_that_was_not_done() -> None:
    assert _ended(Verb.CREATE, ExitCode.CONVERGED, Tally()) == ("is up to date; total time 2 min 31 s", "")
    assert _ended(Verb.DELETE, ExitCode.CONVERGED, Tally()) == ("nothing of it is left", "")
    assert _ended(Verb.CREATE, ExitCode.REFUSED, Tally()) == ("", "")
    assert _ended(Verb.CREATE, ExitCode.FAILED, _tally(ADOPTED, OTHER)) == ("stopped: 2 steps done in 2 min 31 s", "")
    assert _ended(Verb.CREATE, ExitCode.INTERRUPTED, _tally(*CREATED))[0] == "stopped: 5 created in 2 min 31 s"
