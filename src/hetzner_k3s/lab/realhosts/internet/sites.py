"""The sites that a cluster is made from, over TLS under their own names: releases, installer, manifests, Hetzner's API.

Whoever asks needs the names (`NAMES` lead to the router) and trust in the lab's authority; hosts have both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Host, Route, Router
from starlette.types import ASGIApp

from hetzner_k3s.lab.http.channels import NEWEST, channel_routes
from hetzner_k3s.lab.realhosts.internet.releases import release_routes

_FILES = Path(__file__).parent / "files"
_GITHUB: Final[Mapping[str, str]] = {
    "/hetznercloud/hcloud-cloud-controller-manager/releases/download/{version}/ccm.yaml": "ccm.yaml",
    "/hetznercloud/hcloud-cloud-controller-manager/releases/download/{version}/ccm-networks.yaml": "ccm.yaml",
    "/rancher/system-upgrade-controller/releases/download/{version}/crd.yaml": "crd.yaml",
    "/rancher/system-upgrade-controller/releases/download/{version}/system-upgrade-controller.yaml": (
        "system-upgrade-controller.yaml"
    ),
}
_RAW: Final[Mapping[str, str]] = {
    "/hetznercloud/csi-driver/{version}/deploy/kubernetes/hcloud-csi.yml": "hcloud-csi.yml"
}

_OLD: Final = ("v1.23.6+k3s1",)
"""Not among the channels of the lab; 2.x looks whether the release it installs stands after this one in k3s' tags."""

API_NAME: Final = "api.hetzner.cloud"
NAMES: Final = (
    "github.com",
    "raw.githubusercontent.com",
    "api.github.com",
    "get.k3s.io",
    "update.k3s.io",
    "ipinfo.io",
    API_NAME,
)


def build_sites(program: Callable[[str], bytes], api: ASGIApp) -> Starlette:
    """Serve every name of `NAMES`.

    Args:
        program: gives the k3s program of a version.
        api: Hetzner's API, as it is served at the operator's place.
    """
    sites: dict[str, ASGIApp] = {
        "github.com": Router([*release_routes(program), *_files(_GITHUB)]),
        "raw.githubusercontent.com": Router(_files(_RAW)),
        "api.github.com": Router([Route("/repos/k3s-io/k3s/tags", _tags)]),
        "get.k3s.io": Router(_files({"/": "get.k3s.io.sh"})),
        "update.k3s.io": Router(channel_routes()),
        "ipinfo.io": Router([Route("/ip", _own_address)]),
        API_NAME: api,
    }
    return Starlette(routes=[Host(name, app=sites[name]) for name in NAMES])


def _files(places: Mapping[str, str]) -> list[Route]:
    return [Route(path, _file(_FILES / name)) for path, name in places.items()]


def _file(path: Path) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return PlainTextResponse(path.read_text())

    return answer


def _tags(_: Request) -> Response:
    return JSONResponse([{"name": version} for version in (*sorted(NEWEST.values(), reverse=True), *_OLD)])


def _own_address(request: Request) -> Response:
    return PlainTextResponse(request.client.host if request.client else "")
