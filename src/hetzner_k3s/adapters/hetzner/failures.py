"""From what the SDK raises to our typed errors, with their fate (ARCHITECTURE law 6; codes: HETZNER_API.md 2)."""

from __future__ import annotations

from typing import Any, Final

import requests
from hcloud import APIException

from hetzner_k3s.model.errors import NO_CAPACITY, CloudConflict, CloudError, CloudRefused, CloudUnavailable, Fate

_REFUSED_SINCE_BUSY: Final = frozenset({"conflict", "rate_limit_exceeded"})
"""Refused because of something that passes: nothing happened, so any call may be repeated (hcloud-go's table)."""

_LOST_BEHIND_THE_GATEWAY: Final = frozenset({"bad_gateway", "timeout", "502", "504"})
"""The answer is lost, the effect may not be (hcloud-go's table)."""

_TAKEN: Final = frozenset({"uniqueness_error", "conflict", "locked", "resource_in_use"})
_SERVER_SIDE: Final = frozenset({"server_error", "unavailable", "maintenance", "service_error", "rate_limit_exceeded"})

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
    """Tell whether a call was surely not carried out and may be repeated as it is."""
    if isinstance(failure, APIException):
        return str(failure.code) in _REFUSED_SINCE_BUSY
    return isinstance(failure, requests.ConnectionError) and _never_connected(failure)


def is_answer_lost(failure: Exception) -> bool:
    """Tell whether a call may have been carried out although it failed, for a cause that passes."""
    if isinstance(failure, APIException):
        return str(failure.code) in _LOST_BEHIND_THE_GATEWAY
    if isinstance(failure, ValueError):
        return False
    return isinstance(failure, requests.RequestException) and not _never_connected(failure)


def cloud_error(failure: Exception, *, what: str, effect: bool) -> CloudError:
    """Turn a failed call into our error; `what` names the call, `effect` whether it would change something."""
    lost = effect and not is_refused_for_now(failure)
    if isinstance(failure, ValueError):  # requests: a URL without scheme and the like
        return CloudRefused(
            f"the Hetzner API cannot be asked: {failure}",
            code="invalid_endpoint",
            fate=Fate.DID_NOT_HAPPEN,
            hint="Check HCLOUD_ENDPOINT.",
        )
    if not isinstance(failure, APIException):
        fate = Fate.MAY_HAVE_HAPPENED if lost else Fate.DID_NOT_HAPPEN
        return CloudUnavailable(
            f"no answer from Hetzner to {what}: {failure}", code="no_answer", fate=fate, hint="Run the command again."
        )
    code = str(failure.code)
    server_side = code in _SERVER_SIDE | _LOST_BEHIND_THE_GATEWAY or (code.isdecimal() and int(code) >= 500)
    failed = server_side and code != "rate_limit_exceeded"
    lost = lost and failed
    kind, verb = _kind(code, server_side=server_side), "failed at" if failed else "refused"
    return kind(
        f"Hetzner {verb} {what}: {failure.message}{_limits(failure.details)} ({code})",
        code=code,
        correlation_id=failure.correlation_id or "",
        fate=Fate.MAY_HAVE_HAPPENED if lost else Fate.DID_NOT_HAPPEN,
        hint=_HINTS.get(code, ""),
    )


def _kind(code: str, *, server_side: bool) -> type[CloudError]:
    if code in _TAKEN:
        return CloudConflict
    return CloudUnavailable if server_side or code in NO_CAPACITY else CloudRefused


def _never_connected(failure: requests.RequestException) -> bool:
    """Tell whether the connection was not even made; urllib3 says so in the name of the cause only."""
    if isinstance(failure, requests.ConnectTimeout):
        return True
    reason = getattr(failure.args[0] if failure.args else None, "reason", None)
    return type(reason).__name__ in {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}


def _limits(details: Any) -> str:
    """Name the quotas that are used up, which only the details say."""
    limits = details.get("limits", []) if isinstance(details, dict) else []
    names = ", ".join(limit["name"] for limit in limits)
    return f" [{names}]" if names else ""
