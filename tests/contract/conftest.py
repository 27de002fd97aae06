"""A running lab for each test; what it answered is checked against the official document when the test is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hcloud import Client

from .openapi_document import OpenApiDocument, document_path
from .running_lab import Lab, Stage


@pytest.fixture(scope="session")
def document() -> OpenApiDocument | None:
    """Give the official document, None where it is not at hand."""
    path = document_path()
    return OpenApiDocument(path) if path else None


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Run the web server."""
    with Stage() as running:
        yield running


@pytest.fixture
def lab(stage: Stage, document: OpenApiDocument | None) -> Iterator[Lab]:
    """Serve a fresh cloud; its answers must be valid."""
    with stage.play() as running:
        yield running
    if document is not None:
        problems = [problem for exchange in running.recorder.exchanges for problem in document.problems(exchange)]
        assert not problems, "\n".join(problems[:20])


@pytest.fixture
def client(lab: Lab) -> Client:
    """Give the official client of the main project."""
    return lab.sdk()
