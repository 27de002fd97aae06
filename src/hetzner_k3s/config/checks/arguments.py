"""What k3s, its components and apt ask of what is handed to them word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hetzner_k3s.config.checks.findings import Check, Finding, pools
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.model.text.settings import KeyPath

_COMPONENTS: Final = (
    "kube_api_server_args",
    "kube_scheduler_args",
    "kube_controller_manager_args",
    "kube_cloud_controller_manager_args",
    "kubelet_args",
    "kube_proxy_args",
)
_ARGUMENT: Final = re.compile(r"(--)?[A-Za-z][A-Za-z0-9._-]*[+]?(=[^\x00-\x1f\x7f]*)?")
"""k3s takes two dashes off and puts them on again; with one dash, or a blank in the name, the component exits."""

_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?([=/][A-Za-z0-9.+:~-]+)?")
"""A package of Debian, with an architecture, a version or a release where the file names one."""


def _arguments(configuration: Configuration) -> Iterator[Finding]:
    lists: list[tuple[KeyPath, list[str]]] = [((name,), getattr(configuration, name)) for name in _COMPONENTS]
    lists += [((*path, "kubelet_args"), pool.kubelet_args or []) for path, pool in pools(configuration)]
    for key, arguments in lists:
        for index, argument in enumerate(arguments):
            if not _ARGUMENT.fullmatch(argument):
                yield Finding((*key, index), "is no argument: expected `name=value`, in one line")


def _packages(configuration: Configuration) -> Iterator[Finding]:
    sections: list[tuple[KeyPath, list[str]]] = [((), configuration.additional_packages)]
    sections += [(path, pool.additional_packages or []) for path, pool in pools(configuration)]
    for path, packages in sections:
        for index, package in enumerate(packages):
            if not _PACKAGE.fullmatch(package):
                yield Finding((*path, "additional_packages", index), f"{package[:60]!r} is no name of a Debian package")


ARGUMENT_RULES: Final[tuple[Check, ...]] = (_arguments, _packages)
