"""Secrets inside camera addresses, kept out of pages, logs and messages."""

import re

MASK = "***"

_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_SECRET_OPTION = re.compile(
    r"([?&](?:user|username|usr|password|passwd|pwd|pass|token|key|auth|secret)=)[^&\s'\"]*", re.IGNORECASE
)


def mask_credentials(text: str) -> str:
    """Hide user names, passwords and tokens of the addresses in a text."""
    return _SECRET_OPTION.sub(rf"\1{MASK}", _USER_INFO.sub(f"{MASK}@", text))
