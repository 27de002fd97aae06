"""The verdict is the cluster's: what this machine has, lacks or may not see is told apart from it.

See docs/architecture.md#law-13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    SPEC,
    WORKER1,
    edit_kube,
    edit_node,
    forecast,
    healthy,
    lose,
    nothing,
    plan,
    unreachable,
    with_listing,
    with_reading,
)

from hetzner_k3s import decide
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.host import Unreachable
from hetzner_k3s.model.kube import Credentials, TokenGrant
from hetzner_k3s.model.plan import Forecast, StepKey
from hetzner_k3s.model.report import Health, Report
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import UNREADABLE, ClusterState, LocalEvidence
from hetzner_k3s.model.steps import ApplyAddons

THEIRS = Secret("a-colleagues-token")


def report(state: ClusterState, spec: ClusterSpec = SPEC) -> Report:
    return decide.report(spec, state, CREATE, forecast(state, spec))


def pending(state: ClusterState, spec: ClusterSpec = SPEC) -> Forecast:
    return decide.pending(spec, state, CREATE, forecast(state, spec))


def with_token(state: ClusterState, grant: Reading[TokenGrant] | None) -> ClusterState:
    """Let the cluster hold a colleague's token."""
    theirs = Credentials(token=THEIRS, network=SPEC.network_name, applied_by="anna@laptop")
    state = edit_kube(state, lambda view: replace(view, credentials=theirs))
    return replace(state, grants={} if grant is None else {THEIRS: grant})


def another_key(state: ClusterState) -> ClusterState:
    return with_listing(state, ssh_keys=tuple(replace(key, fingerprint="00:11") for key in state.view.ssh_keys))


def all_clocks(state: ClusterState, ahead: float) -> ClusterState:
    told = {
        number: Known(replace(reading.value, ahead=ahead))
        for number, reading in state.hosts.items()
        if isinstance(reading, Known)
    }
    return replace(state, hosts={**state.hosts, **told})


OBSERVERS: dict[str, Callable[[ClusterState], ClusterState]] = {
    "without a kubeconfig": lambda s: replace(s, local=LocalEvidence()),
    "with a kubeconfig that cannot be read": lambda s: replace(s, local=LocalEvidence(kubeconfig_ca=UNREADABLE)),
    "with another cluster's kubeconfig": lambda s: replace(s, local=LocalEvidence(kubeconfig_ca="ab" * 32)),
    "with an admin's kubeconfig": lambda s: replace(
        s, local=replace(s.local, kubeconfig_servers={MASTER1: "https://vpn.example:6443"})
    ),
    "with another SSH key": another_key,
    "with no SSH key in the project": lambda s: with_listing(s, ssh_keys=()),
    "with a colleague's token in the cluster": lambda s: with_token(s, Known(TokenGrant.CLUSTERS_PROJECT)),
    "with a token in the cluster that nobody could ask about": lambda s: with_token(s, Unknown("no answer")),
    "with a clock that is an hour behind": lambda s: all_clocks(s, 3600.0),
}
"""How the same cluster is looked at from different machines."""

CLUSTERS: dict[str, Callable[[ClusterState], ClusterState]] = {
    "a healthy cluster": lambda s: s,
    "a cluster that lost a master": lambda s: lose(s, MASTER2),
    "a cluster that lost a worker": lambda s: lose(s, WORKER1),
    "a cluster with a node that is not ready": lambda s: edit_node(s, WORKER1, lambda n: replace(n, ready=False)),
    "a cluster without quorum": lambda s: lose(lose(s, MASTER2), MASTER3),
}


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_the_verdict_is_the_same_for_every_observer(cluster: str, observer: str) -> None:
    state = CLUSTERS[cluster](healthy())
    seen = OBSERVERS[observer](state)
    assert (report(seen).health, report(seen).because) == (report(state).health, report(state).because)
    ours, theirs = pending(state), pending(seen)
    assert (theirs.waves, theirs.waits, theirs.refusals) == (ours.waves, ours.waits, ours.refusals)


@pytest.mark.parametrize(
    ("observer", "says"),
    [
        ("without a kubeconfig", "/home/someone/kubeconfig: it is not there yet"),
        ("with an admin's kubeconfig", "/home/someone/kubeconfig: it names other addresses"),
        ("with another SSH key", "`create` would refuse here: The project's SSH key prod has the fingerprint 00:11"),
        ("with another cluster's kubeconfig", "`create` would refuse here: /home/someone/kubeconfig holds contexts"),
        ("with no SSH key in the project", "prod: the project does not know your public key"),
        ("with a clock that is an hour behind", "its clock is 3600 s behind the cluster's clock"),
    ],
)
def test_what_is_this_machines_is_told_as_such(observer: str, says: str) -> None:
    told = report(OBSERVERS[observer](healthy())).this_machine
    assert any(line.startswith(says) for line in told), told
    assert report(healthy()).this_machine == ()


def test_what_a_token_grants_that_nobody_could_ask_is_not_looked_at() -> None:
    told = report(with_token(healthy(), Unknown("no answer"))).not_seen
    assert told == ("what the Hetzner token in Secret kube-system/hcloud opens (no answer)",)


def test_before_its_birth_what_this_machine_remembers_counts() -> None:
    state = replace(nothing(), local=LocalEvidence(open_birth=True))
    assert [refusal.code for refusal in pending(state).refusals] == ["birth.journal"]


# --- hosts that do not let this machine in ----------------------------------------------------------------------------


def closed(*names: str) -> ClusterState:
    state = healthy()
    for name in names:
        state = with_reading(state, name, Unreachable(SshStage.AUTH, "no SSH agent answers", 0.0))
    return replace(state, kube={}) if set(SPEC.master_names) <= set(names) else state


def test_hosts_that_let_nobody_in_from_here_claim_nothing_about_the_cluster() -> None:
    """An empty agent made every cluster `no-quorum`, exit 4."""
    told = report(closed(*(server.name for server in SPEC.servers())))
    assert told.health is Health.UNKNOWN
    assert told.not_seen == (f"{', '.join(server.name for server in SPEC.servers())} (no SSH agent answers)",)


def test_one_master_that_lets_nobody_in_is_the_clusters_affair() -> None:
    told = report(closed(MASTER3))
    assert told.health is Health.DEGRADED
    assert "host.denied" in " ".join(told.because)


def test_masters_that_do_not_answer_at_all_are_no_quorum() -> None:
    state = healthy()
    for name in SPEC.master_names:
        state = unreachable(state, name)
    assert report(replace(state, kube={})).health is Health.NO_QUORUM


# --- whose Hetzner token the cluster holds ----------------------------------------------------------------------------


def test_a_colleagues_token_of_the_same_project_is_left_and_named() -> None:
    decided = plan(with_token(healthy(), Known(TokenGrant.CLUSTERS_PROJECT)))
    assert decided.settled
    assert any("applied by anna@laptop" in note for note in decided.notes)


@pytest.mark.parametrize("grant", [TokenGrant.OTHER_PROJECT, TokenGrant.NOTHING])
def test_a_token_that_does_not_open_the_project_is_replaced(grant: TokenGrant) -> None:
    (planned,) = plan(with_token(healthy(), Known(grant))).steps
    assert planned.key == StepKey(ApplyAddons, "prod")
    assert grant.value in planned.because
    assert "applied by anna@laptop" in planned.because


@pytest.mark.parametrize("grant", [None, Unknown("no answer")])
def test_from_a_token_that_could_not_be_asked_about_nothing_follows(grant: Reading[TokenGrant] | None) -> None:
    assert plan(with_token(healthy(), grant)).settled


def test_charts_are_applied_without_touching_a_colleagues_token() -> None:
    state = with_token(healthy(), Known(TokenGrant.CLUSTERS_PROJECT))
    (planned,) = plan(edit_kube(state, lambda view: replace(view, addons={}))).steps
    assert not planned.step.credentials  # type: ignore[union-attr]


def test_a_secret_that_is_missing_or_names_another_network_is_applied() -> None:
    missing = edit_kube(healthy(), lambda view: replace(view, credentials=None))
    elsewhere = Credentials(token=SPEC.hetzner_token, network="another")
    for state in (missing, edit_kube(healthy(), lambda view: replace(view, credentials=elsewhere))):
        (planned,) = plan(state).steps
        assert planned.step.credentials  # type: ignore[union-attr]
