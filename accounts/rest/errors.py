"""The one shape of every error that the REST interface gives."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.translation import gettext as _
from redis.exceptions import RedisError
from rest_framework import exceptions, status
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

logger = logging.getLogger(__name__)

OUTAGES = (OperationalError, InterfaceError, RedisError)


class Conflict(exceptions.APIException):
    """What is asked for does not fit the state of things."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class Unavailable(exceptions.APIException):
    """Something that the answer needs is away."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "A part of the service is away for the moment: try again."


class TooLarge(exceptions.APIException):
    """The request's body is larger than is read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The request is too large."


def error_body(code: str, message: str, fields: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """Give the body of an error: a code for programs, a sentence for people, what is wrong by field."""
    error: dict[str, Any] = {"code": code, "message": message}
    if fields:
        error["fields"] = dict(fields)
    return {"error": error}


def exception_answer(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception that a view raised; None for what is a fault of ours."""
    known = _as_api_exception(exception)
    response = exception_handler(known, context)
    if response is None:
        return None
    if isinstance(known, exceptions.ValidationError):
        fields = flattened(known.detail)
        response.data = error_body("invalid", _summary(fields), fields)
    else:
        detail = known.detail if isinstance(known, exceptions.APIException) else response.data["detail"]
        response.data = error_body(getattr(detail, "code", "error"), str(detail))
    _answer_as_json(context)
    return response


def _as_api_exception(exception: Exception) -> Exception:
    if isinstance(exception, DjangoValidationError):
        return exceptions.ValidationError(_by_field(exception))
    if isinstance(exception, RequestDataTooBig):
        return TooLarge()
    if isinstance(exception, RecursionError):
        return exceptions.ParseError(_("It is nested too deeply."))
    if isinstance(exception, OUTAGES):
        # the kind of trouble alone: messages may hold addresses and user names
        logger.warning("An answer needs what is away: %s", type(exception).__name__)
        return Unavailable()
    if isinstance(exception, DatabaseError) and "out of range" in str(exception):
        return exceptions.ValidationError(_("A number is too large."))
    return exception


def _by_field(error: DjangoValidationError) -> dict[str, list[str]] | list[str]:
    if not hasattr(error, "error_dict"):
        return error.messages
    name = api_settings.NON_FIELD_ERRORS_KEY
    return {name if key == NON_FIELD_ERRORS else key: texts for key, texts in error.message_dict.items()}


def flattened(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Give what is wrong by the dotted name of its field, ``points_m.0.1`` say."""
    if isinstance(detail, Mapping):
        items: Sequence[tuple[Any, Any]] = list(detail.items())
    elif isinstance(detail, list) and any(isinstance(entry, Mapping | list) for entry in detail):
        items = list(enumerate(detail))
    else:
        texts = [str(text) for text in (detail if isinstance(detail, list) else [detail])]
        return {prefix or api_settings.NON_FIELD_ERRORS_KEY: texts} if texts else {}
    found: dict[str, list[str]] = {}
    for key, entry in items:
        found |= flattened(entry, f"{prefix}.{key}" if prefix else str(key))
    return found


def _summary(fields: Mapping[str, list[str]]) -> str:
    if len(fields) == 1:
        ((name, texts),) = fields.items()
        text = " ".join(texts)
        return text if name == api_settings.NON_FIELD_ERRORS_KEY else f"{name}: {text}"
    return _("%(count)d fields are wrong: %(names)s.") % {"count": len(fields), "names": ", ".join(fields)}


def _answer_as_json(context: Mapping[str, Any]) -> None:
    """Let the error be JSON where rows were asked for as a file; pages of the browsable interface stay pages."""
    request = context.get("request")
    if isinstance(getattr(request, "accepted_renderer", None), JSONRenderer | BrowsableAPIRenderer):
        return
    if request is not None:
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"
