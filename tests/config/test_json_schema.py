"""The JSON schema of the file: as the classes are, wider than `validate` and never narrower."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from tests.config.test_keys import KEYS, ONE_MASTER, put

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.first_file import Wishes, first_file
from hetzner_k3s.config.json_schema import document
from hetzner_k3s.config.loader import check_text

Load = Callable[[Any], Any]
ROOT = Path(__file__).parents[2]
FILES = [
    *sorted((ROOT / "examples").glob("*.yaml")),
    *sorted((Path(__file__).parent / "examples_of_2x").glob("*.yaml")),
]
CHECK = jsonschema.Draft7Validator(document())


def complaints(tree: object) -> list[str]:
    return [f"{error.json_path}: {error.message[:60]}" for error in CHECK.iter_errors(tree)]


def test_it_is_a_schema_and_the_published_one() -> None:
    jsonschema.Draft7Validator.check_schema(document())
    published = ROOT / "docs/reference/cluster.schema.json"
    assert json.loads(published.read_text()) == document(), "run scripts/generate-config-reference"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_example_passes(path: Path) -> None:
    assert complaints(YAML(typ="safe", pure=True).load(path)) == []


def test_the_first_file_of_init_passes_and_is_valid() -> None:
    for wishes in (Wishes(), Wishes(masters=1, workers=0, locations=("hel1",), name="on")):
        text = first_file(wishes)
        assert complaints(YAML(typ="safe", pure=True).load(text)) == []
        assert check_text(text, "cluster.yaml") == ()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_that_a_file_may_hold_passes(key: str) -> None:
    value, _ = KEYS[key]
    assert complaints(put(ONE_MASTER, key, value)) == []


Change = Callable[[dict[str, Any]], None]
WRONG: dict[str, Change] = {
    "unknown key": lambda tree: tree.update(masters_poll={}),
    "unknown key within": lambda tree: tree["masters_pool"].update(instance_typ="cpx22"),
    "key of a newer release": lambda tree: tree.update(networking={"tailscale": {}}),
    "missing name": lambda tree: tree.pop("cluster_name"),
    "missing type": lambda tree: tree["masters_pool"].pop("instance_type"),
    "pool without a name": lambda tree: tree["worker_node_pools"][0].pop("name"),
    "a text for a number": lambda tree: tree["masters_pool"].update(instance_count="many"),
    "a text for a switch": lambda tree: tree.update(protect_against_deletion="perhaps"),
    "a section for a text": lambda tree: tree.update(image={"name": "debian-12"}),
    "a text for a section": lambda tree: tree.update(masters_pool="three"),
    "one for a list": lambda tree: tree["masters_pool"].update(locations="fsn1"),
    "no release of k3s": lambda tree: tree.update(k3s_version="1.36"),
    "no network": lambda tree: tree.update(networking={"private_network": {"subnet": "mine"}}),
    "no port": lambda tree: tree.update(networking={"node_port_range": "high"}),
    "no mode": lambda tree: tree.update(datastore={"mode": "sqlite"}),
    "nothing for a required one": lambda tree: tree.update(k3s_version=None),
    "an empty command": lambda tree: tree.update(additional_pre_k3s_commands=[[]]),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_it_complains_of_is_refused_by_validate_too(what: str, minimal: dict[str, Any], load_text: Load) -> None:
    assert complaints(minimal) == []
    wrong = copy.deepcopy(minimal)
    WRONG[what](wrong)
    assert complaints(wrong) != []
    with pytest.raises(ConfigError):
        load_text(wrong)


def test_what_counts_as_left_out_and_what_is_the_users_own_passes(minimal: dict[str, Any], load_text: Load) -> None:
    lenient = {**minimal, "image": None, "addons": None, "x-mine": {"any": ["thing"]}, "kubelet_args": None}
    lenient["cluster_domain"] = lenient.pop("cluster_domain", "old.example")
    assert complaints(lenient) == []
    load_text(lenient)
