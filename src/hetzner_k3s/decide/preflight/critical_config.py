"""What masters must agree on, held against the file before a master is bought.

See docs/facts/recovery.md#critical-before-buying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.pending_joins import masters_due
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.hosts.critical_config import SERVICELB, governed, wanted_arguments
from hetzner_k3s.model.plan import Refusal

_SETTING = {
    "cluster-cidr": "networking.cluster_cidr",
    "service-cidr": "networking.service_cidr",
    "cluster-dns": "networking.cluster_dns",
    "cluster-domain": "networking.cluster_domain",
    "flannel-backend": "networking.cni.encryption",
    "embedded-registry": "addons.embedded_registry_mirror.enabled",
    SERVICELB: "addons.servicelb.enabled",
}
"""Where the file says it. What no key says is carried over to a new master (`model.critical.carried`)."""


def configuration_agrees(context: ServingContext) -> tuple[Refusal, ...]:
    """Refuse to let a master join that would run with other critical arguments: k3s itself refuses it, but late."""
    due, drift = masters_due(context), _drift(context)
    if not due or not drift:
        return ()
    return (
        Refusal(
            code="config.drift",
            saw=f"{', '.join(m.name for m in due)} would be made with other values than the masters that run: "
            f"{'; '.join(drift)}.",
            why="All masters must agree on these for the whole life of a cluster; k3s lets no other one join.",
            you_can="Put the live values into the file, and run `create` again.",
        ),
    )


def cannot_change(context: DecisionContext) -> Iterator[Difference]:
    """Return where the file asks for what no master could join with."""
    wanted = governed(wanted_arguments(context.spec))
    for flag, live in sorted(_live(context).items()):
        if flag in wanted and wanted[flag] != live:
            yield Difference(
                subject=context.spec.name,
                field=_SETTING.get(flag, flag),
                wanted=wanted[flag],
                seen=live,
                remedy=Remedy.FIXED,
                because="all masters must agree on it for good, and no master could join with the file's value",
            )


def _drift(context: DecisionContext) -> list[str]:
    """Name each argument that is told and differs."""
    wanted = governed(wanted_arguments(context.spec))
    live = _live(context)
    return [
        f"{flag}{_where(flag)}: live={live[flag]}, file={value}"
        for flag, value in sorted(wanted.items())
        if flag in live and live[flag] != value
    ]


def _where(flag: str) -> str:
    return f" ({_SETTING[flag]})" if flag in _SETTING else ""


def _live(context: DecisionContext) -> Mapping[str, str]:
    """Return what the first healthy master that tells runs with: k3s lets none run with other values."""
    told = (m.facts.supervisor.critical for m in context.control_plane.all_masters if m.facts and m.facts.serves)
    return next((critical for critical in told if critical), {})
