"""What the kubelet asks of a node's labels and taints: it exits on a wrong one, on a server that was paid for already.

Sources: kubernetes `cmd/kubelet/app/options` (`ValidateKubeletFlags`), `k8s.io/kubelet/pkg/apis/well_known_labels.go`,
`pkg/util/taints` (`ParseTaints`), `apimachinery/pkg/util/validation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hetzner_k3s.config.checks.findings import Check, Finding, pools
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.pools import NodeLabel, NodeTaint, Pool
from hetzner_k3s.model.kubernetes.node_labels import KUBELET_LABELS
from hetzner_k3s.model.text.settings import KeyPath

RESERVED_LABELS: Final = frozenset(
    {
        "hetzner-k3s.io/external",
        "hetzner-k3s.io/external-provider",
        "node.kubernetes.io/exclude-from-external-load-balancers",
    }
)
EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
KUBELET_DOMAINS: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")
_PROJECT: Final = ("kubernetes.io", "k8s.io")
_PART: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_DOMAIN: Final = rf"(?=[a-z0-9.-]{{1,253}}/){_PART}(\.{_PART})*/"
_QUALIFIED_NAME: Final = re.compile(rf"({_DOMAIN})?[A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_MASTERS_OWN_TAINT: Final = ("CriticalAddonsOnly", "NoExecute")


def split_taint(text: str) -> tuple[str, str]:
    """Split `value:Effect`; a value alone means `NoSchedule`.

    See docs/facts/compatibility.md#pools.
    """
    value, colon, effect = text.partition(":")
    return value, effect if colon else "NoSchedule"


def _labels_and_taints(configuration: Configuration) -> Iterator[Finding]:
    for path, pool in pools(configuration):
        for index, label in enumerate(pool.labels):
            yield from _label((*path, "labels", index), label)
        for index, taint in enumerate(pool.taints):
            yield from _taint((*path, "taints", index), taint)
        tainted = pool is configuration.masters_pool and not configuration.schedule_workloads_on_masters
        yield from _taints_once(path, pool, frozenset({_MASTERS_OWN_TAINT}) if tainted else frozenset())


def _label(key: KeyPath, label: NodeLabel) -> Iterator[Finding]:
    if label.key in RESERVED_LABELS:
        yield Finding((*key, "key"), f"{label.key} is reserved: hetzner-k3s sets it itself")
    elif why := label_key_problem(label.key):
        yield Finding((*key, "key"), why)
    if not _LABEL_VALUE.fullmatch(label.value):
        yield Finding(
            (*key, "value"), "is no label value of Kubernetes (63 letters, digits, dashes, dots, underscores)"
        )


def label_key_problem(key: str) -> str | None:
    """Return why the kubelet would exit with a label of this key; None where it takes it."""
    if not _QUALIFIED_NAME.fullmatch(key):
        return "is no label key of Kubernetes (`name` or `domain/name`)"
    domain = key.rpartition("/")[0]
    allowed = key in KUBELET_LABELS or any(_is_in(domain, own) for own in KUBELET_DOMAINS)
    if allowed or not any(_is_in(domain, project) for project in _PROJECT):
        return None
    return (
        f"{key[:80]}: the kubelet exits with such a label. Of kubernetes.io and k8s.io a node may only give itself "
        f"{', '.join(f'{own}/*' for own in KUBELET_DOMAINS)}, {', '.join(KUBELET_LABELS)}; take a domain of your own, "
        "or label the Nodes with `kubectl label`"
    )


def _is_in(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


def _taint(key: KeyPath, taint: NodeTaint) -> Iterator[Finding]:
    value, effect = split_taint(taint.value)
    if not _QUALIFIED_NAME.fullmatch(taint.key):
        yield Finding((*key, "key"), "is no taint key of Kubernetes (`name` or `domain/name`)")
    if not _LABEL_VALUE.fullmatch(value):
        yield Finding((*key, "value"), "expected `value:Effect`, or a value alone")
    if effect not in EFFECTS:
        yield Finding((*key, "value"), f"{effect[:40]!r} is no effect: one of {', '.join(EFFECTS)}")


def _taints_once(path: KeyPath, pool: Pool, own: frozenset[tuple[str, str]]) -> Iterator[Finding]:
    """Kubelets refuse two taints of one key and effect; masters have one of their own unless they take workloads."""
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(pool.taints):
        same = (taint.key, split_taint(taint.value)[1])
        if same in own:
            yield Finding((*path, "taints", index), "masters have this taint already: leave it out")
        elif same in seen:
            yield Finding((*path, "taints", index), f"{same[0][:40]}:{same[1]} is given twice; the kubelet exits on it")
        seen.add(same)


def _kubelet_args(configuration: Configuration) -> Iterator[Finding]:
    for index, argument in enumerate(configuration.kubelet_args):
        yield from _kubelet_arg(("kubelet_args", index), *_name_and_value(argument))
    for path, pool in pools(configuration):
        for index, argument in enumerate(pool.kubelet_args or ()):
            key, (name, value) = (*path, "kubelet_args", index), _name_and_value(argument)
            yield from _kubelet_arg(key, name, value)
            if name == "cloud-provider":
                # One node that waits for no cloud controller stays without its addresses while the others have them.
                yield Finding(key, "a cloud controller is the whole cluster's: say so in the root key kubelet_args")


def _name_and_value(argument: str) -> tuple[str, str]:
    name, _, value = argument.removeprefix("--").partition("=")
    return name, value


def _kubelet_arg(key: KeyPath, name: str, value: str) -> Iterator[Finding]:
    """Labels and taints can be smuggled past the pools: the kubelet judges them in the same way."""
    if name == "node-labels":
        for label in filter(None, value.split(",")):
            label_key, _, label_value = label.partition("=")
            if why := label_key_problem(label_key):
                yield Finding(key, f"node-labels: {why}")
            elif not _LABEL_VALUE.fullmatch(label_value):
                yield Finding(key, f"node-labels: {label_value[:40]!r} is no label value of Kubernetes")
    if name == "register-with-taints":
        yield Finding(key, "replaces the taints of every pool: give them as `taints` of a pool")


NODE_RULES: Final[tuple[Check, ...]] = (_labels_and_taints, _kubelet_args)
