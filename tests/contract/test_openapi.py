"""The official document was at hand, or it is said that it was not."""

from __future__ import annotations

import pytest

from .openapi_document import OpenApiDocument
from .running_lab import Exchange


def test_answers_are_validated(document: OpenApiDocument | None) -> None:
    if document is None:
        pytest.skip("no official OpenAPI document (set HETZNER_OPENAPI): answers were not validated in this run")
    wrong = Exchange("GET", "/servers/1", 200, {"server": {"id": "one"}})
    assert any("$.server" in problem for problem in document.problems(wrong))


def test_an_answer_outside_the_document_is_a_problem(document: OpenApiDocument | None) -> None:
    if document is None:
        pytest.skip("no official OpenAPI document (set HETZNER_OPENAPI)")
    assert document.problems(Exchange("POST", "/servers", 200, {}))
    assert document.problems(Exchange("GET", "/surprise", 200, {}))
