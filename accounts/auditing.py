"""Writing down what is done over REST and in the admin pages, without a word in each view."""

from collections.abc import Mapping
from typing import Any, cast

from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import AuditAction, User
from accounts.services import audit_write

CHANGES = {
    "create": AuditAction.CREATED,
    "update": AuditAction.CHANGED,
    "partial_update": AuditAction.CHANGED,
    "destroy": AuditAction.DELETED,
}
FILE_FORMATS = ("csv", "ndjson", "arrow")
UNREADABLE = (APIException, RequestDataTooBig, RecursionError)
SAFE = ("GET", "HEAD", "OPTIONS")


def place_of(thing: Any) -> str:
    """Give the short name of the environment that a thing belongs to; nothing for a thing of no environment."""
    for owner in ("environment", "camera", "session", "person"):
        if hasattr(thing, f"{owner}_id"):
            return place_of(getattr(thing, owner))
    return str(getattr(thing, "slug", ""))


def address_of(request: HttpRequest | Request) -> str:
    """Give the address that a request comes from."""
    return str(request.META.get("REMOTE_ADDR", ""))


class Audited:
    """Writes down the actions of a view that succeed; with a change, or not at all.

    Attributes:
        audit_kind: what the view is about; by default the name of its model.
        audit_reads: actions that look at one thing; lists are written down where they leave as a file, or are narrowed
            to a person.
    """

    audit_kind = ""
    audit_reads: tuple[str, ...] = ("retrieve",)
    _seen: Mapping[str, str] | None = None

    def get_object(self) -> Any:
        """Remember what the action is about, before it may be gone."""
        thing = super().get_object()  # type: ignore[misc]
        self._seen = {"object_id": str(thing.pk), "name": str(thing), "environment": place_of(thing)}
        return thing

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Keep a change and its entry together."""
        if request.method in SAFE:
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Write the action down if it succeeded."""
        final = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        action = getattr(self, "action", None)
        if action and 200 <= final.status_code < 300:
            self._write(request, final, action)
        return final

    def _write(self, request: Request, response: Response, action: str) -> None:
        what = self._what(request, action)
        if what is None:
            return
        about: dict[str, Any] = dict(self._seen or {}) or _said(getattr(response, "data", None), request)
        kind = self.audit_kind or str(cast(Any, self).queryset.model._meta.model_name)
        audit_write(
            actor=cast(User, request.user),
            action=what,
            kind=kind,
            now=timezone.now(),
            address=address_of(request),
            detail=_detail(request, action),
            **about,
        )

    def _what(self, request: Request, action: str) -> AuditAction | None:
        if request.method not in SAFE:
            return CHANGES.get(action, AuditAction.CHANGED)
        if action == "metadata":
            return None
        renderer = getattr(request, "accepted_renderer", None)
        if getattr(renderer, "format", "") in FILE_FORMATS:
            return AuditAction.EXPORTED
        if action in self.audit_reads:
            return AuditAction.VIEWED
        if {"person", "person_id", "number", "search"} & set(request.query_params):
            return AuditAction.SEARCHED
        return None


def _said(data: Any, request: Request) -> dict[str, str]:
    """Give what an answer or a query says of what it is about."""
    said: Mapping[str, Any] = data if isinstance(data, Mapping) and "results" not in data else {}
    place = said.get("environment") or said.get("slug") or request.query_params.get("environment", "")
    named = said.get("name") or said.get("username") or ""
    return {
        "object_id": str(said.get("id") or ""),
        "name": named if isinstance(named, str) else "",
        "environment": place if isinstance(place, str) else "",
    }


def _detail(request: Request, action: str) -> dict[str, Any]:
    """Name what was done and which fields were sent; no values, but of query parameters."""
    detail: dict[str, Any] = {"action": action}
    if request.method in SAFE:
        asked = {_storable(name): _storable(text) for name, text in request.query_params.dict().items()}
        return detail | ({"query": asked} if asked else {})
    try:
        sent = request.data
    except UNREADABLE:  # sent to what reads nothing
        sent = {}
    names = sorted(_storable(str(name)) for name in sent)[:50] if isinstance(sent, Mapping) else []
    return detail | ({"fields": names} if names else {})


def _storable(text: str) -> str:
    """Give a text as every database takes it, and not all of a long one."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:200])


class AuditedAdmin:
    """Writes down what is added, changed and deleted in an admin page."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write an addition down."""
        _write_admin(request, obj, AuditAction.CREATED, message)
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write a change down."""
        _write_admin(request, obj, AuditAction.CHANGED, message)
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> Any:
        """Write deletions down."""
        for thing in queryset:
            _write_admin(request, thing, AuditAction.DELETED, [])
        return super().log_deletions(request, queryset)  # type: ignore[misc]


def _write_admin(request: HttpRequest, thing: Model, action: AuditAction, message: Any) -> None:
    changed = [entry for entry in message if isinstance(entry, dict)] if isinstance(message, list) else []
    audit_write(
        actor=cast(User, request.user),
        action=action,
        kind=str(thing._meta.model_name),
        now=timezone.now(),
        object_id=str(thing.pk),
        name=str(thing),
        environment=place_of(thing),
        address=address_of(request),
        detail={"changes": changed} if changed else {},
    )
