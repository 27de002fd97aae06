"""What an error of Hetzner's means: which kind it is, whether anything may have happened, and what can be done."""

from __future__ import annotations

import httpx2
import pytest
from inline_snapshot import snapshot

from hetzner_k3s.adapters.hetzner.connection import Refused, Unaskable, Unreadable
from hetzner_k3s.adapters.hetzner.failures import cloud_error, is_answer_lost, is_refused_for_now
from hetzner_k3s.model.errors import CloudConflict, CloudError, CloudRefused, CloudUnavailable, Fate

NO, MAY = Fate.DID_NOT_HAPPEN, Fate.MAY_HAVE_HAPPENED


def told(code: str, *, effect: bool) -> CloudError:
    return cloud_error(Refused(code, "its words", "corr-1", ("a limit",)), what="POST /servers", effect=effect)


@pytest.mark.parametrize(
    ("kind", "fate", "codes"),
    [
        (CloudConflict, NO, ("uniqueness_error", "conflict", "locked", "resource_in_use")),
        (CloudUnavailable, NO, ("rate_limit_exceeded", "429", "resource_unavailable", "placement_error")),
        (CloudUnavailable, MAY, ("server_error", "unavailable", "maintenance", "service_error")),
        (CloudUnavailable, MAY, ("bad_gateway", "timeout", "500", "502", "503", "504")),
        (CloudRefused, NO, ("unauthorized", "forbidden", "token_readonly", "resource_limit_exceeded")),
        (CloudRefused, NO, ("invalid_input", "not_found", "protected", "400", "404", "499", "a-new-word")),
    ],
)
def test_a_code_is_of_a_kind_and_says_whether_something_may_have_happened(
    kind: type[CloudError], fate: Fate, codes: tuple[str, ...]
) -> None:
    for code in codes:
        effect, look = told(code, effect=True), told(code, effect=False)
        assert (type(effect), effect.fate, effect.code, effect.correlation_id) == (kind, fate, code, "corr-1")
        assert (type(look), look.fate) == (kind, NO)
        verb = "failed at" if fate is MAY else "refused"
        assert str(effect) == f"Hetzner {verb} POST /servers: its words [a limit] ({code})"


def test_what_a_user_can_do_is_said_where_there_is_something() -> None:
    codes = ("unauthorized", "forbidden", "token_readonly", "resource_limit_exceeded", "resource_unavailable")
    hints = {code: told(code, effect=True).hint for code in (*codes, "placement_error", "protected", "invalid_input")}
    assert hints == snapshot(
        {
            "unauthorized": "Check the Hetzner token: hetzner_token in the file, or HCLOUD_TOKEN.",
            "forbidden": "The Hetzner token may not do this; make one with read and write permission.",
            "token_readonly": "The Hetzner token may only read; make one with read and write permission.",
            "resource_limit_exceeded": "Ask Hetzner to raise this limit of the project, or free some of it.",
            "resource_unavailable": "Hetzner has none of this server type there now; "
            "try later, another type or location.",
            "placement_error": "Hetzner found no separate machine for the placement group; try again later.",
            "protected": "The resource is protected against deletion; lift that in the Hetzner console.",
            "invalid_input": "",
        }
    )


@pytest.mark.parametrize(
    ("failure", "for_now", "lost"),
    [
        *((Refused(code, "", ""), True, False) for code in ("conflict", "rate_limit_exceeded", "429")),
        *((Refused(code, "", ""), False, True) for code in ("bad_gateway", "timeout", "502", "503", "504")),
        *((Refused(code, "", ""), False, False) for code in ("uniqueness_error", "server_error", "500", "locked")),
        *((kind("x"), True, False) for kind in (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)),
        *((kind("x"), False, True) for kind in (httpx2.ReadTimeout, httpx2.ReadError, Unreadable, OSError)),
        (Unaskable("x"), False, False),
    ],
    ids=lambda value: str(getattr(value, "code", type(value).__name__)),
)
def test_what_is_asked_again(failure: Exception, for_now: bool, lost: bool) -> None:
    assert (is_refused_for_now(failure), is_answer_lost(failure)) == (for_now, lost)


@pytest.mark.parametrize(
    ("failure", "kind", "code", "fate"),
    [
        (Unaskable("no host"), CloudRefused, "invalid_endpoint", NO),
        (Unreadable("no JSON"), CloudUnavailable, "bad_answer", MAY),
        (httpx2.ReadTimeout("too long"), CloudUnavailable, "no_answer", MAY),
        (httpx2.ConnectError("refused"), CloudUnavailable, "no_answer", NO),
        (OSError(), CloudUnavailable, "no_answer", MAY),
    ],
    ids=str,
)
def test_without_an_answer_too(failure: Exception, kind: type[CloudError], code: str, fate: Fate) -> None:
    effect = cloud_error(failure, what="POST /servers", effect=True)
    assert (type(effect), effect.code, effect.fate) == (kind, code, fate)
    assert cloud_error(failure, what="GET /servers", effect=False).fate is NO
    assert effect.hint
    assert str(failure) or "OSError" in str(effect)
    assert str(failure) in str(effect)
