"""What is peculiar to the wire: tokens, error envelopes, headers, paging.

See docs/facts/hetzner-api.md#order-of-checks.
"""

from __future__ import annotations

import re

import pytest
import requests

from .running_lab import OTHER_TOKEN, Lab


def test_an_unknown_path_is_answered_before_the_token_is_looked_at(lab: Lab) -> None:
    answer = requests.get(f"{lab.api}/surprise", timeout=10)
    assert answer.status_code == 404
    assert answer.json() == {"error": {"code": "not_found", "details": None, "message": "api route not found"}}
    assert "\n  " in answer.text
    assert requests.get(f"{lab.url}/servers", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("token", "text"),
    [(None, "token is required"), ("wrong", "the token you have provided is invalid")],
)
def test_tokens(lab: Lab, token: str | None, text: str) -> None:
    for method in ("GET", "PATCH"):
        answer = lab.send(method, "/servers", token=token)
        assert answer.status_code == 401
        assert answer.text == f'{{"error":{{"code":"unauthorized","details":null,"message":"{text}"}}}}'


def test_a_wrong_method(lab: Lab) -> None:
    answer = lab.send("PATCH", "/servers")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


def test_broken_json(lab: Lab) -> None:
    for data in ("{", "[]", "\xff"):
        answer = lab.send("POST", "/servers", data=data.encode("latin-1"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "json_error")
    missing = lab.send("POST", "/servers", data=b"")
    assert missing.json()["error"]["details"] == {
        "fields": [{"name": "name", "messages": ["missing data for required field"]}]
    }


def test_every_answer_carries_budget_and_correlation_id(lab: Lab) -> None:
    first, second = lab.send("GET", "/servers"), lab.send("GET", "/servers")
    stranger = lab.send("GET", "/servers", token=None)
    for answer in (first, second, stranger):
        assert answer.headers["content-type"].startswith("application/json")
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Correlation-Id"])
        assert answer.headers["RateLimit-Limit"] == "3600"
        assert int(answer.headers["RateLimit-Reset"]) > 1_000_000_000
    assert first.headers["X-Correlation-Id"] != second.headers["X-Correlation-Id"]
    assert int(first.headers["RateLimit-Remaining"]) == 3599
    assert int(second.headers["RateLimit-Remaining"]) in (3598, 3599)


def test_an_empty_budget_is_429(lab: Lab) -> None:
    while lab.cloud.projects["main"].bucket.take():
        pass
    answer = lab.send("GET", "/servers")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert lab.send("GET", "/servers", token=OTHER_TOKEN).status_code == 200


def test_pages_and_links(lab: Lab) -> None:
    for number in range(5):
        lab.send("POST", "/placement_groups", json={"name": f"group{number}", "type": "spread"})
    answer = lab.send("GET", "/placement_groups?per_page=2&page=2&sort=name:desc")
    assert [group["name"] for group in answer.json()["placement_groups"]] == ["group2", "group1"]
    assert answer.json()["meta"]["pagination"] == {
        "page": 2,
        "per_page": 2,
        "previous_page": 1,
        "next_page": 3,
        "last_page": 3,
        "total_entries": 5,
    }
    base = f"{lab.api}/placement_groups?sort=name%3Adesc"
    assert answer.headers["Link"] == (
        f'<{base}&page=1&per_page=2>; rel="prev", <{base}&page=3&per_page=2>; rel="next", '
        f'<{base}&page=3&per_page=2>; rel="last"'
    )
    assert lab.send("GET", answer.links["next"]["url"].removeprefix(lab.api)).json()["meta"]["pagination"]["page"] == 3
    beyond = lab.send("GET", "/placement_groups?page=9")
    assert (beyond.status_code, beyond.json()["placement_groups"]) == (200, [])
    assert lab.send("GET", "/placement_groups?per_page=99").json()["meta"]["pagination"]["per_page"] == 50
    assert lab.send("GET", "/placement_groups?page=zero").json()["error"]["code"] == "invalid_input"


def test_an_empty_listing(lab: Lab) -> None:
    pagination = lab.send("GET", "/servers").json()["meta"]["pagination"]
    assert (pagination["last_page"], pagination["total_entries"], pagination["next_page"]) == (1, 0, None)


def test_another_token_opens_another_empty_project(lab: Lab) -> None:
    made = lab.send("POST", "/placement_groups", json={"name": "group", "type": "spread"}).json()["placement_group"]
    assert lab.send("GET", "/placement_groups", token=OTHER_TOKEN).json()["placement_groups"] == []
    assert lab.send("GET", f"/placement_groups/{made['id']}", token=OTHER_TOKEN).status_code == 404
    again = lab.send("POST", "/placement_groups", token=OTHER_TOKEN, json={"name": "group", "type": "spread"})
    assert again.status_code == 201


def test_a_read_only_token_reads_only(lab: Lab) -> None:
    lab.admin("POST", "/tokens", json={"token": "reader", "project": "main", "read_only": True})
    assert lab.send("GET", "/servers", token="reader").status_code == 200
    answer = lab.send("POST", "/placement_groups", token="reader", json={"name": "group", "type": "spread"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "token_readonly")


def test_ids_may_be_numbers_or_digits_and_unknown_fields_are_ignored(lab: Lab) -> None:
    body = {"name": "demo", "server_type": 109, "image": "114690387", "location": 2, "colour": "red"}
    answer = lab.send("POST", "/servers", json=body)
    assert answer.status_code == 201
    server = answer.json()["server"]
    assert (server["server_type"]["name"], server["image"]["name"]) == ("cpx22", "debian-12")
    assert isinstance(server["primary_disk_size"], int)
    assert server["created"].endswith("Z")
