"""Log lines without secrets, whoever wrote them: passwords in addresses, tokens and keys are masked, in traces too."""

import logging
import re

from environments.secrets import MASK, mask_credentials

TOKEN = re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")  # a JSON Web Token begins with {"
API_KEY = re.compile(r"\b(spoton_[0-9a-f]{8}_)[\w-]+")


class MaskingFormatter(logging.Formatter):
    """Formats a record, then masks what must not be read in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        return masked(super().format(record))


def masked(text: str) -> str:
    """Hide the secrets in a text."""
    return API_KEY.sub(rf"\1{MASK}", TOKEN.sub(MASK, mask_credentials(text)))
