"""`ports.Cloud` at Hetzner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httpx2

from hetzner_k3s.adapters.hetzner import balancers, belongings, pacing, power, translate
from hetzner_k3s.adapters.hetzner.actions import ACTION_WITHIN, Actions, unfinished
from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.arrivals import Arrivals
from hetzner_k3s.adapters.hetzner.connection import Connection, Heard
from hetzner_k3s.adapters.hetzner.creation import carries, create_or_adopt, find
from hetzner_k3s.adapters.hetzner.deletion import begin_deletion, delete, delete_firewall, delete_unused_firewall
from hetzner_k3s.adapters.hetzner.departures import Departures
from hetzner_k3s.adapters.hetzner.failures import answering, understood
from hetzner_k3s.adapters.hetzner.labels import Labels
from hetzner_k3s.adapters.hetzner.listing import PAGES_MOST, list_all, pagination
from hetzner_k3s.model import lookup, naming
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
from hetzner_k3s.model.errors import CloudConflict, CloudError
from hetzner_k3s.model.hetzner.assortment import Assortment
from hetzner_k3s.model.hetzner.belongings import Belongings
from hetzner_k3s.model.kube import TokenGrant
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.ports import Clock, Rng

DEFAULT_ENDPOINT: Final = "https://api.hetzner.cloud/v1"

_SERVER_WITHIN: Final = 900.0
"""Seconds: ten minutes were seen for a custom image (docs/facts/hetzner-api.md#latencies)."""
_ADOPTED_POLL: Final = 1.0

CATALOGUE_PAGE: Final = 50
_SURVEYED: Final = {
    "server": "servers",
    "network": "networks",
    "placement_group": "placement_groups",
    "firewall": "firewalls",
    "load_balancer": "load_balancers",
    "ssh_key": "ssh_keys",
}
"""The kinds that a survey lists."""
_PATHS: Final = {**_SURVEYED, "volume": "volumes"}


class HetznerCloud:
    """`ports.Cloud` at an endpoint (URL with `/v1`); see the port for what each method does.

    Args:
        token: whose project.
        clock, rng: time and jitter.
        endpoint: whom to ask.
        transport: what carries requests; None for the network.
        heard: is told of every exchange.
    """

    def __init__(
        self,
        token: Secret,
        *,
        clock: Clock,
        rng: Rng,
        endpoint: str = DEFAULT_ENDPOINT,
        transport: httpx2.AsyncBaseTransport | None = None,
        heard: Heard = lambda _exchange: None,
    ) -> None:
        self._connection = Connection(endpoint, clock, transport, heard)
        self._api = Api(token, self._connection, clock, rng)
        self._actions = Actions(self._api, clock)
        self._arrivals = Arrivals(self._api, self._actions, clock)
        self._departures = Departures(self._api, clock)
        self._clock = clock
        self._labels = Labels(self._api, clock)

    async def close(self) -> None:
        """Drop the connections."""
        await self._connection.close()

    @answering(effect=False)
    async def survey(self) -> CloudView:
        """List the project, each listing proven complete: placement groups first, then the others at once.

        So who finds no operator lock among these groups finds in all else what its last holder has done.
        """
        groups = await list_all(self._api, "placement_groups")
        servers, networks, firewalls, balancers, keys = await asyncio.gather(
            *(list_all(self._api, kind) for kind in _SURVEYED.values() if kind != "placement_groups")
        )
        return CloudView(
            servers=tuple(map(translate.server, servers)),
            networks=tuple(map(translate.network, networks)),
            placement_groups=tuple(map(translate.placement_group, groups)),
            firewalls=tuple(map(translate.firewall, firewalls)),
            load_balancers=tuple(map(translate.load_balancer, balancers)),
            ssh_keys=tuple(map(translate.ssh_key, keys)),
            ahead=self._connection.ahead,
        )

    @answering(effect=False)
    async def belongings(self) -> Belongings:
        """List what servers use: three listings at once."""
        return await belongings.read(self._api)

    @answering(effect=False)
    async def servers(self) -> tuple[Server, ...]:
        """List the servers alone: one request for fifty."""
        return tuple(map(translate.server, await list_all(self._api, "servers")))

    @answering(effect=False)
    async def servers_and_groups(self) -> tuple[tuple[Server, ...], tuple[PlacementGroup, ...]]:
        """List these two at once, each proven complete."""
        servers, groups = await asyncio.gather(*(list_all(self._api, kind) for kind in ("servers", "placement_groups")))
        return tuple(map(translate.server, servers)), tuple(map(translate.placement_group, groups))

    @answering(effect=False)
    async def assortment(self, images: frozenset[str]) -> Assortment:
        """Read the catalogue at once: two listings, and one request an image, which also finds deprecated ones."""
        wanted = sorted(images)
        types, locations, *found = await asyncio.gather(
            self._small("server_types"),
            self._small("locations"),
            *(self._images(image) for image in wanted),
        )
        return translate.assortment(types, locations, dict(zip(wanted, found, strict=True)))

    async def _images(self, image: str) -> list[Document]:
        if image.isdecimal():
            one = await self._read("image", int(image))
            return [] if one is None else [one]
        return await self._small("images", name=image, include_deprecated=True)

    async def _small(self, kind: str, **narrowed: Any) -> list[Document]:
        """List a part of the catalogue, page by page: of server types Hetzner documents no order to ask for."""
        found: list[Document] = []
        with understood(f"GET /{kind}"):
            for page in range(1, PAGES_MOST + 1):
                answer = await self._api.get(f"/{kind}", {**narrowed, "per_page": CATALOGUE_PAGE, "page": page})
                found += answer.children(kind)
                if "next_page" not in pagination(answer):
                    return found
            raise Malformed(f"it has more than {PAGES_MOST} pages")

    @answering(effect=False)
    async def server_exists(self, server_id: int) -> bool:
        """Ask for one server by id."""
        return await self._read("server", server_id) is not None

    @answering(effect=True)
    async def create_ssh_key(self, name: str, public_key: str) -> SshKey:
        """Register a key; the same key under another name is as good, since a fingerprint is unique in a project."""
        fingerprint = lookup.fingerprint(public_key) or ""
        body = {"name": name, "public_key": public_key}
        try:
            key, _ = await create_or_adopt(
                self._api, "ssh_keys", body, lambda found: found.text("fingerprint") == fingerprint
            )
        except CloudConflict:
            same = await find(self._api, "ssh_keys", fingerprint=fingerprint)
            if same is None:
                raise
            key = same
        return translate.ssh_key(key)

    @answering(effect=True)
    async def create_network(self, name: str, ip_range: str, zone: str, labels: Mapping[str, str]) -> Network:
        """Make a network with one cloud subnet of the same range."""
        subnet = {"type": "cloud", "ip_range": ip_range, "network_zone": zone}
        body = {"name": name, "ip_range": ip_range, "subnets": [subnet], "labels": dict(labels)}
        network, answer = await create_or_adopt(self._api, "networks", body, carries(labels))
        self._remember("network", network, answer)
        return translate.network(network)

    @answering(effect=True)
    async def create_placement_group(self, name: str, labels: Mapping[str, str]) -> PlacementGroup:
        """Make a spread group."""
        body = {"name": name, "type": "spread", "labels": dict(labels)}
        group, answer = await create_or_adopt(self._api, "placement_groups", body, carries(labels))
        self._remember("placement_group", group, answer)
        return translate.placement_group(group)

    @answering(effect=True)
    async def create_firewall(
        self,
        name: str,
        rules: Sequence[FirewallRule],
        selector: str,
        labels: Mapping[str, str],
        made: Callable[[Firewall], None] | None = None,
    ) -> Firewall:
        """Make a firewall that is applied to a label selector."""
        body = {
            "name": name,
            "rules": [translate.firewall_rule(rule) for rule in rules],
            "apply_to": [{"type": "label_selector", "label_selector": {"selector": selector}}],
            "labels": dict(labels),
        }
        document, answer = await create_or_adopt(self._api, "firewalls", body, carries(labels))
        self._remember("firewall", document, answer)
        firewall = translate.firewall(document)
        if answer is not None:
            if made is not None:
                made(firewall)
            begun = answer.children("actions")
            await self._actions.finish(*begun, within=ACTION_WITHIN, expected=pacing.SELECTED_AFTER)
        return firewall

    @answering(effect=True)
    async def set_firewall_rules(self, firewall_id: int, rules: Sequence[FirewallRule]) -> None:
        """Replace all rules of a firewall."""
        body = {"rules": [translate.firewall_rule(rule) for rule in rules]}
        answer = await self._api.repeatable_post(f"/firewalls/{firewall_id}/actions/set_rules", body)
        begun = answer.children("actions")
        await self._actions.finish(*begun, within=ACTION_WITHIN, expected=pacing.in_force_after(len(begun)))

    @answering(effect=True)
    async def apply_firewall(self, firewall_id: int, selector: str) -> None:
        """Apply a firewall to a label selector."""
        body = {"apply_to": [{"type": "label_selector", "label_selector": {"selector": selector}}]}
        try:
            answer = await self._api.repeatable_post(f"/firewalls/{firewall_id}/actions/apply_to_resources", body)
        except CloudError as failure:
            if failure.code != "firewall_already_applied":
                raise
            return
        await self._actions.finish(*answer.children("actions"), within=ACTION_WITHIN)

    @answering(effect=True)
    async def create_load_balancer(
        self, name: str, location: str, network_id: int | None, selector: str, labels: Mapping[str, str]
    ) -> LoadBalancer:
        """Make the API load balancer."""
        body = balancers.order(name, location, network_id, selector, labels)
        balancer, answer = await create_or_adopt(self._api, "load_balancers", body, carries(labels))
        if answer is not None:
            await self._actions.finish(answer.child("action"), within=ACTION_WITHIN)
        return translate.load_balancer(await self._addressed(balancer.whole("id")))

    @answering(effect=True)
    async def correct_load_balancer(self, balancer_id: int, network_id: int | None, selector: str) -> LoadBalancer:
        """Add what an existing one lacks: two requests where that is nothing."""
        return await balancers.correct(self._api, self._actions, balancer_id, network_id, selector)

    @answering(effect=True)
    async def create_server(self, order: ServerOrder, made: Callable[[Server], None] | None = None) -> Server:
        """Ask for a server, and return it as it runs: as it was spoken to, or as a listing shows it."""
        ours, patient = carries(order.labels), order.labels.get(naming.LABEL_ROLE) != naming.ROLE_MASTER
        server, answer = await create_or_adopt(
            self._api, "servers", translate.server_order(order), ours, patient=patient
        )
        self._remember("server", server, answer)
        begun = () if answer is None else (answer.child("action"), *answer.children("next_actions"))
        if answer is not None and made is not None:
            made(translate.server(server))
        return await self._arrivals.of(server, order, begun, within=_SERVER_WITHIN)

    def arrived(self, server_id: int, private_ip: str | None) -> None:
        """End the wait for a server: it was spoken to, which tells more than a listing."""
        self._arrivals.arrived(server_id, private_ip)

    @answering(effect=False)
    async def last_rebuild(self, server_id: int) -> float | None:
        """Return when the newest rebuild ended: among the fifty newest actions, since a server is seldom touched."""
        newest = {"sort": "id:desc", "status": "success", "per_page": 50}
        actions = (await self._api.get(f"/servers/{server_id}/actions", newest)).children("actions")
        return next((a.moment("finished") for a in actions if a.text("command") == "rebuild_server"), None)

    @answering(effect=True)
    async def power_on(self, server_id: int) -> None:
        """Power a server on; Hetzner answers the same for one that runs."""
        await power.act(self._api, self._actions, server_id, "poweron")

    @answering(effect=True)
    async def shut_down(self, server_id: int) -> None:
        """Send the ACPI signal; what the guest makes of it, the listing tells."""
        await power.act(self._api, self._actions, server_id, "shutdown")

    @answering(effect=True)
    async def power_off(self, server_id: int) -> None:
        """Cut the power; Hetzner answers the same for one that is off."""
        await power.act(self._api, self._actions, server_id, "poweroff")

    @answering(effect=True)
    async def change_type(self, server_id: int, server_type: str) -> None:
        """Rescale a server without its disk, which could never be made smaller again."""
        await power.change_type(self._api, self._actions, server_id, server_type)

    @answering(effect=False)
    async def find_server(self, name: str) -> Server | None:
        """Look a server up by its exact name."""
        found = await find(self._api, "servers", name=name)
        return None if found is None else translate.server(found)

    @answering(effect=True)
    async def merge_labels(self, kind: str, resource_id: int, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Change labels on a fresh GET; what this run has just made itself is not read."""
        return await self._labels.merge(kind, f"/{_PATHS[kind]}/{resource_id}", changes)

    def _remember(self, kind: str, document: Document, answer: Document | None) -> None:
        if answer is not None:
            self._labels.remember(f"/{_PATHS[kind]}/{document.whole('id')}", document)

    @answering(effect=True)
    async def replace_labels(self, kind: str, resource_id: int, labels: Mapping[str, str]) -> bool:
        """Replace all labels unread: only for what nobody else writes to."""
        try:
            answer = await self._labels.replace(f"/{_PATHS[kind]}/{resource_id}", labels)
        except CloudError as failure:
            if failure.code != "not_found":
                raise
            return False
        return answer.child(kind).whole("id") == resource_id

    @answering(effect=False)
    async def placement_group(self, group_id: int) -> PlacementGroup | None:
        """Read one placement group by id."""
        group = await self._read("placement_group", group_id)
        return None if group is None else translate.placement_group(group)

    @answering(effect=False)
    async def balanced(self, balancer_id: int) -> frozenset[int]:
        """Return the ids of the servers that a load balancer sends to now; one that is gone sends to nobody."""
        balancer = await self._read("load_balancer", balancer_id)
        return frozenset() if balancer is None else translate.balanced(balancer)

    @answering(effect=False)
    async def grant_of(self, token: Secret, firewall_id: int) -> TokenGrant:
        """Ask for the cluster's firewall with another token: ids are Hetzner's own, so no other project has it."""
        try:
            await self._api.with_token(token).get(f"/firewalls/{firewall_id}")
        except CloudError as failure:
            grant = {"not_found": TokenGrant.OTHER_PROJECT, "unauthorized": TokenGrant.NOTHING}.get(failure.code)
            if grant is None:
                raise
            return grant
        return TokenGrant.CLUSTERS_PROJECT

    @answering(effect=True)
    async def delete(self, kind: str, resource_id: int) -> None:
        """Delete by kind and id, and wait until it is done."""
        if kind == "server":
            await self.delete_server(resource_id)
        elif kind == "firewall":
            await delete_firewall(self._api, self._actions, resource_id)
        else:
            await delete(self._api, self._actions, f"/{_PATHS[kind]}/{resource_id}")

    @answering(effect=True)
    async def delete_server(self, server_id: int) -> tuple[Server, ...]:
        """Delete a server, and return a complete listing without it."""
        begun = await begin_deletion(self._api, f"/servers/{server_id}")
        return () if begun is None else await self._departures.of(server_id, within=ACTION_WITHIN)

    @answering(effect=True)
    async def delete_unused_firewall(self, firewall_id: int, selectors: Sequence[str]) -> None:
        """Delete a firewall of which is known that it is on no server, without asking for that."""
        await delete_unused_firewall(self._api, self._actions, firewall_id, selectors)

    async def _read(self, kind: str, resource_id: int) -> Document | None:
        try:
            return (await self._api.get(f"/{_PATHS.get(kind, f'{kind}s')}/{resource_id}")).child(kind)
        except CloudError as failure:
            if failure.code == "not_found":
                return None
            raise

    async def _addressed(self, balancer_id: int) -> Document:
        """Read a load balancer until it has its public address."""
        ends = self._clock.monotonic() + ACTION_WITHIN
        while (raw := await self._read("load_balancer", balancer_id)) is not None:
            if translate.load_balancer(raw).public_ipv4 is not None:
                return raw
            if self._clock.monotonic() >= ends:
                break
            await self._clock.sleep(_ADOPTED_POLL)
        raise unfinished(f"load balancer {balancer_id} got no public address in {ACTION_WITHIN:.0f} s", "not_ready")
