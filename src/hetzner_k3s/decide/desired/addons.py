"""The add-ons that are charts of ours: those that the file switched off, and what speaks against their removal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.consents import Prune
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.kube import UNINITIALIZED, KubeView
from hetzner_k3s.model.kubernetes.addons import CERT_MANAGER, CLOUD_CONTROLLER, CSI_DRIVER, KEYS, switched_off
from hetzner_k3s.model.spec import EXTERNAL_CLOUD
from hetzner_k3s.model.text.wording import listed

_NAMED: Final = 3
_HARM: Final = {
    CSI_DRIVER: "no pod could mount them and nobody could delete them",
    CERT_MANAGER: "nobody would renew them, and they expire",
    CLOUD_CONTROLLER: "nobody would look after their load balancers, nor let these Services be deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwanted:
    """A chart that we applied and the file asks for no more.

    Args:
        chart, digest: which, and what it was applied with.
        needed: why it stays, whatever the user consents to; None where nothing speaks against its removal.
        warning: what its removal leads to, to be said beforehand.
    """

    chart: str
    digest: str
    needed: str | None
    warning: str


def unwanted(context: DecisionContext) -> Iterator[Unwanted]:
    """Return the charts of ours that the file switched off; what k3s itself brings is a matter of its configuration."""
    kube = context.control_plane.kube
    if kube is None:
        return
    for chart in switched_off(context.spec, kube.addons):
        needed, warning = _needed(context, kube, chart), _warning(context, chart)
        yield Unwanted(chart=chart, digest=kube.addons[chart], needed=needed, warning=warning)


def installed_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return the add-ons that are there although the file switched them off, with what keeps them."""
    for found in unwanted(context):
        if found.needed is not None:
            because = f"it stays, with {Prune()} too: {found.needed}"
        elif Prune() not in context.consents:
            because = "; ".join(filter(None, (f"`create {Prune()}` uninstalls it", found.warning)))
        else:
            because = ""
        yield Difference(
            subject=context.spec.name,
            field=KEYS[found.chart],
            wanted="none",
            seen=f"the chart {found.chart}",
            remedy=Remedy.APPLY,
            because=because,
        )


def _needed(context: DecisionContext, kube: KubeView, chart: str) -> str | None:
    dependents = kube.dependents.get(chart)
    if dependents is None:
        return "what needs it could not be read"
    if dependents:
        return f"{listed(dependents, _NAMED)} would be left behind: {_HARM[chart]}; delete them first"
    waiting = [node.name for node in kube.nodes if node.uninitialized and not node.deleting]
    if chart == CLOUD_CONTROLLER and waiting and not context.spec.external_cloud:
        return f"{listed(waiting, _NAMED)} would keep the taint {UNINITIALIZED}: only a cloud controller takes it off"
    return None


def _warning(context: DecisionContext, chart: str) -> str:
    announced = list(_announced(context)) if chart == CLOUD_CONTROLLER and not context.spec.external_cloud else []
    if not announced:
        return ""
    return (
        f"a Node that registers anew from {listed(announced, _NAMED)}, whose config.yaml says {EXTERNAL_CLOUD}, then "
        f"keeps the taint {UNINITIALIZED} and gets no pods"
    )


def _announced(context: DecisionContext) -> Iterator[str]:
    """Name the hosts whose kubelet has its Node wait for a cloud controller each time that it registers."""
    for spec in context.spec.servers():
        server = context.server(spec.name)
        facts = context.state.facts(server.id) if server is not None else None
        if facts is not None and EXTERNAL_CLOUD in (facts.disk.config or {}).get("kubelet-arg", ()):
            yield spec.name
