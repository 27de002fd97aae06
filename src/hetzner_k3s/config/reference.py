"""The reference of the configuration file as Markdown, made from the schema (`scripts/generate-config-reference`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hetzner_k3s.config.moved import GONE, MOVED
from hetzner_k3s.config.schema.section import Section
from hetzner_k3s.config.schema.sections import is_list, section_in, value_schema
from hetzner_k3s.config.schema.sections import walk as walk  # noqa: PLC0414  re-exported: every key of the file
from hetzner_k3s.config.schema.support import PROGRAM, not_yet
from hetzner_k3s.model.secrets import Secret

_HEAD: Final = f"""\
<!-- Made by scripts/generate-config-reference from the schema. Do not edit. -->
# Configuration file

{PROGRAM} reads the configuration file of hetzner-k3s 2.x. Rules for the whole file:

- An unknown key is an error, with a hint. All mistakes are shown at once, each with line and column.
- A key with nothing after it counts as left out. Top-level keys that start with `x-` are yours, for anchors; merge
  keys (`<<`) work.
- `~` is your home directory (`$HOME`); other relative paths start at the current directory.
- A value marked **not yet** is refused: its effect does not exist yet, and ignoring it would be worse.
- A command is a line for the shell, or a list of arguments that is quoted into one.
- What the kubelet, k3s, cron, apt or S3 would refuse is refused here, before a server is bought. Server types, images
  and locations are compared with Hetzner's catalogue by `plan` and `create` whenever a server is missing: where nothing
  exists yet, an order that cannot be filled is refused (`order.impossible`, exit code 4) with the line and column of
  each setting, as `cluster.yaml:9:18: masters_pool.instance_type: there is no server type cpx99`; beside a living
  cluster it is a note.
  The release of k3s is compared with k3s' channels (`$INSTALL_K3S_CHANNEL_URL`, else update.k3s.io; the lab has its
  own) at the same moment. What cannot be read is a note.
"""


def render() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_keys(), *_old_keys(), ""])


def _keys() -> Iterator[str]:
    yield "## Keys"
    yield ""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in walk():
        yield f"| `{key}` | {_kind(field)} | {_default(field)} | {field.description}{not_yet(key)} |"


def _old_keys() -> Iterator[str]:
    yield ""
    yield "## Keys of older releases"
    yield ""
    yield "They have no effect, as in 2.6, and a warning says where the setting lives now."
    yield ""
    yield "| old key | now |"
    yield "|---|---|"
    yield from (f"| `{old}` | {_code(new)} |" for old, new in MOVED.items())
    yield from (f"| `{old}` | gone: {why} |" for old, why in GONE.items())


def _code(new: str) -> str:
    key, _, remark = new.partition(" ")
    return f"`{key}` {remark}".strip()


def _kind(field: FieldInfo) -> str:
    if child := section_in(field.annotation):
        return f"list of {_words(child)}s" if is_list(field) else "section"
    return _type_name(field)


def _words(section: type[Section]) -> str:
    return {"WorkerPool": "pool", "NodeLabel": "label", "NodeTaint": "taint", "ExternalNode": "machine"}.get(
        section.__name__, "rule"
    )


def _type_name(field: FieldInfo) -> str:
    schema = value_schema(field)
    if schema.get("type") == "array":
        return f"list of {schema['items']['title']}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return str(schema["title"])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=False)
    if default is None or default is PydanticUndefined:
        return ""
    if isinstance(default, Secret):
        return "all registries mirrored"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return f"`[{', '.join(default)}]`"
    return f"`{default}`" if default != "" else ""
