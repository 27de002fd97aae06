"""The model's kubelet ends where a real one does."""

from __future__ import annotations

import pytest

from hetzner_k3s.config.checks.nodes import label_key_problem
from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.node.node_object import check_labels

KEYS = (
    "node-role.kubernetes.io/worker",
    "kubernetes.io/role",
    "foo.k8s.io/x",
    "purpose",
    "example.com/x",
    "notkubernetes.io/x",
    "a.node.kubernetes.io/x",
    "node.kubernetes.io/x",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/rack",
)


@pytest.mark.parametrize("key", KEYS)
def test_the_models_kubelet_ends_on_the_labels_that_the_file_may_not_have(key: str) -> None:
    if label_key_problem(key) is None:
        check_labels([f"{key}=true"])
    else:
        with pytest.raises(Fatal, match=r"unknown 'kubernetes\.io' or 'k8s\.io' labels"):
            check_labels([f"{key}=true"])
