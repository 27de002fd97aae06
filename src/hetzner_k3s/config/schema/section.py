"""The base of every section of the schema, and how a setting is declared."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A mapping of the file: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


def setting(default: Any, description: str) -> Any:
    """Declare a setting that may be left out."""
    return Field(default=default, description=description)


def section(kind: type[Section], description: str) -> Any:
    """Declare a section that may be left out: all its defaults hold then."""
    return Field(default_factory=kind, description=description)


def required(example: str | list[str] | dict[str, Any], description: str) -> Any:
    """Declare a setting without a default; `example` is a valid value.

    The example also stands in for the missing value while the rest of the file is checked, so that one run shows
    every mistake.
    """
    return Field(description=description, examples=[example])
