"""Faults and the lab's own interface."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from hcloud import Client

from .orders import order_server, refusal
from .running_lab import Lab

GROUP = {"name": "group", "type": "spread"}


def fault(lab: Lab, **rule: Any) -> dict[str, Any]:
    """Add a rule."""
    answer = lab.admin("POST", "/faults", json=rule)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["fault"])


def test_an_error_takes_the_place_of_the_nth_matching_request(lab: Lab) -> None:
    fault(lab, effect="error", method="POST", path="/placement_groups", skip=1, times=1, code="conflict")
    codes = [
        lab.send("POST", "/placement_groups", json={"name": f"group{number}", "type": "spread"}).status_code
        for number in range(3)
    ]
    assert codes == [201, 409, 201]
    assert len(lab.send("GET", "/placement_groups").json()["placement_groups"]) == 2


def test_a_dropped_answer_leaves_the_work_done(lab: Lab) -> None:
    fault(lab, effect="drop", method="POST", path="/placement_groups")
    with pytest.raises(requests.ConnectionError):
        lab.send("POST", "/placement_groups", json=GROUP)
    assert lab.send("POST", "/placement_groups", json=GROUP).json()["error"]["code"] == "uniqueness_error"
    entry = lab.admin("GET", "/requests?writing=true").json()["requests"][0]
    assert (entry["dropped"], entry["status"]) == (True, 201)


def test_a_delayed_answer(lab: Lab) -> None:
    fault(lab, effect="delay", method="GET", path="/servers", seconds=0.2)
    started = time.monotonic()
    lab.send("GET", "/servers")
    assert time.monotonic() - started >= 0.2


def test_an_incomplete_page_keeps_its_total(lab: Lab) -> None:
    for number in range(3):
        lab.send("POST", "/placement_groups", json={"name": f"group{number}", "type": "spread"})
    rule = fault(lab, effect="incomplete_page", path="/placement_groups", entries=2, always=True)
    body = lab.send("GET", "/placement_groups").json()
    assert (len(body["placement_groups"]), body["meta"]["pagination"]["total_entries"]) == (1, 3)
    assert lab.admin("DELETE", f"/faults/{rule['id']}").status_code == 204
    assert len(lab.send("GET", "/placement_groups").json()["placement_groups"]) == 3


def test_a_type_that_is_out_of_stock(lab: Lab, client: Client) -> None:
    fault(lab, effect="unavailable", server_type="cpx22", location="nbg1")
    refused = refusal(order_server, client, "demo")
    assert refused.code == "resource_unavailable"
    stock = {item.location.name: item.available for item in client.server_types.get_by_name("cpx22").locations}
    assert (stock["nbg1"], stock["hel1"]) == (False, True)
    lab.admin("DELETE", "/faults")
    assert order_server(client, "demo").server.id


@pytest.mark.parametrize("rule", [{}, {"effect": "magic"}, {"effect": "error", "path": "("}])
def test_wrong_rules_are_refused(lab: Lab, rule: dict[str, Any]) -> None:
    assert lab.admin("POST", "/faults", json=rule).status_code == 422
    assert lab.admin("GET", "/faults").json() == {"faults": []}


def test_the_request_log_counts_what_was_asked(lab: Lab) -> None:
    lab.send("GET", "/servers?page=1")
    lab.send("POST", "/placement_groups", json=GROUP)
    log = lab.admin("GET", "/requests").json()
    assert [(e["method"], e["path"], e["query"], e["status"], e["writing"]) for e in log["requests"]] == [
        ("GET", "/servers", "page=1", 200, False),
        ("POST", "/placement_groups", "", 201, True),
    ]
    assert log["requests"][0]["project"] == "main"
    after = lab.admin("GET", f"/requests?after={log['requests'][0]['number']}&writing=true").json()["requests"]
    assert [entry["method"] for entry in after] == ["POST"]
    lab.admin("DELETE", "/requests")
    assert lab.admin("GET", "/requests").json() == {"requests": [], "last_number": 2}


def test_the_state_shows_everything(lab: Lab, client: Client) -> None:
    order_server(client, "demo", labels={"a": "b"})
    state = lab.admin("GET", "/state").json()
    [server] = state["projects"]["main"]["servers"]
    assert (server["name"], server["labels"]) == ("demo", {"a": "b"})
    assert state["projects"]["other"]["servers"] == []
