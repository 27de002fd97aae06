"""The types of single settings: how a text of the file becomes text, a number, a switch, a network, a command.

Errors never repeat the value of a text: it may be a token.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from typing import Annotated, Any, Final, NoReturn

from pydantic import BeforeValidator, WithJsonSchema

from hetzner_k3s.config.source import Scalar
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.version import K3sVersion

# YAML 1.1 spellings too: the Crystal tool's parser takes them.
_TRUE: Final = frozenset({"true", "yes", "on"})
_FALSE: Final = frozenset({"false", "no", "off"})
_WHOLE_NUMBER: Final = re.compile(r"[-+]?\d{1,18}")
_PORT: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def describe(value: object) -> str:
    """Name what was found, without its content: for errors."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Scalar) and value.is_null:
        return "nothing"
    return "a single value"


def _wrong(expected: str, value: object) -> NoReturn:
    raise ValueError(f"expected {expected}, got {describe(value)}")


def _wrong_scalar(expected: str, value: object, *, quoted: bool) -> NoReturn:
    if quoted:
        raise ValueError(f"expected {expected}, got text in quotes: take the quotes away")
    if isinstance(value, Scalar) and not value.is_null:
        raise ValueError(f"expected {expected}, got {value.text[:40]!r}")
    _wrong(expected, value)


def text_of(value: object) -> str:
    """Read any single value as text: `1` and `true` are the texts they were written as."""
    if isinstance(value, str):  # a default of the schema
        return value
    if not isinstance(value, Scalar) or value.is_null:
        _wrong("text", value)
    return value.text


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = isinstance(value, Scalar) and value.text.lower() in _TRUE | _FALSE
    if isinstance(value, Scalar) and value.plain and known:
        return value.text.lower() in _TRUE
    return _wrong_scalar("true or false", value, quoted=known)


def _whole_number(value: object) -> int:
    if isinstance(value, int):
        return value
    known = isinstance(value, Scalar) and _WHOLE_NUMBER.fullmatch(value.text) is not None
    if isinstance(value, Scalar) and value.plain and known:
        return int(value.text)
    return _wrong_scalar("a whole number", value, quoted=known)


def _network(value: object) -> str:
    """Read an address or CIDR; host bits are cut off, as Hetzner stores networks and we compare with what it stores."""
    text = text_of(value)
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not a network in CIDR notation (such as 10.0.0.0/16)") from None


def _networks_text(value: object) -> str:
    """Read one network or, for dual stack, two with a comma between: k3s takes both spellings."""
    parts = text_of(value).split(",")
    return ",".join(_network(part) for part in parts)


def _addresses_text(value: object) -> str:
    text = text_of(value)
    try:
        return ",".join(str(ipaddress.ip_address(part.strip())) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not an IP address") from None


def _command(value: object) -> str:
    """Read a shell line, or a list of arguments that is quoted into one (the Crystal tool's documentation has both)."""
    if isinstance(value, list):
        if not value:
            raise ValueError("an empty list is no command")
        return shlex.join(text_of(part) for part in value)
    return text_of(value)


def _version(value: object) -> str:
    return str(K3sVersion.parse(text_of(value)))


def _ports(value: object) -> str:
    text = text_of(value)
    found = _PORT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!r} is no port: expected one such as 30000 or a range such as 30000-32767")
    first, last = int(found[1]), int(found[2] or found[1])
    if not (1 <= first <= 65535 and 1 <= last <= 65535):
        raise ValueError("ports must be between 1 and 65535")
    if first > last:
        raise ValueError(f"the range {text} ends before it starts")
    return text


def _ports_or_any(value: object) -> str:
    return "any" if text_of(value) == "any" else _ports(value)


def _secret(value: object) -> Secret:
    return value if isinstance(value, Secret) else Secret(text_of(value).strip())


_SINGLE: Final = ["string", "number", "boolean"]
"""What an editor may take a text for: `1` and `true` are texts where a text is asked for."""


def _schema(title: str, **schema: Any) -> WithJsonSchema:
    """Declare a type: its name for people, and its JSON schema, which refuses nothing that is valid here."""
    return WithJsonSchema({"title": title, **schema})


def _text(title: str, pattern: str) -> WithJsonSchema:
    return _schema(title, type="string", pattern=pattern)


_NETWORKS: Final = r"^[0-9A-Fa-f.:/,\s]+$"

Text = Annotated[str, BeforeValidator(text_of), _schema("text", type=_SINGLE)]
Flag = Annotated[
    bool,
    BeforeValidator(_flag),
    _schema("true or false", type=["boolean", "string"], pattern="^([Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])$"),
]
WholeNumber = Annotated[int, BeforeValidator(_whole_number), _schema("number", type="integer")]
Network = Annotated[str, BeforeValidator(_network), _text("CIDR", _NETWORKS)]
Networks = Annotated[str, BeforeValidator(_networks_text), _text("CIDR, or two with a comma", _NETWORKS)]
Addresses = Annotated[str, BeforeValidator(_addresses_text), _text("IP address, or two with a comma", _NETWORKS)]
Command = Annotated[
    str,
    BeforeValidator(_command),
    _schema("text or list of arguments", type=[*_SINGLE, "array"], items={"type": _SINGLE}, minItems=1),
]
Version = Annotated[str, BeforeValidator(_version), _text("k3s release", r"^v\d+\.\d+\.\d+(-rc\d+)?\+k3s\d+$")]
Ports = Annotated[
    str, BeforeValidator(_ports), _schema("port or range", type=["string", "integer"], pattern=r"^\d+(-\d+)?$")
]
PortsOrAny = Annotated[
    str,
    BeforeValidator(_ports_or_any),
    _schema("port, range or `any`", type=["string", "integer"], pattern=r"^(any|\d+(-\d+)?)$"),
]
SecretText = Annotated[Any, BeforeValidator(_secret), _schema("text", type=_SINGLE)]
