"""What a joining master is given as the running ones have it."""

from __future__ import annotations

from hetzner_k3s.model.hosts.critical_config import carried, governed


def test_what_no_key_of_the_file_says_is_carried_over() -> None:
    live = {"secrets-encryption": "true", "egress-selector-mode": "cluster", "cluster-cidr": "10.42.0.0/16"}
    assert carried(live) == {"egress-selector-mode": "cluster", "secrets-encryption": True}


def test_what_k3s_takes_by_itself_is_not_written_down() -> None:
    assert (
        carried({"secrets-encryption": "false", "egress-selector-mode": "agent", "supervisor-metrics": "false"}) == {}
    )


def test_what_the_file_says_is_compared_and_nothing_else() -> None:
    assert governed({"secrets-encryption": "true", "cluster-cidr": "10.42.0.0/16"}) == {"cluster-cidr": "10.42.0.0/16"}
