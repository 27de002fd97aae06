"""Wrong decisions, put into the model one at a time: each must turn a test red, or that test proves nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]
_SOURCE = _REPOSITORY / "src"
_MODEL = Path("hetzner_k3s/lab/k3s")


@dataclass(frozen=True)
class Mutant:
    """A wrong decision: in `file`, `right` becomes `wrong`; `test` must notice."""

    name: str
    file: str
    right: str
    wrong: str
    test: str


MUTANTS = (
    Mutant(
        "a server with data starts a new cluster",
        "serving/startup.py",
        "    if disk.wal:\n        return Start.EXISTING_MEMBER\n",
        "",
        "test_decisions.py::test_start",
    ),
    Mutant(
        "an empty server with `server:` does not join",
        "serving/startup.py",
        "return Start.JOIN if wish.server else Start.NEW_CLUSTER",
        "return Start.NEW_CLUSTER",
        "test_decisions.py::test_start",
    ),
    Mutant(
        "a removed member without `server:` starts again",
        "serving/startup.py",
        "        if not wish.server:\n            raise Refused(TOMBSTONE_WITHOUT_SERVER)\n",
        "",
        "test_decisions.py::test_refused_start",
    ),
    Mutant(
        "a taken node name joins",
        "etcd/membership.py",
        "        if member.name != name and node_of(member.name) == node_of(name):\n"
        "            raise DuplicateName(DUPLICATE)\n",
        "",
        "test_decisions.py::test_a_name_of_an_earlier_life_is_fatal",
    ),
    Mutant(
        "an unhealthy cluster ends a joiner",
        "etcd/membership.py",
        '    "etcdserver: unhealthy cluster",\n',
        "",
        "test_decisions.py::test_what_a_joiner_waits_for",
    ),
    Mutant(
        "a deleted Node takes a member of its name with it, whatever its address",
        "etcd/membership.py",
        "if member.name == member_name and address_of(member) == address:",
        "if member.name == member_name:",
        "test_decisions.py::test_a_deleted_node_takes_only_its_own_member",
    ),
    Mutant(
        "the CA pin of a token is not checked",
        "trust/tokens.py",
        "if token.ca_hash is not None and token.ca_hash != found:",
        "if token.ca_hash is None and token.ca_hash != found:",
        "test_tokens.py::test_pin",
    ),
    Mutant(
        "bootstrap data of another token is taken for none",
        "trust/bootstrap.py",
        "raise BootstrapError(OTHER_TOKEN if entries else NO_DATA)",
        "raise BootstrapError(NO_DATA)",
        "test_tokens.py::test_datastore_of_another_token",
    ),
    Mutant(
        "a lease is taken over while its holder renews it",
        "control/election.py",
        "return memory if renewed == memory.renewed else Seen(renewed, now)",
        "return memory if memory.renewed else Seen(renewed, now)",
        "test_decisions.py::test_a_lease_is_taken_over_only_after",
    ),
    Mutant(
        "workers may list members from anywhere",
        "trust/authorization.py",
        "return Verdict.ALLOWED if caller.role is Role.SERVER else Verdict.FORBIDDEN",
        "return Verdict.ALLOWED",
        "test_authorization.py::test_a_nodes_certificate_is_the_agent_role",
    ),
    Mutant(
        "a deleted object does not wait for its finalizers",
        "api/strategy.py",
        '    own = list(obj["metadata"].get("finalizers") or [])\n',
        "    own = []\n",
        "test_api.py::test_finalizers_hold_a_deleted_object",
    ),
    Mutant(
        "an update based on an old version wins",
        "api/store.py",
        "            if version and version != str(entry.mod_revision):\n"
        "                raise status.conflict(resource, name)\n"
        "            written",
        "            written",
        "test_api.py::test_version_conflict",
    ),
)


def run(test: str, source: Path) -> subprocess.CompletedProcess[str]:
    file, _, name = test.partition("::")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/k3s/{file}", "-k", name]
    environment = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=_REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    shutil.copytree(_SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "src" / _MODEL / mutant.file
    text = file.read_text()
    assert text.count(mutant.right) == 1, "the mutant no longer fits the code"
    file.write_text(text.replace(mutant.right, mutant.wrong))
    done = run(mutant.test, tmp_path / "src")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout


def test_the_same_tests_pass_on_the_code_as_it_is() -> None:
    names = " or ".join(sorted({mutant.test.partition("::")[2] for mutant in MUTANTS}))
    files = sorted({f"tests/k3s/{mutant.test.partition('::')[0]}" for mutant in MUTANTS})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", names]
    done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
