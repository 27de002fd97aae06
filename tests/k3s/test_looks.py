"""A look at a host, as the product takes it, against a running k3s of the lab."""

from __future__ import annotations

import json
from collections.abc import Callable

from hetzner_k3s.hosts.shell import operation_script
from hetzner_k3s.hosts.supervisor_facts import supervisor_facts
from hetzner_k3s.model.text.documents import Document

from .clusters import birth
from .rig import Host, Rig


def look(host: Host) -> dict[str, object]:
    document: dict[str, object] = json.loads(host.sh(operation_script("probe")))["result"]
    return document


def test_a_server_tells_whether_it_takes_the_token_and_what_masters_must_agree_on(new_rig: Callable[..., Rig]) -> None:
    first = birth(new_rig(), cluster_cidr="10.55.0.0/16")
    document = look(first)
    told = supervisor_facts(Document.of(document["supervisor"]))
    assert told.token_accepted is True
    assert told.api_answers
    assert (told.critical["cluster-cidr"], told.critical["egress-selector-mode"]) == ("10.55.0.0/16", "agent")
    assert "PSK" not in json.dumps(document)
    first.sh("k3s token rotate --new-token another-password")
    rotated = look(first)
    assert supervisor_facts(Document.of(rotated["supervisor"])).token_accepted is False
    assert rotated["disk"]["token_hash"] != rotated["disk"]["config_token_hash"]  # type: ignore[index]
