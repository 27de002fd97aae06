"""The load balancer of the Kubernetes API: what it is asked for with, and how an existing one gets what it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hetzner_k3s.adapters.hetzner import translate
from hetzner_k3s.adapters.hetzner.actions import ACTION_WITHIN, Actions
from hetzner_k3s.adapters.hetzner.api import Api, Json
from hetzner_k3s.adapters.hetzner.failures import understood
from hetzner_k3s.model.cloud import LoadBalancer
from hetzner_k3s.model.errors import CloudError
from hetzner_k3s.model.hetzner.load_balancing import API_CHECK, API_SERVICE, Correction, corrections

_HTTPS: Final[Json] = {
    "domain": "",
    "path": API_CHECK.path,
    "response": API_CHECK.response,
    "status_codes": list(API_CHECK.statuses),
    "tls": API_CHECK.tls,
}
"""Empty texts end what somebody set there before."""

_SERVICE: Final[Json] = {
    "protocol": API_SERVICE.protocol,
    "listen_port": API_SERVICE.listen_port,
    "destination_port": API_SERVICE.destination_port,
    "proxyprotocol": API_SERVICE.proxy_protocol,
    "health_check": {
        "protocol": API_CHECK.protocol,
        "port": API_CHECK.port,
        "interval": 3,
        "timeout": 3,
        "retries": 3,
        "http": _HTTPS,
    },
}
"""Its health check is as quick as Hetzner allows: what serves no more is left after 9 s; 45 s are Hetzner's default."""

_THERE_ALREADY: Final = frozenset(
    {"load_balancer_already_attached", "target_already_defined", "source_port_already_used"}
)
"""What a repeated action is answered with (docs/facts/hetzner-api.md#errors-by-operation)."""


def order(
    name: str, location: str, network_id: int | None, selector: str, labels: Mapping[str, str]
) -> dict[str, object]:
    """Return what a load balancer is asked for with."""
    network = {} if network_id is None else {"network": network_id}
    return {
        **network,
        "name": name,
        "load_balancer_type": "lb11",
        "location": location,
        "algorithm": {"type": "round_robin"},
        "services": [_SERVICE],
        "targets": [_target(selector, network_id)],
        "labels": dict(labels),
    }


async def correct(api: Api, actions: Actions, balancer_id: int, network_id: int | None, selector: str) -> LoadBalancer:
    """Look at a load balancer, add what it lacks one action after the other, and return it as it is then.

    Raises:
        CloudError: it is gone, or an action was refused for another reason than that its effect is there already.
    """
    for correction in corrections(await _read(api, balancer_id), network_id, selector):
        for command, body in _commands(correction, network_id, selector):
            await _begin(api, actions, f"/load_balancers/{balancer_id}/actions/{command}", body)
    return await _read(api, balancer_id)


def _commands(correction: Correction, network_id: int | None, selector: str) -> tuple[tuple[str, Json], ...]:
    add, named = ("add_target", _target(selector, network_id)), _selected(selector)
    return {
        Correction.ATTACH: (("attach_to_network", {"network": network_id}),),
        Correction.ADD_TARGET: (add,),
        Correction.REPLACE_TARGET: (("remove_target", named), add),
        Correction.ADD_SERVICE: (("add_service", _SERVICE),),
        Correction.CHANGE_SERVICE: (("update_service", _SERVICE),),
    }[correction]


async def _begin(api: Api, actions: Actions, path: str, body: Json) -> None:
    ask = api.post if path.endswith("/remove_target") else api.repeatable_post  # which has no answer for "gone already"
    try:
        answer = await ask(path, body)
    except CloudError as failure:
        if failure.code not in _THERE_ALREADY:
            raise
        return
    await actions.finish(answer.child("action"), within=ACTION_WITHIN)


async def _read(api: Api, balancer_id: int) -> LoadBalancer:
    answer = await api.get(f"/load_balancers/{balancer_id}")
    with understood("GET /load_balancers"):
        return translate.load_balancer(answer.child("load_balancer"))


def _selected(selector: str) -> Json:
    return {"type": "label_selector", "label_selector": {"selector": selector}}


def _target(selector: str, network_id: int | None) -> Json:
    return {**_selected(selector), "use_private_ip": network_id is not None}
