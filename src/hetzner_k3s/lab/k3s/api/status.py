"""Kubernetes' error answers."""

from __future__ import annotations

from typing import Any

from hetzner_k3s.lab.k3s.api.resources import Obj, Resource

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}

INITIALIZING = "storage is (re)initializing"
"""What an API server answers with 429 for a moment after its start, and asks to come again."""


class ApiError(Exception):
    """An error answer: HTTP code, reason and message as kubectl shows them."""

    def __init__(self, code: int, message: str, reason: str = "", details: Obj | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or _REASONS[code]
        self.details = details

    def body(self) -> Obj:
        """Render the Status object."""
        return failure(self.code, self.message, self.reason, self.details)


def failure(code: int, message: str, reason: str = "", details: Obj | None = None) -> Obj:
    """Render a Status object of kind Failure as the API server does."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    body |= {"reason": reason or _REASONS[code]} | ({"details": details} if details else {})
    return body | {"code": code}


def _about(resource: Resource, name: str) -> Obj:
    return {"name": name, "group": resource.group, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> ApiError:
    """404 for an object."""
    return ApiError(404, f'{resource.qualified} "{name}" not found', details=_about(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 for a name that is taken."""
    return ApiError(409, f'{resource.qualified} "{name}" already exists', "AlreadyExists", _about(resource, name))


def conflict(resource: Resource, name: str) -> ApiError:
    """409 for a change based on an old version."""
    text = "the object has been modified; please apply your changes to the latest version and try again"
    return ApiError(
        409, f'Operation cannot be fulfilled on {resource.qualified} "{name}": {text}', details=_about(resource, name)
    )


def invalid(resource: Resource, name: str, problem: str) -> ApiError:
    """422 for an object that breaks a rule; `problem` begins with the field. kubectl prints causes, not messages."""
    field, _, message = problem.partition(": ")
    kind = "".join(("FieldValue", *message.partition(":")[0].removesuffix(" value").split()))
    cause = {"reason": kind, "message": message, "field": field}
    details = _about(resource, name) | {"kind": resource.kind, "causes": [cause]}
    return ApiError(422, f'{resource.kind} "{name}" is invalid: {problem}', details=details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, message)


def success(details: Obj) -> Obj:
    """Render the Status object of a finished deletion."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
