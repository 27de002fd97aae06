"""What settings ask of one another: the general ones and those of pools.

See docs/facts/compatibility.md#root-keys.

Rules of settings that are refused anyway (`support`) come with their support. What needs Hetzner's API (does the
server type exist, the network, the key) is no matter of the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from hetzner_k3s.config.checks import cron
from hetzner_k3s.config.checks.arguments import ARGUMENT_RULES
from hetzner_k3s.config.checks.findings import Check, Finding
from hetzner_k3s.config.checks.networking import NETWORKING_RULES
from hetzner_k3s.config.checks.nodes import NODE_RULES
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.model import naming
from hetzner_k3s.model.text.settings import KeyPath

MAX_MASTERS: Final = 99
MAX_WORKERS_A_POOL: Final = 5_000
"""Far above what Hetzner and etcd bear; a slip of the finger must not fill the memory."""

_CLUSTER_NAME: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_POOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_HOST_PART: Final = re.compile(r"[a-z0-9-]+")
_ENDPOINT: Final = re.compile(r"(mysql|postgres|postgresql|nats|http|https)://\S+")
"""The databases that k3s takes for a datastore (kine's drivers, and an etcd of somebody's own)."""
_MASTERS: Final = "masters_pool"
_WORKERS: Final = "worker_node_pools"


def _format_version(configuration: Configuration) -> Iterator[Finding]:
    if configuration.config_format_version not in (None, "1"):
        yield Finding(("config_format_version",), 'must be "1"')


def _cluster_name(configuration: Configuration) -> Iterator[Finding]:
    if not _CLUSTER_NAME.fullmatch(configuration.cluster_name):
        yield Finding(
            ("cluster_name",),
            "takes lower-case letters, digits and dashes, starts with a letter and ends with a letter or digit",
        )


def _name_lengths(configuration: Configuration) -> Iterator[Finding]:
    """Kubernetes' node names end at 63 characters; k3s finds out only on the finished server."""
    masters = configuration.masters_pool
    with_type = configuration.include_instance_type_in_instance_name
    longest = naming.master_name(
        configuration.cluster_name, masters.instance_count, masters.instance_type if with_type else None
    )
    if len(longest) > naming.MAX_NAME_LENGTH:
        yield Finding(("cluster_name",), _too_long(longest), depends=((_MASTERS,),))
    for index, pool in enumerate(configuration.worker_node_pools):
        name = naming.worker_name(
            configuration.cluster_name,
            pool.name or "",
            max(pool.instance_count, 1),
            pool.instance_type if with_type else None,
        )
        if len(name) > naming.MAX_NAME_LENGTH:
            yield Finding((_WORKERS, index, "name"), _too_long(name), depends=(("cluster_name",), (_WORKERS, index)))


def _too_long(name: str) -> str:
    return f"makes names of more than {naming.MAX_NAME_LENGTH} characters ({len(name)}), such as {name[:80]}"


def _upgrade_concurrency(configuration: Configuration) -> Iterator[Finding]:
    if configuration.k3s_upgrade_concurrency < 1:
        yield Finding(("k3s_upgrade_concurrency",), "must be at least 1")


def _masters_count(configuration: Configuration) -> Iterator[Finding]:
    count = configuration.masters_pool.instance_count
    if count < 1 or (count % 2 == 0 and configuration.datastore.mode == "etcd"):
        yield Finding(
            (_MASTERS, "instance_count"),
            f"etcd needs an odd number of masters, 1 or better 3; got {count}",
            depends=(("datastore",),),
        )
    elif count > MAX_MASTERS:
        yield Finding((_MASTERS, "instance_count"), f"at most {MAX_MASTERS}; got {count}")


def _masters_locations(configuration: Configuration) -> Iterator[Finding]:
    masters = configuration.masters_pool
    key: KeyPath = (_MASTERS, "locations")
    # A list of one for several masters: 2.6 refuses it although its own documentation shows it. Only if written
    # down, though: with the default, masters would land in fsn1 unasked.
    one_for_all = len(masters.locations) == 1 and "locations" in masters.model_fields_set
    if len(masters.locations) != masters.instance_count and not one_for_all:
        given = (
            f", got {len(masters.locations)}" if "locations" in masters.model_fields_set else "; the file gives none"
        )
        yield Finding(
            key,
            f"expected {masters.instance_count} locations, one for each master (or one for all){given}",
            depends=((_MASTERS, "instance_count"),),
            of_key="locations" not in masters.model_fields_set,
        )
    zones = {network_zone(location) for location in masters.locations}
    if len(zones) > 1:
        yield Finding(key, f"masters must be in one network zone, got {', '.join(sorted(zones))}")


def network_zone(location: str) -> str:
    """Return the network zone of a Hetzner location; the mapping is 2.6's.

    See docs/facts/compatibility.md#pools.
    """
    return {"ash": "us-east", "hil": "us-west", "sin": "ap-southeast"}.get(location, "eu-central")


def _masters_are_servers(configuration: Configuration) -> Iterator[Finding]:
    if configuration.masters_pool.instance_type == "external":
        yield Finding((_MASTERS, "instance_type"), "masters cannot be external")
    if configuration.masters_pool.external is not None:
        yield Finding((_MASTERS, "external"), "masters cannot be external", of_key=True)


def _some_workers(configuration: Configuration) -> Iterator[Finding]:
    if not configuration.worker_node_pools and not configuration.schedule_workloads_on_masters:
        yield Finding(
            (_WORKERS,),
            "at least one pool is needed unless schedule_workloads_on_masters is true",
            depends=(("schedule_workloads_on_masters",),),
        )


def _pool_names(configuration: Configuration) -> Iterator[Finding]:
    times = Counter(pool.name for pool in configuration.worker_node_pools)
    for index, pool in enumerate(configuration.worker_node_pools):
        key: KeyPath = (_WORKERS, index, "name")
        if pool.name is None:
            yield Finding(key, "is required", of_key=True)
        elif not _POOL_NAME.fullmatch(pool.name):
            yield Finding(key, "takes letters, digits and dashes")
        elif not _HOST_PART.fullmatch(pool.name):
            # 2.6 lets them through; Hetzner then refuses underscores, and Kubernetes lower-cases the node's name.
            yield Finding(key, "is part of host names: lower-case letters, digits and dashes")
        elif times[pool.name] > 1:
            yield Finding(key, f'"{pool.name[:40]}" is the name of {times[pool.name]} pools')


def _workers_count(configuration: Configuration) -> Iterator[Finding]:
    for index, pool in enumerate(configuration.worker_node_pools):
        if pool.instance_count < 0:
            yield Finding((_WORKERS, index, "instance_count"), "cannot be negative")
        elif pool.instance_count > MAX_WORKERS_A_POOL:
            yield Finding(
                (_WORKERS, index, "instance_count"), f"at most {MAX_WORKERS_A_POOL}; got {pool.instance_count}"
            )


def _workers_location(configuration: Configuration) -> Iterator[Finding]:
    if not configuration.masters_pool.locations:
        return
    zone = network_zone(configuration.masters_pool.locations[0])
    given = "locations" in configuration.masters_pool.model_fields_set
    default = "" if given else ", the default of masters_pool.locations"
    for index, pool in enumerate(configuration.worker_node_pools):
        if network_zone(pool.location) != zone:
            yield Finding(
                (_WORKERS, index, "location"),
                f"is in network zone {network_zone(pool.location)}, the masters are in {zone} "
                f"({configuration.masters_pool.locations[0]}{default})",
                depends=((_MASTERS, "locations"),),
            )


def _autoscaling(configuration: Configuration) -> Iterator[Finding]:
    for index, pool in enumerate(configuration.worker_node_pools):
        scaling = pool.autoscaling
        if scaling and scaling.enabled and scaling.max_instances <= scaling.min_instances:
            yield Finding(
                (_WORKERS, index, "autoscaling"), "max_instances must be more than min_instances", of_key=True
            )


def _database(configuration: Configuration) -> Iterator[Finding]:
    datastore = configuration.datastore
    endpoint = datastore.external_datastore_endpoint
    given = endpoint.reveal().strip() if endpoint is not None else ""
    if datastore.mode == "external" and not given:
        yield Finding(("datastore", "mode"), "external needs datastore.external_datastore_endpoint")
    elif datastore.mode == "external" and not _ENDPOINT.fullmatch(given):
        yield Finding(
            ("datastore", "external_datastore_endpoint"),
            "expected a URL of a database: mysql://, postgres://, nats://, or http(s):// of an etcd",
        )


def _etcd(configuration: Configuration) -> Iterator[Finding]:
    etcd = configuration.datastore.etcd
    if etcd.snapshot_retention < 0:
        yield Finding(("datastore", "etcd", "snapshot_retention"), "cannot be negative")
    schedule = etcd.snapshot_schedule_cron
    # `0.hourly` is what 2.6 falls back to when the section lacks the key, and no cron line at all.
    if schedule and (why := cron.problem(schedule)):
        yield Finding(("datastore", "etcd", "snapshot_schedule_cron"), why)


RULES: Final[tuple[Check, ...]] = (
    _format_version,
    _cluster_name,
    _name_lengths,
    _upgrade_concurrency,
    _masters_count,
    _masters_locations,
    _masters_are_servers,
    _some_workers,
    _pool_names,
    _workers_count,
    _workers_location,
    _autoscaling,
    _database,
    _etcd,
    *NODE_RULES,
    *ARGUMENT_RULES,
    *NETWORKING_RULES,
)
