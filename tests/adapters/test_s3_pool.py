"""How an S3 service is asked: again after a gateway's page, by which authorities, and no longer than anybody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.adapters.answering import Answer, answering
from tests.adapters.certificates import Certificates
from tests.adapters.test_hostile_s3 import bucket, right

from hetzner_k3s.adapters.s3 import S3Objects
from hetzner_k3s.model.errors import StorageError


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_a_gateway_or_a_busy_service_answers_is_asked_again(status: int) -> None:
    answers = [Answer(b"<html>try later</html>", status)]
    with answering(lambda method, path: answers.pop() if answers else right(method, path)) as store:
        (seen,) = asyncio.run(bucket(store.port).snapshots("prod"))
    assert seen.name == "a"
    assert store.methods() == ["GET", "GET", "HEAD"]


def test_the_environment_names_the_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    certificates = Certificates.made(tmp_path)
    with answering(right, tls=certificates.served()) as store:
        secure = replace(bucket(store.port)._s3, insecure=False)
        with pytest.raises(StorageError, match="did not answer"):
            asyncio.run(S3Objects(secure).snapshots("prod"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        assert asyncio.run(S3Objects(secure).snapshots("prod"))
        assert store.methods() == ["GET", "HEAD"]


def test_a_call_that_nobody_waits_for_any_more_holds_nothing_up() -> None:
    """Ctrl-C, or another step that failed, would else last as long as a silent service."""
    ended = threading.Event()

    def silent(method: str, path: str) -> Answer:
        ended.wait(10)
        return right(method, path)

    async def story() -> float:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await bucket(store.port).snapshots("prod")
        return time.monotonic() - began

    with answering(silent) as store:
        try:
            assert asyncio.run(story()) < 5
        finally:
            ended.set()
