"""Asking for a job twice starts it once: ``Idempotency-Key``."""

import json
import re
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any, cast

from django.db import transaction
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from accounts.rest.errors import Conflict
from accounts.rest.models import IdempotentAnswer

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,64}")
PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": "^[!-~]{1,64}$"},
    OpenApiParameter.HEADER,
    description="The same key with the same request gets the same answer for a day, and starts nothing anew.",
)


def idempotent(method: Callable[..., Response]) -> Callable[..., Response]:
    """Let a view's method give the answer it gave before to a request that names a key again.

    A request that fails leaves nothing behind. Two at once wait for each other: the database lets one in.
    """

    @wraps(method)
    def answer(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return method(view, request, *args, **kwargs)
        if not KEY.fullmatch(key):
            raise ValidationError({HEADER: [_("Give 1 to 64 visible ASCII characters.")]})
        with transaction.atomic():
            fingerprint = _fingerprint(request)
            row, is_new = IdempotentAnswer.objects.get_or_create(
                user=cast(Any, request.user), key=key, defaults={"fingerprint": fingerprint}
            )
            if not is_new:
                return _again(row, fingerprint)
            response = method(view, request, *args, **kwargs)
            row.status = response.status_code
            row.body = json.loads(json.dumps(response.data, cls=JSONEncoder))
            row.save(update_fields=["status", "body"])
            return response

    return answer


def _again(row: IdempotentAnswer, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise Conflict(_("This key was used for another request."), code="idempotency_key_reused")
    response = Response(row.body, status=row.status)
    response["Idempotency-Replayed"] = "true"
    return response


def _fingerprint(request: Request) -> str:
    said = [request.method, request.get_full_path(), request.data]
    return sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
