"""A safe step is never held back: a table over everything that is refused.

See docs/architecture.md#law-12.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.refused import CASES
from tests.decide.refused_access import OWN, let_in, seen, silent
from tests.decide.world import (
    MASTER1,
    MASTER2,
    WORKER1,
    codes,
    forecast,
    healthy,
    off,
    other_identity,
    plan,
    verbs,
    with_listing,
)

from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, SkipAddressCheck
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.state import ClusterState

_SPEAKS_AGAINST_IT = (
    *("listing.", "record.", "cluster.deleting", "server.foreign", "masters.other-names", "resource.", "network."),
    *("firewall.", "ssh.port", "cluster.unfinished", "cluster.of-2x"),
)
"""Codes of refusals that say: this may not be our project, our network or our firewall, or it would shut us out.

`cluster.unfinished` is said only when no step is left.
"""


def _open(state: ClusterState) -> ClusterState:
    """Let somebody have changed the rules of every firewall."""
    changed = tuple(replace(f, rules=f.rules[:1]) for f in state.view.firewalls)
    return with_listing(state, firewalls=changed)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.intent.verb is Verb.CREATE])
def test_the_firewall_is_set_whatever_else_is_refused(name: str) -> None:
    case = CASES[name]
    if not case.state.view.firewalls or any(code.startswith(_SPEAKS_AGAINST_IT) for code in case.codes):
        return
    if case.state.strangers:
        return  # a cluster of 2.x that is not adopted yet: nothing of it is touched
    planned = plan(_open(case.state), case.spec, case.intent)
    assert [r.code for r in planned.refusals] == list(case.codes)
    assert verbs(planned.steps) == [f"EnsureFirewall {naming.firewall(case.spec.name)}"]


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.intent.verb is Verb.CREATE])
def test_what_speaks_against_the_firewall_holds_it(name: str) -> None:
    case = CASES[name]
    held = any(code.startswith(_SPEAKS_AGAINST_IT) for code in case.codes) and "cluster.unfinished" not in case.codes
    if case.state.view.firewalls and held:
        assert not plan(_open(case.state), case.spec, case.intent).steps


def test_power_is_given_beside_silent_masters() -> None:
    state = off(silent(healthy()), WORKER1)
    assert codes(state) == ["masters.none-healthy"]
    assert verbs(plan(state).steps) == [f"PowerOn {WORKER1}"]


def test_no_data_is_woken_beside_another_cluster() -> None:
    state = off(other_identity(healthy(), MASTER2), WORKER1)
    assert codes(state)
    assert not plan(state).steps


def test_a_firewall_without_its_selector_is_applied_again() -> None:
    firewalls = tuple(replace(f, selectors=()) for f in healthy().view.firewalls)
    shown = forecast(with_listing(healthy(), firewalls=firewalls))
    ((step,),) = shown.waves
    assert (step.key.verb, step.because) == ("EnsureFirewall", "it is not applied to the cluster's servers")


def test_the_firewall_may_shut_us_out_when_that_is_wanted() -> None:
    state, spec = seen(healthy(), MASTER1), let_in("198.18.0.0/15")
    anyway = Intent(verb=Verb.CREATE, addons={}, consents=Consents.of(SkipAddressCheck()))
    assert codes(state, spec) == ["firewall.shuts-out"]
    assert codes(state, spec, anyway) == []
    assert not codes(state, let_in("198.18.0.0/15", f"{OWN}/32"))


def test_servers_behind_private_addresses_do_not_depend_on_the_firewall() -> None:
    spec = let_in("198.18.0.0/15")
    spec = replace(spec, ssh=replace(spec.ssh, use_private_ip=True))
    assert not codes(seen(healthy(), MASTER1), spec)
