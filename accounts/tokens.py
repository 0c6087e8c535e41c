"""JSON Web Tokens: how they are signed, what they say, and the public key by which others can check them.

Signed by RS256 where ``JWT_PRIVATE_KEY`` holds a key, by HS256 with a key derived from ``SECRET_KEY`` otherwise. A
token names a login (``sid``), and is worth nothing without it: see services.login_open.
"""

import base64
import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.conf import settings
from django.utils.crypto import salted_hmac
from jwt.algorithms import RSAAlgorithm
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

ISSUER = "spoton"
LOGIN_CLAIM = "sid"
MIN_KEY_BITS = 2048


class KeyUnusable(ValueError):  # noqa: N818 - named for what is wrong
    """The private key cannot sign tokens."""


class SigningBackend(TokenBackend):
    """Signs and checks tokens, and names the key in each."""

    def __init__(self, *, key_id: str, **given: Any) -> None:
        super().__init__(issuer=ISSUER, **given)
        self.key_id = key_id

    def encode(self, payload: dict[str, Any]) -> str:
        """Sign what a token says."""
        return jwt.encode(
            payload | {"iss": ISSUER},
            self.prepared_signing_key,
            algorithm=self.algorithm,
            headers={"kid": self.key_id},
        )


class SpotOnToken(Token):
    """A token of one login."""

    @property
    def token_backend(self) -> TokenBackend:
        """Give what signs and checks."""
        return signing_backend()

    @property
    def login_id(self) -> str:
        """Give the id of the login."""
        return str(self.payload.get(LOGIN_CLAIM, ""))


class AccessToken(SpotOnToken):
    """Lets somebody in for a few minutes."""

    token_type = "access"  # noqa: S105 - a kind, not a secret
    lifetime = settings.ACCESS_TOKEN_LIFETIME


class RefreshToken(SpotOnToken):
    """Gives a new pair of tokens, once."""

    token_type = "refresh"  # noqa: S105 - a kind, not a secret
    lifetime = settings.REFRESH_TOKEN_LIFETIME


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client gets: one to show at each request, one to get the next pair with."""

    access: str
    refresh: str


def token_read(kind: type[SpotOnToken], text: str) -> SpotOnToken:
    """Check a token.

    Raises:
        TokenError: forged, expired, or of another kind.
    """
    if len(text) > 4096:
        raise TokenError("Token is invalid")
    try:
        return kind(cast(Any, text))
    except (ValueError, TypeError) as error:  # claims that are no numbers, say
        raise TokenError("Token is invalid") from error


def public_keys() -> list[dict[str, Any]]:
    """Give the public key as a JSON Web Key Set lists it; none where tokens are signed with a secret."""
    if not settings.JWT_PRIVATE_KEY:
        return []
    key = _private_key(settings.JWT_PRIVATE_KEY)
    described: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": _key_id(key)}
        | {name: described[name] for name in ("n", "e")}
    ]


def signing_backend() -> SigningBackend:
    """Give what signs and checks tokens by the settings."""
    return _backend(settings.JWT_PRIVATE_KEY, settings.SECRET_KEY)


@cache
def _backend(private_key: str, secret_key: str) -> SigningBackend:
    if not private_key:
        secret = salted_hmac("accounts.tokens", "HS256", secret=secret_key, algorithm="sha256").hexdigest()
        return SigningBackend(algorithm="HS256", signing_key=secret, key_id="secret")
    key = _private_key(private_key)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return SigningBackend(
        algorithm="RS256", signing_key=private_key, verifying_key=public, key_id=_key_id(key)
    )


@cache
def _private_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise KeyUnusable(
            "JWT_PRIVATE_KEY_FILE holds no private key in PEM format without a password"
        ) from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_KEY_BITS:
        raise KeyUnusable(f"JWT_PRIVATE_KEY_FILE: expected an RSA key of {MIN_KEY_BITS} bits or more")
    return key


def _key_id(key: RSAPrivateKey) -> str:
    """Name a key by its thumbprint. Source: RFC 7638."""
    described = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    canonical = json.dumps({name: described[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(sha256(canonical.encode()).digest()).rstrip(b"=").decode()
