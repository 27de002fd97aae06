"""Pools of the configuration file.

See docs/facts/compatibility.md#pools, docs/facts/compatibility.md#external-pools.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from hetzner_k3s.config.schema.scalars import Command, Flag, SecretText, Text, WholeNumber, text_of
from hetzner_k3s.config.schema.section import Section, required, setting


class NodeLabel(Section):
    """An entry of a pool's `labels`."""

    key: Text = required("purpose", "Key of the label.")
    value: Text = required("builds", "Value of the label.")


class NodeTaint(Section):
    """An entry of a pool's `taints`."""

    key: Text = required("purpose", "Key of the taint.")
    value: Text = required("builds:NoSchedule", "`value:Effect`; without an effect it is `NoSchedule`.")


class Autoscaling(Section):
    """A pool's `autoscaling`."""

    enabled: Flag = setting(False, "Let the autoscaler size the pool.")
    min_instances: WholeNumber = setting(0, "Fewest nodes.")
    max_instances: WholeNumber = setting(0, "Most nodes; more than `min_instances`.")


class ExternalNode(Section):
    """An entry of `external.nodes`."""

    host: Text = required("203.0.113.10", "IPv4 address.")
    ssh_user: Text = required("root", "User to log in as.")
    ssh_port: WholeNumber = setting(22, "Port of its sshd.")
    ssh_private_key_path: Text = required("~/.ssh/id_ed25519", "Private key for it.")
    manage_hostname: Flag = setting(True, "Set its host name.")
    index: WholeNumber = required("1", "Its number in the pool, from 1.")
    robot_server_number: WholeNumber | None = setting(None, "Its number at Hetzner Robot.")


class External(Section):
    """A worker pool's `external`."""

    provider: Annotated[Literal["generic", "robot"], BeforeValidator(text_of)] = setting("generic", "Who runs them.")
    robot_user: SecretText = setting(None, "Robot web service user; `$ROBOT_USER` unless given.")
    robot_password: SecretText = setting(None, "Its password; `$ROBOT_PASSWORD` unless given.")
    nodes: list[ExternalNode] = setting([], "The machines.")


class Pool(Section):
    """What masters' and workers' pools share."""

    name: Text | None = setting(None, "Name of the pool: letters, digits, dashes; unique. Required for workers.")
    instance_type: Text = required("cpx22", "Hetzner server type.")
    legacy_instance_type: Text = setting("", "Server type in the names that 1.x gave.")
    image: Text | None = setting(None, "Image name, or id of a snapshot; the root key `image` unless given.")
    instance_count: WholeNumber = setting(1, "How many servers. Masters: 1, 3, 5, …")
    labels: list[NodeLabel] = setting([], "Kubernetes labels of its nodes.")
    taints: list[NodeTaint] = setting([], "Kubernetes taints of its nodes.")
    autoscaling: Autoscaling | None = setting(None, "Let the autoscaler size the pool (workers).")
    additional_pre_k3s_commands: list[Command] | None = setting(None, "Replaces the root key of that name.")
    additional_post_k3s_commands: list[Command] | None = setting(None, "Replaces the root key of that name.")
    additional_packages: list[Text] | None = setting(None, "Replaces the root key of that name.")
    kubelet_args: list[Text] | None = setting(
        None, "Arguments of the kubelet on its nodes: replaces the root key of that name. 2.x ignores it."
    )
    include_cluster_name_as_prefix: Flag = setting(True, "Name autoscaled nodes `<cluster>-<pool>`, not `<pool>`.")
    grow_root_partition_automatically: Flag | None = setting(None, "Replaces the root key of that name.")
    external: External | None = setting(None, "Machines that are not Hetzner Cloud servers.")


class MastersPool(Pool):
    """`masters_pool`."""

    locations: list[Text] = setting(
        ["fsn1"], "A location for each master, in one network zone; a list of one location is for all of them."
    )


class WorkerPool(Pool):
    """An entry of `worker_node_pools`."""

    location: Text = setting("fsn1", "Location of its servers, in the masters' network zone.")
