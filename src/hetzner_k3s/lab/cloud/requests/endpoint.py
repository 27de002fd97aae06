"""Requests, answers and routes; and the endpoints every kind of resource has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from hetzner_k3s.lab.cloud import actions
from hetzner_k3s.lab.cloud.actions import Action
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import Resource
from hetzner_k3s.lab.cloud.requests.errors import invalid_input, not_found
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject, read_selector
from hetzner_k3s.lab.cloud.requests.paging import Pagination, Query, SortKeys, paginate, sort

R = TypeVar("R", bound=Resource)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """An authenticated request; `ids` are the numbers of its path, in order."""

    project: Project
    ids: tuple[int, ...] = ()
    query: Query = field(default_factory=Query)
    body: Body = field(default_factory=lambda: Body({}))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with; `body` None means no content."""

    status: int
    body: JsonObject | None
    pagination: Pagination | None = None


Handler = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method on a path (`/servers/{id}/actions/poweron`) and what answers it."""

    method: str
    path: str
    handler: Handler


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """How one kind of resource is listed.

    Args:
        singular: the word of JSON objects and of action resources.
        plural: the word of paths and listings.
        store: where a project keeps them.
        view: gives the JSON object of one.
        filters: query parameter -> the value a resource must have for it.
    """

    singular: str
    plural: str
    store: Callable[[Project], dict[int, R]]
    view: Callable[[Project, R], JsonObject]
    filters: Mapping[str, Callable[[Project, R], str]] = field(default_factory=dict)

    def find(self, request: Request) -> R:
        """Return the resource a path names first."""
        return self.get(request.project, request.ids[0])

    def get(self, project: Project, number: int) -> R:
        """Return a resource by id; `not_found` when the project has none."""
        store = self.store(project)
        if number not in store:
            raise not_found(self.singular.replace("_", " "), number)
        return store[number]

    def answer(self, status: int, project: Project, resource: R, **more: object) -> Answer:
        """Answer with one resource."""
        return Answer(status, {self.singular: self.view(project, resource), **more})

    def listing(self, request: Request) -> Answer:
        """Answer GET on the collection."""
        project, query = request.project, request.query
        found = [resource for resource in self.store(project).values() if self._passes(project, resource, query)]
        ordered = sort(_with_labels(found, query), query, _RESOURCE_ORDER)
        return page_of(self.plural, ordered, query, lambda resource: self.view(project, resource))

    def reading(self, request: Request) -> Answer:
        """Answer GET on one resource."""
        return self.answer(200, request.project, self.find(request))

    def rename_and_label(self, request: Request, what: str = "name", max_length: int = 255) -> R:
        """Change `name` and `labels` of a resource; the given labels replace the whole map."""
        resource, body = self.find(request), request.body
        name = body.optional_text("name", max_length)
        labels = body.labels() if body.has("labels") else resource.labels
        if name:
            require_unique(name, self.store(request.project).values(), what, resource)
            resource.name = name
        resource.labels = labels
        return resource

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the reading endpoints."""
        base = f"/{self.plural}"
        return (
            Endpoint("GET", base, self.listing),
            Endpoint("GET", f"{base}/{{id}}", self.reading),
            Endpoint("GET", f"{base}/actions", self._actions_of_kind),
            Endpoint("GET", f"{base}/actions/{{id}}", self._action_of_kind),
            Endpoint("GET", f"{base}/{{id}}/actions", self._actions_of_one),
            Endpoint("GET", f"{base}/{{id}}/actions/{{id}}", self._action_of_one),
        )

    def _passes(self, project: Project, resource: R, query: Query) -> bool:
        name = query.first("name")
        if name is not None and resource.name != name:
            return False
        wanted = ((query.all(parameter), value) for parameter, value in self.filters.items())
        return all(not values or value(project, resource) in values for values, value in wanted)

    def _actions_of_kind(self, request: Request) -> Answer:
        return action_page(request.project.actions.of_kind(self.singular), request.query)

    def _action_of_kind(self, request: Request) -> Answer:
        return one_action(200, self._own_action(request, request.ids[0]))

    def _actions_of_one(self, request: Request) -> Answer:
        return action_page(request.project.actions.of((self.singular, self.find(request).id)), request.query)

    def _action_of_one(self, request: Request) -> Answer:
        action = self._own_action(request, request.ids[1])
        if (self.singular, request.ids[0]) not in action.subjects:
            raise not_found("action", action.id)
        return one_action(200, action)

    def _own_action(self, request: Request, number: int) -> Action:
        action = request.project.actions.get(number)
        if not any(kind == self.singular for kind, _ in action.subjects):
            raise not_found("action", number)
        return action


def page_of(name: str, items: Sequence[T], query: Query, view: Callable[[T], JsonObject]) -> Answer:
    """Answer with the asked page of a listing."""
    shown, pagination = paginate(items, query)
    return Answer(200, {name: [view(item) for item in shown], "meta": pagination.view()}, pagination)


def one_action(status: int, action: Action) -> Answer:
    """Answer with one action."""
    return Answer(status, {"action": actions.view(action)})


def action_page(found: Sequence[Action], query: Query) -> Answer:
    """Answer with actions, filtered by `id` and `status`, sorted and paged."""
    ids, states = query.all("id"), query.all("status")
    if not all(text.isascii() and text.isdigit() for text in ids):
        raise invalid_input("id", "must be a list of integers")
    wanted = {int(text) for text in ids}
    kept = [a for a in found if (not wanted or a.id in wanted) and (not states or a.status in states)]
    return page_of("actions", sort(kept, query, _ACTION_ORDER), query, actions.view)


def _with_labels(found: list[R], query: Query) -> list[R]:
    text = query.first("label_selector")
    if text is None:
        return found
    selector = read_selector(text, "label_selector")
    return [resource for resource in found if selector.matches(resource.labels)]


_RESOURCE_ORDER: SortKeys[Any] = {
    "id": lambda resource: resource.id,
    "name": lambda resource: resource.name,
    "created": lambda resource: resource.created,
}
_ACTION_ORDER: SortKeys[Action] = {
    "id": lambda action: action.id,
    "command": lambda action: action.command,
    "status": lambda action: action.status,
    "started": lambda action: action.started,
    "finished": lambda action: action.finished or float("inf"),
}
