"""Secrets at rest: AES-256-GCM under a ring of keys, of which the first seals and every one opens.

Sealed bytes are 4 bytes that name the key, a nonce of 12 bytes, the encrypted bytes and their tag of 16 bytes; a sealed text
is ``v1.`` and these in URL-safe base64. Both are bound to a context, the column that it is for, so that they cannot be moved to another one.

Source: NIST SP 800-38D (96-bit random nonces: safe for 2^32 texts a key).
"""

import base64
import binascii
import os
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

START = "v1."
KEY_BYTES, NAME_BYTES, NONCE_BYTES = 32, 4, 12


class Undecryptable(ValueError):  # noqa: N818 - named for what is wrong
    """A sealed text that no key of the ring opens."""


class KeyRing:
    """Seals and opens texts."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"expected at least one key, each of {KEY_BYTES} bytes")
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0])

    def seal(self, text: str, *, context: str) -> str:
        """Encrypt a text for a context, under the first key."""
        return START + base64.urlsafe_b64encode(self.seal_bytes(text.encode(), context=context)).decode()

    def seal_bytes(self, data: bytes, *, context: str) -> bytes:
        """Encrypt bytes for a context, under the first key."""
        nonce = os.urandom(NONCE_BYTES)
        return self._first + nonce + self._ciphers[self._first].encrypt(nonce, data, context.encode())

    def open(self, sealed: str, *, context: str) -> str:
        """Decrypt a text.

        Raises:
            Undecryptable: it is not sealed, changed, of another context, or under a key that is not there.
        """
        if not is_sealed(sealed):
            raise Undecryptable("expected a sealed text")
        try:
            raw = base64.b64decode(sealed.removeprefix(START), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise Undecryptable("a sealed text is damaged") from error
        try:
            return self.open_bytes(raw, context=context).decode()
        except UnicodeDecodeError as error:
            raise Undecryptable("a sealed text is damaged") from error

    def open_bytes(self, raw: bytes, *, context: str) -> bytes:
        """Decrypt bytes.

        Raises:
            Undecryptable: they are not sealed, changed, of another context, or under a key that is not there.
        """
        name, nonce = raw[:NAME_BYTES], raw[NAME_BYTES : NAME_BYTES + NONCE_BYTES]
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise Undecryptable(
                f"FIELD_ENCRYPTION_KEYS lacks the key {name.hex()}: put it back, as the last one"
            )
        try:
            return cipher.decrypt(nonce, raw[NAME_BYTES + NONCE_BYTES :], context.encode())
        except (InvalidTag, ValueError) as error:
            raise Undecryptable("a sealed value was changed, or is of another column") from error


def is_sealed(text: str) -> bool:
    """Say whether a text looks sealed; no address does by chance."""
    return text.startswith(START)


def _name(key: bytes) -> bytes:
    return sha256(b"spoton key " + key).digest()[:NAME_BYTES]
