"""Which format an answer has: as `format=` says, or else as the client accepts."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.settings import api_settings


class Negotiation(DefaultContentNegotiation):
    """Refuses a format that there is not, instead of taking the address for one that there is not."""

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Choose how to write the answer.

        Raises:
            ValidationError: `format` names no format of this address.
            NotAcceptable: nothing that the client accepts.
        """
        name = str(api_settings.URL_FORMAT_OVERRIDE)
        wanted = request.query_params.get(name)
        formats = [renderer.format for renderer in renderers]
        if wanted is not None and wanted not in formats:
            raise ValidationError({name: [_("Give one of %s.") % ", ".join(formats)]})
        chosen: tuple[Any, str] = super().select_renderer(request, renderers, format_suffix)
        return chosen
