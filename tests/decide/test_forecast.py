"""The forecast: every step that can be planned is predicted, and every way ends where nothing is left to do."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from tests.decide import on_database
from tests.decide import test_addons_of_2x as addons_of_2x
from tests.decide import test_addons_off as addons_off
from tests.decide.disasters import FIVE, disaster, resetting
from tests.decide.lost import (
    FROM_FILE,
    S3_SPEC,
    a_file,
    all_lost,
    emptied,
    naming_a_file,
    on_disk,
    restoring,
    to_restore,
    with_disk,
)
from tests.decide.oddities import accepting, adopting, introduced_by_2x, pinning, with_rotated_ca, with_tokens
from tests.decide.used_by_servers import CLAIMED_VOLUME
from tests.decide.world import (
    CA,
    CREATE,
    DELETE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NOW,
    OTHER_CA,
    PRUNE,
    ROLLOUT,
    SPEC,
    SURGING,
    UPGRADE,
    WORKER1,
    WORKER2,
    a_spec,
    address_of,
    bought_as,
    configured_otherwise,
    edit_facts,
    edit_node,
    forecast,
    former,
    healthy,
    lose,
    made_from,
    nothing,
    off,
    ordered_as_surge,
    plan,
    running_release,
    stopped,
    stopped_agent,
    with_listing,
)

from hetzner_k3s import decide
from hetzner_k3s.decide.forecast import WAVE_LIMIT, predict
from hetzner_k3s.model.consents import Consents, NewClusterOver, WithVolumes
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.hetzner.belongings import Belongings
from hetzner_k3s.model.host import DiskFacts
from hetzner_k3s.model.kube import Leaving
from hetzner_k3s.model.plan import Forecast, Intent, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState, LocalEvidence
from hetzner_k3s.model.steps import (
    CreateServer,
    DeleteNode,
    InitControlPlane,
    JoinControlPlane,
    MarkMember,
    RemoveMember,
    Step,
)

ONE_MASTER = a_spec(1, 0)
OVER = replace(CREATE, consents=Consents.of(NewClusterOver(CA[:8])))


def forgetful_of_access(state: ClusterState) -> ClusterState:
    """Let this machine have no kubeconfig that it would still have after a birth was predicted."""
    return replace(state, local=LocalEvidence(open_birth=True))


def half_gone() -> ClusterState:
    """Let an unfinished `--prune` have cordoned a worker that the file wants again."""
    return edit_node(healthy(), WORKER1, lambda node: replace(node, leaving=Leaving.CORDONED))


def naming_nobody(disk: DiskFacts) -> DiskFacts:
    """Let an agent's configuration name a master that is gone; it has learned of a living one since."""
    learned = (f"{address_of(FIRST_MASTER)}:6443",)
    return replace(disk, config_server="https://10.0.0.250:6443", agent_servers=learned)


HELD_FILE = a_file()
OLDER = "v1.36.2+k3s1"

WAYS: dict[str, tuple[ClusterState, ClusterSpec, Intent]] = {
    "a birth": (nothing(), SPEC, CREATE),
    "a birth of five": (nothing(), a_spec(5, 3), CREATE),
    "a repair": (lose(healthy(), MASTER1), SPEC, CREATE),
    "a new worker": (lose(healthy(), WORKER1), SPEC, CREATE),
    "a prune": (healthy(a_spec(5, 2)), a_spec(3, 1), PRUNE),
    "an add-on that was switched off": (
        addons_off.installed(addons_off.WITHOUT_CSI),
        addons_off.WITHOUT_CSI,
        addons_off.asked(PRUNE, addons_off.WITHOUT_CSI),
    ),
    "add-ons that 2.x applied": (addons_of_2x.adopted(), SPEC, addons_of_2x.ASKED),
    "a prune taken back": (half_gone(), SPEC, CREATE),
    "a reset of a lost quorum": (disaster(FIVE), FIVE, resetting("prod-master5")),
    "a master that is off": (off(healthy(), MASTER1), SPEC, CREATE),
    "a master whose k3s is stopped": (stopped(healthy(), MASTER1), SPEC, CREATE),
    "a worker whose agent is stopped": (stopped_agent(healthy(), WORKER1), SPEC, CREATE),
    "a master with the data of a former member": (former(healthy(), MASTER1), SPEC, CREATE),
    "a master with a bare token": (with_tokens(healthy(), MASTER1, config="f" * 12, pinned=None), SPEC, CREATE),
    "a rotated CA": (
        pinning(pinning(with_rotated_ca(healthy(), *SPEC.master_names), WORKER1, CA), WORKER2, CA, waiting=True),
        SPEC,
        accepting(OTHER_CA),
    ),
    "a worker that names a master that is gone": (
        edit_facts(healthy(), WORKER1, lambda f: replace(f, disk=naming_nobody(f.disk))),
        SPEC,
        CREATE,
    ),
    "a master without its taint": (edit_node(healthy(), MASTER1, lambda n: replace(n, taints={})), SPEC, CREATE),
    "a rollout": (configured_otherwise(healthy(), *(s.name for s in SPEC.servers())), SPEC, ROLLOUT),
    "an upgrade": (running_release(running_release(healthy(), WORKER1, OLDER), MASTER1, OLDER), SPEC, UPGRADE),
    "an adoption": (introduced_by_2x(), SPEC, adopting()),
    "another server type": (bought_as(healthy(), "cpx11", MASTER1, WORKER1), SPEC, ROLLOUT),
    "another image": (made_from(healthy(), "debian-11", MASTER1, WORKER1), SPEC, ROLLOUT),
    "another image with a surge server": (made_from(healthy(), "debian-11", WORKER1, WORKER2), SPEC, SURGING),
    "a surge server that the file wants by now": (ordered_as_surge(healthy(), WORKER2), SPEC, CREATE),
    "a deletion": (healthy(), SPEC, DELETE),
    "a deletion with all that Kubernetes made": (
        with_listing(healthy(), belongings=Belongings(volumes=(CLAIMED_VOLUME,))),
        SPEC,
        replace(DELETE, consents=Consents.of(WithVolumes())),
    ),
    "a restore": (to_restore(), S3_SPEC, restoring()),
    "a restore from a file": (naming_a_file(all_lost(ONE_MASTER), HELD_FILE), ONE_MASTER, FROM_FILE),
    "a restore from a disk": (
        with_disk(emptied(SPEC, *SPEC.master_names), MASTER1, on_disk(60)),
        SPEC,
        restoring(),
    ),
    "a birth in a database": (nothing(), on_database.SPEC, CREATE),
    "all masters on a database lost": (on_database.all_lost(), on_database.SPEC, CREATE),
    "a master on a database lost": (on_database.lost(on_database.served(), MASTER2), on_database.SPEC, CREATE),
    "a prune of a cluster in a database": (on_database.served(), on_database.spec_of(1, 1), PRUNE),
    "a new cluster": (forgetful_of_access(all_lost(ONE_MASTER)), ONE_MASTER, OVER),
}


def test_every_step_can_be_planned() -> None:
    shown = (forecast(*way) for way in WAYS.values())
    assert {type(p.step) for way in shown for wave in way.waves for p in wave} == set(get_args(Step))


@pytest.mark.parametrize("way", WAYS)
def test_every_step_is_predicted_and_the_way_ends_settled(way: str) -> None:
    state, spec, intent = WAYS[way]
    for wave in forecast(state, spec, intent).waves:
        for planned in wave:
            after = predict(decide.wanted(spec, state, intent), state, planned.step)
            assert after != state, planned.key
            state = after
    assert plan(state, spec, intent).settled


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_is_done_is_not_planned_again(way: str) -> None:
    state, spec, intent = WAYS[way]
    for wave in forecast(state, spec, intent).waves:
        for planned in wave:
            state = predict(decide.wanted(spec, state, intent), state, planned.step)
            assert {p.key for p in plan(state, spec, intent).steps}.isdisjoint({planned.key} - REPEATED)


REPEATED = {StepKey(MarkMember, MASTER1)}
"""At birth the first master is marked at once, and again when there is another master that its config can name."""


@pytest.mark.parametrize("way", WAYS)
def test_every_step_says_why_it_is_taken(way: str) -> None:
    for wave in forecast(*WAYS[way]).waves:
        assert all(len(planned.because) > 10 for planned in wave)


def test_the_forecast_names_every_key_that_it_shows() -> None:
    way: Forecast = forecast(lose(healthy(), MASTER1))
    assert len(way.waves) < WAVE_LIMIT
    assert way.keys == {p.key for wave in way.waves for p in wave}


def test_which_master_is_ready_first_no_forecast_knows() -> None:
    way = forecast(nothing())
    shown = {p.key for wave in way.waves for p in wave}
    assert way.keys - shown == {
        StepKey(InitControlPlane, MASTER2),
        StepKey(InitControlPlane, MASTER3),
        StepKey(JoinControlPlane, MASTER1),
    }


def test_the_forecast_shows_what_comes_after_the_api_answers_again() -> None:
    state = lose(healthy(), MASTER1)
    silent = ClusterState(
        observed_at=state.observed_at,
        cloud=state.cloud,
        hosts=state.hosts,
        kube={102: Unknown("timed out", NOW)},
        local=state.local,
        lookups=state.lookups,
    )
    assert forecast(silent).keys >= {
        StepKey(CreateServer, MASTER1),
        StepKey(RemoveMember, MASTER1),
        StepKey(DeleteNode, MASTER1),
        StepKey(JoinControlPlane, MASTER1),
    }
