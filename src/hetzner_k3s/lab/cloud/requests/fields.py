"""Reading the fields of a request body; what is wrong with one becomes `invalid_input` with its dotted path."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from hetzner_k3s.lab.cloud.requests.errors import invalid_input
from hetzner_k3s.lab.cloud.requests.labels import (
    Selector,
    SelectorSyntaxError,
    is_valid_key,
    is_valid_value,
    parse_selector,
)

JsonObject = dict[str, Any]

_MISSING = "missing data for required field"
_GREATEST = 1e12
_MOST_DIGITS = 30
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z", re.ASCII)


class Body:
    """A JSON object of a request.

    Args:
        values: the decoded object; unknown fields are ignored as the vendor does.
        path: dotted path of this object inside the request's body.
    """

    def __init__(self, values: JsonObject, path: str = "") -> None:
        self._values = values
        self._path = path

    def where(self, field: str) -> str:
        """Return the dotted path of a field."""
        return f"{self._path}.{field}" if self._path else field

    def has(self, field: str) -> bool:
        """Check whether a field is present and not null."""
        return self._values.get(field) is not None

    def text(self, field: str, max_length: int | None = None) -> str:
        """Return a required, non-empty text."""
        value = self.optional_text(field, max_length)
        if not value:
            raise invalid_input(self.where(field), _MISSING)
        return value

    def optional_text(self, field: str, max_length: int | None = None) -> str | None:
        """Return a text or None."""
        value = self._values.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            raise invalid_input(self.where(field), "must be a string")
        if not _is_text(value):
            raise invalid_input(self.where(field), "is not valid Unicode")
        if max_length is not None and len(value) > max_length:
            raise invalid_input(self.where(field), "is too long")
        return value

    def choice(self, field: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Return one of the allowed texts; required when there is no default."""
        value = self.optional_text(field) or default
        if value is None:
            raise invalid_input(self.where(field), _MISSING)
        if value not in allowed:
            raise invalid_input(self.where(field), f"must be one of {', '.join(allowed)}")
        return value

    def integer(self, field: str, low: int = 1, high: int = 2**53 - 1) -> int:
        """Return a required integer within bounds (digits in a string are accepted, as for ids)."""
        value = self.optional_integer(field, low, high)
        if value is None:
            raise invalid_input(self.where(field), _MISSING)
        return value

    def optional_integer(self, field: str, low: int = 1, high: int = 2**53 - 1) -> int | None:
        """Return an integer within bounds, or None."""
        value = self._values.get(field)
        if value is None:
            return None
        number = _as_integer(value, self.where(field))
        if not low <= number <= high:
            raise invalid_input(self.where(field), f"must be between {low} and {high}")
        return number

    def number(self, field: str, default: float) -> float:
        """Return a number that is not negative."""
        value = self._values.get(field, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _GREATEST:
            raise invalid_input(self.where(field), "must be a number that is not negative, and not beyond all measure")
        return float(value)

    def integers(self, field: str) -> list[int]:
        """Return a list of ids, empty when absent."""
        return [_as_integer(value, f"{self.where(field)}.{n}") for n, value in enumerate(self._list(field))]

    def flag(self, field: str, default: bool) -> bool:
        """Return a boolean."""
        value = self._values.get(field)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid_input(self.where(field), "must be a boolean")
        return value

    def reference(self, field: str) -> str:
        """Return a required id or name as text; an id may be a number or digits."""
        value = self._values.get(field)
        if value is None or value == "":
            raise invalid_input(self.where(field), _MISSING)
        return _as_reference(value, self.where(field))

    def optional_reference(self, field: str) -> str | None:
        """Return an id or name as text, or None."""
        return self.reference(field) if self._values.get(field) not in (None, "") else None

    def references(self, field: str) -> list[str]:
        """Return a list of ids or names, empty when absent."""
        return [_as_reference(value, f"{self.where(field)}.{n}") for n, value in enumerate(self._list(field))]

    def texts(self, field: str, max_items: int | None = None) -> list[str]:
        """Return a list of texts, empty when absent."""
        values = self._list(field)
        if not all(isinstance(value, str) for value in values):
            raise invalid_input(self.where(field), "must be a list of strings")
        if max_items is not None and len(values) > max_items:
            raise invalid_input(self.where(field), f"must not have more than {max_items} entries")
        return list(values)

    def object(self, field: str) -> Body:
        """Return a nested object; an absent one is empty."""
        value = self._values.get(field)
        if value is None:
            return Body({}, self.where(field))
        if not isinstance(value, dict):
            raise invalid_input(self.where(field), "must be an object")
        return Body(value, self.where(field))

    def objects(self, field: str) -> list[Body]:
        """Return a list of objects, empty when absent."""
        values = self._list(field)
        if not all(isinstance(value, dict) for value in values):
            raise invalid_input(self.where(field), "must be a list of objects")
        return [Body(value, f"{self.where(field)}.{n}") for n, value in enumerate(values)]

    def labels(self) -> dict[str, str]:
        """Return the `labels` map, empty when absent (docs/facts/hetzner-api.md#labels)."""
        value = self._values.get("labels") or {}
        if not isinstance(value, dict):
            raise invalid_input("labels", "must be an object")
        for key, text in value.items():
            if not is_valid_key(key) or not is_valid_value(text):
                raise invalid_input("labels", f"label {key!r} is not valid")
        return dict(value)

    def selector(self) -> tuple[str, Selector]:
        """Give `label_selector.selector` as text and parsed."""
        inner = self.object("label_selector")
        text = inner.text("selector", 1000)
        return text, read_selector(text, inner.where("selector"))

    def ipv4(self, field: str) -> ipaddress.IPv4Address | None:
        """Return an IPv4 address or None."""
        text = self.optional_text(field)
        return read_ipv4(text, self.where(field)) if text else None

    def ipv4_network(self, field: str) -> ipaddress.IPv4Network:
        """Return a required IPv4 range without host bits."""
        try:
            return ipaddress.IPv4Network(self.text(field))
        except ValueError as error:
            raise invalid_input(self.where(field), "is not a valid IPv4 network") from error

    def _list(self, field: str) -> list[Any]:
        value = self._values.get(field)
        if value is None:
            return []
        if not isinstance(value, list):
            raise invalid_input(self.where(field), "must be a list")
        return value


def read_selector(text: str, field: str) -> Selector:
    """Parse a label selector that came in a field."""
    try:
        return parse_selector(text)
    except SelectorSyntaxError as error:
        raise invalid_input(field, f"is not a valid label selector: {error}") from error


def read_ipv4(text: str, field: str) -> ipaddress.IPv4Address:
    """Parse an IPv4 address that came in a field."""
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise invalid_input(field, "is not a valid IPv4 address") from error


def hostname(body: Body, field: str = "name") -> str:
    """Return a required RFC 1123 host name (letters, digits, periods, dashes)."""
    name = body.text(field, 253)
    if not all(_HOST_LABEL.match(label) for label in name.split(".")):
        raise invalid_input(body.where(field), "must be a valid hostname")
    return name


def _is_text(value: str) -> bool:
    """Check whether a text can be sent back: JSON may hold halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_integer(value: object, field: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)
    raise invalid_input(field, "must be an integer")


def _as_reference(value: object, field: str) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise invalid_input(field, "must be an ID or a name")
