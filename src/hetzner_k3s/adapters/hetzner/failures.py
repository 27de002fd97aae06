"""From what a request raises to our typed errors, with their fate.

See docs/architecture.md#law-6 and docs/facts/hetzner-api.md#errors.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import httpx2

from hetzner_k3s.adapters.hetzner.connection import Refused, Unaskable, Unreadable
from hetzner_k3s.model.errors import NO_CAPACITY, CloudConflict, CloudError, CloudRefused, CloudUnavailable, Fate
from hetzner_k3s.model.text.documents import Malformed
from hetzner_k3s.model.text.printable import excerpt

P = ParamSpec("P")
T = TypeVar("T")

FAILURES: Final = (Refused, Unreadable, Unaskable, httpx2.HTTPError, OSError)
"""All that a request may raise."""
_NEVER_CONNECTED: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)
"""The connection was not even made: nothing was sent."""

_REFUSED_SINCE_BUSY: Final = frozenset({"conflict", "rate_limit_exceeded", "429"})
"""Refused because of something that passes: nothing happened, so any call may be repeated (hcloud-go's table).

429 is the page of a gateway, which knows no code: see docs/facts/hetzner-api.md#errors.
"""

_LOST_BEHIND_THE_GATEWAY: Final = frozenset({"bad_gateway", "timeout", "502", "503", "504"})
"""The answer is lost, the effect may not be (hcloud-go's table; a status is a gateway's page)."""

_TAKEN: Final = frozenset({"uniqueness_error", "conflict", "locked", "resource_in_use"})
_SERVER_SIDE: Final = frozenset(
    {"server_error", "unavailable", "maintenance", "service_error", "rate_limit_exceeded", "429"}
)

_WORDS: Final = 500
"""Characters of what a library says of a failure."""

_HINTS: Final = {
    "unauthorized": "Check the Hetzner token: hetzner_token in the file, or HCLOUD_TOKEN.",
    "forbidden": "The Hetzner token may not do this; make one with read and write permission.",
    "token_readonly": "The Hetzner token may only read; make one with read and write permission.",
    "resource_limit_exceeded": "Ask Hetzner to raise this limit of the project, or free some of it.",
    "resource_unavailable": "Hetzner has none of this server type there now; try later, another type or location.",
    "placement_error": "Hetzner found no separate machine for the placement group; try again later.",
    "protected": "The resource is protected against deletion; lift that in the Hetzner console.",
}


def is_refused_for_now(failure: Exception) -> bool:
    """Check whether a call was surely not carried out and may be repeated as it is."""
    if isinstance(failure, Refused):
        return failure.code in _REFUSED_SINCE_BUSY
    return isinstance(failure, _NEVER_CONNECTED)


def is_answer_lost(failure: Exception) -> bool:
    """Check whether a call may have been carried out although it failed, for a cause that passes."""
    if isinstance(failure, Refused):
        return failure.code in _LOST_BEHIND_THE_GATEWAY
    return not isinstance(failure, (Unaskable, *_NEVER_CONNECTED))


def cloud_error(failure: Exception, *, what: str, effect: bool) -> CloudError:
    """Turn a failed call into our error; `what` names the call, `effect` whether it would change something."""
    if isinstance(failure, Refused):
        return _refusal(failure, what, effect=effect)
    if isinstance(failure, Unaskable):
        return CloudRefused(
            f"the Hetzner API cannot be asked: {excerpt(str(failure), _WORDS)}",
            code="invalid_endpoint",
            fate=Fate.DID_NOT_HAPPEN,
            hint="Check HCLOUD_ENDPOINT, the proxy variables and REQUESTS_CA_BUNDLE.",
        )
    if isinstance(failure, Unreadable):
        return bad_answer(what, str(failure), effect=effect)
    lost = effect and not is_refused_for_now(failure)
    return CloudUnavailable(
        f"no answer from Hetzner to {what}: {excerpt(str(failure) or type(failure).__name__, _WORDS)}",
        code="no_answer",
        fate=Fate.MAY_HAVE_HAPPENED if lost else Fate.DID_NOT_HAPPEN,
        hint="Run the command again.",
    )


def bad_answer(what: str, problem: str, *, effect: bool) -> CloudUnavailable:
    """Return the error of a success that cannot be read: an effect was carried out, as far as anybody knows."""
    return CloudUnavailable(
        f"Hetzner answered {what} with what cannot be read: {problem}",
        code="bad_answer",
        fate=Fate.MAY_HAVE_HAPPENED if effect else Fate.DID_NOT_HAPPEN,
        hint="Run the command again.",
    )


@contextmanager
def understood(what: str, *, effect: bool = False) -> Iterator[None]:
    """Turn what is wrong in an answer that a block reads into our error."""
    try:
        yield
    except Malformed as problem:
        raise bad_answer(what, str(problem), effect=effect) from None


def _refusal(failure: Refused, what: str, *, effect: bool) -> CloudError:
    code = failure.code
    server_side = code in _SERVER_SIDE | _LOST_BEHIND_THE_GATEWAY or (code.isdecimal() and int(code[:3]) >= 500)
    failed = server_side and code not in _REFUSED_SINCE_BUSY
    kind, verb = _kind(code, server_side=server_side), "failed at" if failed else "refused"
    return kind(
        f"Hetzner {verb} {what}: {failure.message}{_limits(failure.limits)} ({code})",
        code=code,
        correlation_id=failure.correlation_id,
        fate=Fate.MAY_HAVE_HAPPENED if effect and failed else Fate.DID_NOT_HAPPEN,
        hint=_HINTS.get(code, ""),
    )


def _kind(code: str, *, server_side: bool) -> type[CloudError]:
    if code in _TAKEN:
        return CloudConflict
    return CloudUnavailable if server_side or code in NO_CAPACITY else CloudRefused


def _limits(names: tuple[str, ...]) -> str:
    """Name the quotas that are used up, which only the details say."""
    return f" [{', '.join(names)}]" if names else ""


def answering(*, effect: bool) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Turn what cannot be read in an answer, wherever a method reads it, into a `CloudError` with its fate."""

    def wrap(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(method)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with understood(method.__name__.replace("_", " "), effect=effect):
                return await method(*args, **kwargs)

        return call

    return wrap
