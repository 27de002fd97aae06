"""The API's load balancer at the emulated cloud: what it is asked for with, and what it is given when it lacks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hetzner_k3s.lab.simulated import translate
from hetzner_k3s.lab.simulated.api import Api
from hetzner_k3s.lab.simulated.arrivals import Actions
from hetzner_k3s.lab.simulated.translate import Json
from hetzner_k3s.model.cloud import LoadBalancer
from hetzner_k3s.model.errors import CloudError
from hetzner_k3s.model.hetzner.load_balancing import Correction, corrections

_WITHIN: Final = 300.0
_CHECK: Final = {"protocol": "tcp", "port": 6443, "interval": 5, "timeout": 3, "retries": 3}
_SERVICE: Final = {
    "protocol": "tcp",
    "listen_port": 6443,
    "destination_port": 6443,
    "proxyprotocol": False,
    "health_check": _CHECK,
}
_THERE: Final = ("load_balancer_already_attached", "target_already_defined", "source_port_already_used")


def order(name: str, location: str, network_id: int, selector: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of the call that makes it."""
    return {
        "name": name,
        "load_balancer_type": "lb11",
        "location": location,
        "network": network_id,
        "algorithm": {"type": "round_robin"},
        "services": [_SERVICE],
        "targets": [{**_selected(selector), "use_private_ip": True}],
        "labels": dict(labels),
    }


async def correct(api: Api, actions: Actions, path: str, network_id: int, selector: str) -> LoadBalancer:
    """Add what the load balancer at a path lacks."""
    before = translate.load_balancer((await api.get(path))["load_balancer"])
    for correction in corrections(before, network_id, selector):
        for command, body in _commands(correction, network_id, selector):
            ask = api.post if command == "remove_target" else api.repeatable_post
            try:
                answer = await ask(f"{path}/actions/{command}", body)
            except CloudError as failure:
                if failure.code not in _THERE:
                    raise
                continue
            await actions.finish([answer["action"]], within=_WITHIN)
    return translate.load_balancer((await api.get(path))["load_balancer"])


def _commands(correction: Correction, network_id: int, selector: str) -> Iterator[tuple[str, Json]]:
    match correction:
        case Correction.ATTACH:
            yield "attach_to_network", {"network": network_id}
        case Correction.ADD_TARGET | Correction.REPLACE_TARGET:
            if correction is Correction.REPLACE_TARGET:
                yield "remove_target", _selected(selector)
            yield "add_target", {**_selected(selector), "use_private_ip": True}
        case Correction.ADD_SERVICE:
            yield "add_service", _SERVICE
        case Correction.CHANGE_SERVICE:
            yield "update_service", _SERVICE


def _selected(selector: str) -> dict[str, Any]:
    return {"type": "label_selector", "label_selector": {"selector": selector}}
