"""Refusals of the API: HTTP status, code and message as docs/facts/hetzner-api.md#errors tells."""

from __future__ import annotations

from typing import Any

STATUS_OF_CODE = {
    "json_error": 400,
    "unauthorized": 401,
    "token_readonly": 403,
    "forbidden": 403,
    "maintenance": 403,
    "resource_limit_exceeded": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "uniqueness_error": 409,
    "conflict": 409,
    "deprecated_api_endpoint": 410,
    "resource_unavailable": 412,
    "primary_ip_version_mismatch": 412,
    "locked": 423,
    "protected": 423,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "timeout": 504,
}
"""Every code that is not here answers 422."""


class ApiError(Exception):
    """A request that is refused.

    Args:
        code: machine-readable code; it decides the HTTP status.
        message: text for humans.
        details: the object clients find under `error.details`, or None.
        status: another HTTP status than the usual one of the code.
    """

    def __init__(
        self, code: str, message: str, details: dict[str, Any] | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.status = status or STATUS_OF_CODE.get(code, 422)

    def envelope(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"error": {"code": self.code, "details": self.details, "message": self.message}}


def invalid_input(field: str, problem: str) -> ApiError:
    """Refuse one field (dotted path) of a body or query."""
    details = {"fields": [{"name": field, "messages": [problem]}]}
    return ApiError("invalid_input", f"invalid input in field '{field}': {problem}", details)


def not_found(kind: str, ref: int | str) -> ApiError:
    """Refuse a reference to something that does not exist in this project."""
    return ApiError("not_found", f"{kind} with ID '{ref}' not found")


def conflict(kind: str) -> ApiError:
    """Refuse a change of something that is being changed."""
    return ApiError("conflict", f"{kind.replace('_', ' ')} has changed during request")


def already_used(what: str, field: str = "name") -> ApiError:
    """Refuse a value that another resource of the project has."""
    return ApiError("uniqueness_error", f"{what} is already used", {"fields": [{"name": field}]})


def limit_exceeded(message: str, limit: str) -> ApiError:
    """Refuse to go over a quota."""
    return ApiError("resource_limit_exceeded", message, {"limits": [{"name": limit}]})


def not_emulated(what: str) -> ApiError:
    """Refuse what the lab does not have, under a code that no client mistakes for success or absence."""
    return ApiError("unsupported_error", f"the lab does not emulate {what} (see docs/reference/lab-limits.md)")
