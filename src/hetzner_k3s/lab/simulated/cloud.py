"""`ports.Cloud` on the emulated cloud, without a wire: create or adopt, complete listings, actions waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from hetzner_k3s.lab.simulated import balancers, translate
from hetzner_k3s.lab.simulated.api import Api
from hetzner_k3s.lab.simulated.arrivals import Actions, Arrivals
from hetzner_k3s.lab.simulated.translate import Json
from hetzner_k3s.model.cloud import (
    CloudView,
    Firewall,
    FirewallRule,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    ServerOrder,
    SshKey,
)
from hetzner_k3s.model.errors import CloudConflict, CloudError, CloudRefused, CloudUnavailable, Fate
from hetzner_k3s.model.hetzner.assortment import Assortment
from hetzner_k3s.model.kube import TokenGrant
from hetzner_k3s.model.lookup import fingerprint
from hetzner_k3s.model.secrets import Secret

_PAGE: Final = 50
_LISTINGS: Final = 4
_ASKED_AT_MOST: Final = 3
_LOOKS: Final = 4
_IN_USE: Final = 8
_POLL: Final = 0.5
_ACTION_WITHIN: Final = 300.0
_SERVER_WITHIN: Final = 900.0
_PLURALS: Final = {kind: f"{kind}s" for kind in translate.READERS}


class SimulatedCloud:
    """One operator's view of the emulated cloud; see `ports.Cloud` for what each method does.

    Args:
        api: how it is asked.
        skew: seconds by which the operator's clock is ahead of Hetzner's.
    """

    def __init__(self, api: Api, skew: float = 0.0) -> None:
        self._api, self._skew = api, skew
        self._actions = Actions(api)
        self._arrivals = Arrivals(api, self._actions)
        self._label_writers: dict[str, asyncio.Lock] = {}

    async def survey(self) -> CloudView:
        """List the project."""
        found = [await self._listing(kind) for kind in _PLURALS]
        listed = {f"{kind}s": rows for kind, rows in zip(_PLURALS, found, strict=True)}
        return CloudView(**listed, ahead=-self._skew)

    async def servers(self) -> tuple[Server, ...]:
        """List the servers alone."""
        return await self._listing("server")

    async def _listing(self, kind: str) -> tuple[Any, ...]:
        for attempt in range(_LISTINGS):
            rows, totals = await self._pages(kind)
            if totals == {len(rows)}:
                return tuple(translate.read(kind, rows[number]) for number in sorted(rows))
            await self._api.pause(attempt)
        raise CloudUnavailable(
            f"Hetzner's listing of {kind}s is incomplete", code="incomplete_listing", fate=Fate.DID_NOT_HAPPEN
        )

    async def _pages(self, kind: str) -> tuple[dict[int, Json], set[int]]:
        rows: dict[int, Json] = {}
        totals, page, last = set(), 1, 1
        while page <= last:
            query = {"page": str(page), "per_page": str(_PAGE), "sort": "id"}
            answer = await self._api.get(f"/{_PLURALS[kind]}", query)
            pagination = answer["meta"]["pagination"]
            rows |= {row["id"]: row for row in answer[_PLURALS[kind]]}
            totals.add(pagination["total_entries"])
            page, last = page + 1, pagination["last_page"] or 1
        return rows, totals

    async def assortment(self, images: frozenset[str]) -> Assortment:
        """Read server types, locations and these images."""
        page = {"per_page": str(_PAGE)}
        types = (await self._api.get("/server_types", page))["server_types"]
        locations = (await self._api.get("/locations", page))["locations"]
        return translate.assortment(types, locations, {image: await self._images(image) for image in images})

    async def _images(self, image: str) -> list[Json]:
        if not image.isdecimal():
            return cast(list[Json], (await self._api.get("/images", {"name": image}))["images"])
        try:
            return [(await self._api.get(f"/images/{image}"))["image"]]
        except CloudError as failure:
            if failure.code == "not_found":
                return []
            raise

    async def server_exists(self, server_id: int) -> bool:
        """Ask for one server by id."""
        return await self._read("server", server_id) is not None

    async def create_ssh_key(self, name: str, public_key: str) -> SshKey:
        """Register a key; the same key under another name is as good."""
        wanted = fingerprint(public_key)
        body = {"name": name, "public_key": public_key}
        try:
            key, _ = await self._create_or_adopt("ssh_key", body, lambda found: found["fingerprint"] == wanted)
        except CloudConflict:
            same = (await self._api.get("/ssh_keys", {"fingerprint": wanted or ""}))["ssh_keys"]
            if not same:
                raise
            key = same[0]
        return translate.ssh_key(key)

    async def create_network(self, name: str, ip_range: str, zone: str, labels: Mapping[str, str]) -> Network:
        """Make a network with one cloud subnet of the same range."""
        subnet = {"type": "cloud", "ip_range": ip_range, "network_zone": zone}
        body = {"name": name, "ip_range": ip_range, "subnets": [subnet], "labels": dict(labels)}
        network, _ = await self._create_or_adopt("network", body, _carries(labels))
        return translate.network(network)

    async def create_placement_group(self, name: str, labels: Mapping[str, str]) -> PlacementGroup:
        """Make a spread group."""
        body = {"name": name, "type": "spread", "labels": dict(labels)}
        group, _ = await self._create_or_adopt("placement_group", body, _carries(labels))
        return translate.placement_group(group)

    async def create_firewall(
        self, name: str, rules: Sequence[FirewallRule], selector: str, labels: Mapping[str, str]
    ) -> Firewall:
        """Make a firewall that is applied to a label selector."""
        body = {
            "name": name,
            "rules": [translate.firewall_rule(rule) for rule in rules],
            "apply_to": [{"type": "label_selector", "label_selector": {"selector": selector}}],
            "labels": dict(labels),
        }
        firewall, answer = await self._create_or_adopt("firewall", body, _carries(labels))
        await self._actions.finish((answer or {}).get("actions", ()), within=_ACTION_WITHIN)
        return translate.firewall(firewall)

    async def set_firewall_rules(self, firewall_id: int, rules: Sequence[FirewallRule]) -> None:
        """Replace all rules of a firewall."""
        body = {"rules": [translate.firewall_rule(rule) for rule in rules]}
        answer = await self._api.repeatable_post(f"/firewalls/{firewall_id}/actions/set_rules", body)
        await self._actions.finish(answer["actions"], within=_ACTION_WITHIN)

    async def apply_firewall(self, firewall_id: int, selector: str) -> None:
        """Apply a firewall to a label selector."""
        body = {"apply_to": [{"type": "label_selector", "label_selector": {"selector": selector}}]}
        try:
            answer = await self._api.repeatable_post(f"/firewalls/{firewall_id}/actions/apply_to_resources", body)
        except CloudError as failure:
            if failure.code != "firewall_already_applied":
                raise
            return
        await self._actions.finish(answer["actions"], within=_ACTION_WITHIN)

    async def create_load_balancer(
        self, name: str, location: str, network_id: int, selector: str, labels: Mapping[str, str]
    ) -> LoadBalancer:
        """Make the API load balancer."""
        body = balancers.order(name, location, network_id, selector, labels)
        balancer, answer = await self._create_or_adopt("load_balancer", body, _carries(labels))
        await self._actions.finish([answer["action"]] if answer else (), within=_ACTION_WITHIN)
        return translate.load_balancer(await self._until("load_balancer", balancer["id"], _addressed))

    async def correct_load_balancer(self, balancer_id: int, network_id: int, selector: str) -> LoadBalancer:
        """Give an existing one what it lacks."""
        path = f"/load_balancers/{balancer_id}"
        return await balancers.correct(self._api, self._actions, path, network_id, selector)

    async def create_server(self, order: ServerOrder) -> Server:
        """Ask for a server, and return it once it runs and has its private address."""
        raw, answer = await self._create_or_adopt("server", translate.order(order), _carries(order.labels))
        begun = [answer["action"], *answer["next_actions"]] if answer else []
        return translate.server(await self._arrivals.of(raw["id"], order, begun, within=_SERVER_WITHIN))

    async def last_rebuild(self, server_id: int) -> float | None:
        """Say when the newest rebuild ended."""
        query = {"sort": "id:desc", "status": "success", "per_page": str(_PAGE)}
        actions = (await self._api.get(f"/servers/{server_id}/actions", query))["actions"]
        ended = (a["finished"] for a in actions if a["command"] == "rebuild_server")
        return next((datetime.fromisoformat(text).timestamp() for text in ended), None)

    async def power_on(self, server_id: int) -> None:
        """Power a server on."""
        answer = await self._api.repeatable_post(f"/servers/{server_id}/actions/poweron", {})
        await self._actions.finish([answer["action"]], within=_ACTION_WITHIN)

    async def find_server(self, name: str) -> Server | None:
        """Look a server up by its exact name."""
        found = await self._find("server", name)
        return None if found is None else translate.server(found)

    async def merge_labels(self, kind: str, resource_id: int, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Change labels on a fresh GET, one writer a resource; nothing is written where they are right already."""
        path = f"/{_PLURALS[kind]}/{resource_id}"
        async with self._label_writers.setdefault(path, asyncio.Lock()):
            present: dict[str, str] = (await self._api.get(path))[kind]["labels"]
            merged = {key: value for key, value in {**present, **changes}.items() if value is not None}
            if merged != present:
                await self._api.put(path, {"labels": merged})
        return merged

    async def placement_group(self, group_id: int) -> PlacementGroup | None:
        """Read one placement group by id."""
        group = await self._read("placement_group", group_id)
        return None if group is None else translate.placement_group(group)

    async def balanced(self, balancer_id: int) -> frozenset[int]:
        """Give the ids of the servers that a load balancer sends to now; one that is gone sends to nobody."""
        balancer = await self._read("load_balancer", balancer_id)
        return frozenset() if balancer is None else translate.balanced(balancer)

    async def grant_of(self, token: Secret, network_id: int) -> TokenGrant:
        """Ask for the cluster's network with another token."""
        try:
            await self._api.with_token(token.reveal()).get(f"/networks/{network_id}")
        except CloudRefused as refused:
            if refused.code == "unauthorized":
                return TokenGrant.NOTHING
            if refused.code == "not_found":
                return TokenGrant.OTHER_PROJECT
            raise
        return TokenGrant.CLUSTERS_PROJECT

    async def delete(self, kind: str, resource_id: int) -> None:
        """Delete by kind and id, and wait until it is done."""
        path = f"/{_PLURALS[kind]}/{resource_id}"
        if kind == "firewall":
            await self._unapply(path)
        for attempt in range(_IN_USE):
            try:
                answer = await self._api.delete(path)
            except CloudConflict:
                if attempt == _IN_USE - 1:
                    raise
            except CloudError as failure:
                if failure.code != "not_found":
                    raise
                return
            else:
                await self._actions.finish([answer["action"]] if answer.get("action") else (), within=_ACTION_WITHIN)
                return
            await self._api.pause(attempt)

    async def _unapply(self, path: str) -> None:
        """Take a firewall off its selectors, which the API demands before it can be deleted."""
        try:
            applied = (await self._api.get(path))["firewall"]["applied_to"]
            targets = [{"type": a["type"], a["type"]: a[a["type"]]} for a in applied if a["type"] == "label_selector"]
            if targets:
                answer = await self._api.repeatable_post(
                    f"{path}/actions/remove_from_resources", {"remove_from": targets}
                )
                await self._actions.finish(answer["actions"], within=_ACTION_WITHIN)
        except CloudError as failure:
            if failure.code not in {"not_found", "firewall_already_removed"}:
                raise

    async def _read(self, kind: str, resource_id: int) -> Json | None:
        try:
            return cast(Json, (await self._api.get(f"/{_PLURALS[kind]}/{resource_id}"))[kind])
        except CloudError as failure:
            if failure.code == "not_found":
                return None
            raise

    async def _find(self, kind: str, name: str) -> Json | None:
        found: list[Json] = (await self._api.get(f"/{_PLURALS[kind]}", {"name": name}))[_PLURALS[kind]]
        return found[0] if found else None

    async def _until(self, kind: str, number: int, ready: Callable[[Json], bool]) -> Json:
        """Read a resource until it is as it should be: the first look suffices unless it was adopted."""
        ends = asyncio.get_running_loop().time() + _ACTION_WITHIN
        while (raw := await self._read(kind, number)) is not None:
            if ready(raw):
                return raw
            if asyncio.get_running_loop().time() >= ends:
                break
            await asyncio.sleep(_POLL)
        raise CloudUnavailable(f"{kind} {number} did not become ready", code="not_ready", fate=Fate.MAY_HAVE_HAPPENED)

    async def _create_or_adopt(
        self, kind: str, body: Json, is_ours: Callable[[Json], bool]
    ) -> tuple[Json, Json | None]:
        """Ask for a resource, or take the one of that name if it is ours; a lost answer is settled by the name."""
        lost: CloudError | None = None
        for _ in range(_ASKED_AT_MOST):
            try:
                answer = await self._api.post(f"/{_PLURALS[kind]}", body)
                return answer[kind], answer
            except CloudConflict as taken:
                found = await self._find(kind, body["name"]) if taken.code == "uniqueness_error" else None
                if found is None or not is_ours(found):
                    raise
                return found, None
            except CloudUnavailable as failure:
                if failure.fate is Fate.DID_NOT_HAPPEN:
                    raise
                found, lost = await self._look_up(kind, body["name"]), failure
                if found is not None and is_ours(found):
                    return found, None
        assert lost is not None
        raise lost

    async def _look_up(self, kind: str, name: str) -> Json | None:
        for attempt in range(_LOOKS):
            found = await self._find(kind, name)
            if found is not None:
                return found
            await self._api.pause(attempt)
        return None


def _carries(labels: Mapping[str, str]) -> Callable[[Json], bool]:
    return lambda found: labels.items() <= found["labels"].items()


def _addressed(balancer: Json) -> bool:
    return balancer["public_net"]["ipv4"]["ip"] is not None
