"""The services of load balancers: reading them with the vendor's defaults, and showing them.

See docs/facts/hetzner-api.md#load-balancers.
"""

from __future__ import annotations

import dataclasses

from hetzner_k3s.lab.cloud.effects.machines import HealthCheck, HttpCheck
from hetzner_k3s.lab.cloud.records import HttpOptions, LoadBalancer, Service
from hetzner_k3s.lab.cloud.requests.errors import invalid_input, not_emulated
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject

_PROTOCOLS = ("tcp", "http", "https")
_PORTS = (1, 65_535)
_DEFAULT_LISTEN = {"http": 80, "https": 443}


def read_service(body: Body) -> Service:
    """Read a new service; what is absent gets the vendor's default."""
    protocol = body.choice("protocol", _PROTOCOLS)
    listen = body.optional_integer("listen_port", *_PORTS) or _DEFAULT_LISTEN.get(protocol)
    destination = body.optional_integer("destination_port", *_PORTS) or (80 if protocol != "tcp" else None)
    if listen is None or destination is None:
        missing = "listen_port" if listen is None else "destination_port"
        raise invalid_input(body.where(missing), "missing data for required field")
    return Service(
        protocol=protocol,
        listen_port=listen,
        destination_port=destination,
        proxyprotocol=body.flag("proxyprotocol", False),
        health_check=_read_check(body.object("health_check"), HealthCheck(port=destination)),
        http=None if protocol == "tcp" else _read_http(body.object("http"), HttpOptions()),
    )


def change_service(old: Service, body: Body) -> Service:
    """Read the changes of an existing service; what is absent stays."""
    protocol = body.choice("protocol", _PROTOCOLS, old.protocol)
    return Service(
        protocol=protocol,
        listen_port=old.listen_port,
        destination_port=body.optional_integer("destination_port", *_PORTS) or old.destination_port,
        proxyprotocol=body.flag("proxyprotocol", old.proxyprotocol),
        health_check=_read_check(body.object("health_check"), old.health_check),
        http=None if protocol == "tcp" else _read_http(body.object("http"), old.http or HttpOptions()),
    )


def find_service(balancer: LoadBalancer, port: int) -> Service:
    """Return the service that listens on a port."""
    for service in balancer.services:
        if service.listen_port == port:
            return service
    raise invalid_input("listen_port", "the load balancer has no service on this port")


def service_view(service: Service) -> JsonObject:
    """Return the JSON object of a service."""
    check = service.health_check
    shown: JsonObject = {
        "protocol": service.protocol,
        "listen_port": service.listen_port,
        "destination_port": service.destination_port,
        "proxyprotocol": service.proxyprotocol,
        "health_check": {
            "protocol": check.protocol,
            "port": check.port,
            "interval": check.interval,
            "timeout": check.timeout,
            "retries": check.retries,
        },
    }
    if check.http is not None:
        shown["health_check"]["http"] = {
            **dataclasses.asdict(check.http),
            "status_codes": list(check.http.status_codes),
        }
    if service.http is not None:
        shown["http"] = {**dataclasses.asdict(service.http), "certificates": []}
    return shown


def _read_check(body: Body, old: HealthCheck) -> HealthCheck:
    protocol = body.choice("protocol", ("tcp", "http"), old.protocol)
    http = None if protocol == "tcp" else _read_http_check(body.object("http"), old.http or HttpCheck())
    return HealthCheck(
        port=body.optional_integer("port", *_PORTS) or old.port,
        protocol=protocol,
        interval=body.optional_integer("interval", 3, 60) or old.interval,
        timeout=body.optional_integer("timeout", 1, 60) or old.timeout,
        retries=body.optional_integer("retries", 1, 5) or old.retries,
        http=http,
    )


def _read_http_check(body: Body, old: HttpCheck) -> HttpCheck:
    domain, response = body.optional_text("domain", 128), body.optional_text("response", 256)
    return HttpCheck(
        domain=old.domain if domain is None else domain or None,
        path=body.optional_text("path", 256) or old.path,
        response=old.response if response is None else response,
        status_codes=tuple(body.texts("status_codes", 20)) or old.status_codes,
        tls=body.flag("tls", old.tls),
    )


def _read_http(body: Body, old: HttpOptions) -> HttpOptions:
    if body.integers("certificates"):
        raise not_emulated("certificates")
    return HttpOptions(
        cookie_name=body.optional_text("cookie_name", 100) or old.cookie_name,
        cookie_lifetime=body.optional_integer("cookie_lifetime", 30, 86_400) or old.cookie_lifetime,
        timeout_idle=body.optional_integer("timeout_idle", 5, 3600) or old.timeout_idle,
        sticky_sessions=body.flag("sticky_sessions", old.sticky_sessions),
        redirect_http=body.flag("redirect_http", old.redirect_http),
    )
