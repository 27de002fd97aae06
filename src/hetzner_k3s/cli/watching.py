"""Looks at a cluster for as long as somebody watches: hosts often, Hetzner rarely, and says what became another.

Hetzner lets a project make 3,600 requests an hour. A listing takes six; one a minute, and sooner where hosts changed,
leaves nearly all of that to whoever works on the cluster meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hetzner_k3s import addons, decide
from hetzner_k3s.cli.render.changes import Change, changes
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.report import Report
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe import Focus, observe, observe_again, snapshots, with_assortment
from hetzner_k3s.ports import Ports

HOSTS_EVERY: Final = 5.0
"""Seconds between two looks at hosts and Kubernetes."""
LISTING_EVERY: Final = 60.0
LISTING_AFTER_A_CHANGE: Final = 15.0
"""Seconds between two listings: of a cluster at rest, and of one that changes or could not be listed."""

Show = Callable[[Report, Sequence[Change]], None]


@dataclass(frozen=True, slots=True)
class _Look:
    """One look: what was seen, what it means, and when Hetzner was last listed (monotonic seconds)."""

    state: ClusterState
    report: Report
    listed: float


async def watch(spec: ClusterSpec, ports: Ports, show: Show) -> None:
    """Show a cluster, and again whenever something about it is another; ends only by being cancelled."""
    look = await _first(spec, ports)
    show(look.report, ())
    changed = False
    while True:
        await ports.clock.sleep(HOSTS_EVERY)
        before, look = look, await _again(spec, ports, look, changed)
        changed = bool(told := changes(before.report, look.report))
        if changed:
            show(look.report, told)


async def _first(spec: ClusterSpec, ports: Ports) -> _Look:
    began = ports.clock.monotonic()
    state = await observe(ports, spec, Verb.CREATE)
    return await _judged(spec, ports, state, None, began)


async def _again(spec: ClusterSpec, ports: Ports, before: _Look, changed: bool) -> _Look:
    now = ports.clock.monotonic()
    restless = changed or not isinstance(before.state.cloud, Known)
    listing = now - before.listed >= (LISTING_AFTER_A_CHANGE if restless else LISTING_EVERY)
    state = await observe_again(ports, spec, before.state, Focus(listing=listing))
    return await _judged(spec, ports, state, before, now if listing else before.listed)


async def _judged(spec: ClusterSpec, ports: Ports, state: ClusterState, before: _Look | None, listed: float) -> _Look:
    """Return what a look means; catalogues and the bucket are read anew only beside a listing."""
    is_new = before is None or before.listed != listed
    state = await with_assortment(ports, spec, state, before.state if before else None)
    stored = await snapshots.read(ports, spec) if is_new else before.state.snapshots if before else None
    state = replace(state, snapshots=state.snapshots or stored)
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec))
    ahead = decide.forecast(spec, state, intent)
    if ports.transcript is not None:
        ports.transcript.decided(state, intent, ahead)
    return _Look(state, decide.report(spec, state, intent, ahead), listed)
