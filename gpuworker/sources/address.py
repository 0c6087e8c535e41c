"""Addresses of sources: their parts, their options, and their secrets kept out of sight."""

from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, urlsplit

from environments.secrets import mask_credentials
from gpuworker.pipeline.seams import UnusableSourceError


def split_address(url: str) -> SplitResult:
    """Split a URL into its parts.

    Raises:
        UnusableSourceError: it is not a URL, such as one with an open bracket.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UnusableSourceError(
            f"{mask_credentials(url)} is not an address: {mask_credentials(str(error))}"
        ) from None
    return parts


def options_of(query: str, *, allowed: Mapping[str, float], url: str) -> dict[str, float]:
    """Read numbers from a query: those given, defaults for the rest.

    Raises:
        UnusableSourceError: an option that is unknown, given twice, negative or not a number.
    """
    options = dict(allowed)
    seen: set[str] = set()
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in allowed or name in seen:
            known = ", ".join(allowed)
            raise UnusableSourceError(
                f"{mask_credentials(url)}: unknown or repeated option {name!r}; there are: {known}"
            )
        seen.add(name)
        try:
            options[name] = float(text)
        except ValueError:
            options[name] = -1.0
        if not 0.0 <= options[name] < 1e9:
            raise UnusableSourceError(
                f"{mask_credentials(url)}: option {name} takes a number of 0 or more, got {text!r}"
            )
    return options
