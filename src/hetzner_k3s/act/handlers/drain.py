"""Empties a Node as `kubectl drain --ignore-daemonsets --delete-emptydir-data` does, and stricter where data would go.

Disruption budgets are respected until a deadline. A pod that nothing would start elsewhere, and a volume that lies on
this Node's disk and nowhere else, stop it before anything is evicted: whether they may go, only their owner knows.
"""

from __future__ import annotations

from hetzner_k3s.act.context import Context
from hetzner_k3s.model.consents import DeleteLocalData
from hetzner_k3s.model.errors import DrainRefused, PreconditionChanged
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import NodeLoad, Pod
from hetzner_k3s.model.text.wording import listed

_AGAIN = 5.0
"""Seconds until a pod is asked again that its disruption budget held back, as kubectl does."""

_NAMED = 5
"""How many pods an error names."""


async def drained(
    context: Context, via: HostTarget, node: str, *, answers: bool, within: float, volumes_may_go: bool = False
) -> None:
    """Evict until nothing is left but what goes with the Node.

    Args:
        context: what the step is carried out with.
        via: the master that is asked.
        node: whose pods.
        answers: whether its kubelet does; if not, a pod that was told to end counts as ended.
        within: seconds in which they must have gone.
        volumes_may_go: whether its volumes do not matter: they are given up, or its machine is away for a while only.

    Raises:
        DrainRefused: something on it would be lost, or did not go in time.
    """
    load = await context.ports.kube.load_of(via, node)
    _refuse_losses(node, load, volumes_may_go=volumes_may_go)
    ends = context.ports.clock.monotonic() + within
    told: list[str] = []
    while left := await _evict(context, via, node, answers=answers):
        if context.ports.clock.monotonic() >= ends:
            raise DrainRefused(
                f"{node} is not empty after {within:.0f} s: {listed(left, _NAMED)}",
                hint="Its Node stays cordoned. See to these pods (`kubectl get pdb -A`), then run the command again.",
            )
        if left != told:
            context.say(node, f"still runs {listed(left, _NAMED)}")
            told = left
        await context.ports.clock.sleep(_AGAIN)


async def still_empty(context: Context, via: HostTarget, node: str, *, volumes_may_go: bool = False) -> None:
    """Look again right before a drained Node is deleted: whoever uncordoned it may have put something there.

    Raises:
        DrainRefused: what is there now would be lost.
        PreconditionChanged: it takes pods again, or runs some.
    """
    load = await context.ports.kube.load_of(via, node)
    _refuse_losses(node, load, volumes_may_go=volumes_may_go)
    running = [_name(pod) for pod in load.pods if not (pod.stays or pod.ending)]
    if load.takes_pods or running:
        now = f"runs {listed(running, _NAMED)}" if running else "was uncordoned"
        raise PreconditionChanged(f"{node} was drained, and {now} since", server=node)


async def no_volume_left(context: Context, via: HostTarget, node: str) -> None:
    """Look again right before a server is deleted whose Node is gone.

    Raises:
        DrainRefused: a volume lies on its disk and nowhere else.
    """
    _refuse_lost_volumes(node, await context.ports.kube.load_of(via, node), "Its server stays as it is.")


def _refuse_losses(node: str, load: NodeLoad, *, volumes_may_go: bool) -> None:
    lonely = [_name(pod) for pod in load.pods if pod.controller is None and not (pod.stays or pod.ending)]
    if lonely:
        raise DrainRefused(
            f"{node} runs pods that nothing would start elsewhere: {listed(lonely, _NAMED)}",
            hint="Delete them or give them a controller, then run the command again. Its Node stays cordoned.",
        )
    if not volumes_may_go:
        _refuse_lost_volumes(node, load, "Its Node stays cordoned." if not load.takes_pods else "Its Node takes pods.")


def _refuse_lost_volumes(node: str, load: NodeLoad, meanwhile: str) -> None:
    if load.local_claims:
        raise DrainRefused(
            f"{node} holds the only copy of the volumes of these claims: {listed(list(load.local_claims), _NAMED)}",
            hint=f"Move their data and delete the claims, then run the command again; or give that data up with "
            f"`{DeleteLocalData()}`. {meanwhile}",
        )


async def _evict(context: Context, via: HostTarget, node: str, *, answers: bool) -> list[str]:
    """Ask every pod to end that has not been asked, and say which are left and why."""
    load = await context.ports.kube.load_of(via, node)
    left = []
    for pod in load.pods:
        if pod.stays or (pod.ending and not answers):
            continue
        if pod.ending or await context.ports.kube.evict(via, pod):
            left.append(f"{_name(pod)} (ends)")
        else:
            left.append(f"{_name(pod)} (its disruption budget does not let it go)")
    return left


def _name(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.name}"
