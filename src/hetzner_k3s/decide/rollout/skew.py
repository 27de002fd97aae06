"""Which k3s may follow which: refused before anything is fetched (docs/facts/k3s.md#version-skew)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hetzner_k3s.decide.desired.servers import running_releases
from hetzner_k3s.decide.preflight import orders
from hetzner_k3s.decide.preflight.versions import parsed_release
from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.text.wording import listed
from hetzner_k3s.model.version import K3sVersion

_UNTOUCHED: Final = "Nothing was fetched, and no k3s was restarted."
_NAMED: Final = 3


def release_fits(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to upgrade to a release that is not there, is older than what runs, or skips a minor version."""
    if not any(Remedy.UPGRADE in remedies for remedies in selection.waiting(context).values()):
        return ()
    return tuple(_objections(context))


def _objections(context: DecisionContext) -> Iterator[Refusal]:
    wanted, told = context.spec.k3s_version, running_releases(context)
    running = {name: version for name, tag in told if (version := parsed_release(tag)) is not None}
    if (why := orders.not_released(context)) is not None:
        yield _no_release(why)
    if newer := {name: version for name, version in running.items() if version > wanted}:
        yield _downgrade(wanted, newer)
    oldest = min((running[name] for name in context.spec.master_names if name in running), default=wanted)
    if (wanted.major, wanted.minor) > (oldest.major, oldest.minor + 1):
        yield _skips_minor(wanted, oldest)


def _no_release(why: str) -> Refusal:
    return Refusal(
        code="upgrade.no-release",
        saw=f"{why}.",
        why=f"There is nothing to install. {_UNTOUCHED}",
        you_can="`hetzner-k3s releases` lists those that there are; name one of them.",
    )


def _downgrade(wanted: K3sVersion, newer: Mapping[str, K3sVersion]) -> Refusal:
    runs = f"{listed(sorted(newer), _NAMED)} {'runs' if len(newer) == 1 else 'run'} {max(newer.values())}"
    return Refusal(
        code="upgrade.downgrade",
        saw=f"k3s {wanted} is asked for, and {runs}.",
        why=f"What a newer Kubernetes has written, an older one may not be able to read. {_UNTOUCHED}",
        you_can="Name that release or a later one. To go back, restore a snapshot from before the upgrade.",
    )


def _skips_minor(wanted: K3sVersion, oldest: K3sVersion) -> Refusal:
    line = f"v{oldest.major}.{oldest.minor + 1}"
    return Refusal(
        code="upgrade.skips-minor",
        saw=f"k3s {wanted} is asked for, and the masters run {oldest}: minor versions between them are skipped.",
        why=f"Kubernetes goes from one minor version to the next: objects are converted on the way. {_UNTOUCHED}",
        you_can=f"Go to the newest release of {line} first: `hetzner-k3s releases --channel {line}` prints it.",
    )
