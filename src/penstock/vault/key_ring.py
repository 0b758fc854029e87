"""The key ring: seals with its newest key, opens what any of its keys sealed.

AES-256-GCM-SIV (RFC 8452), which survives a repeated nonce. What a secret belongs to (workspace,
connection, field) and the key's id are bound in as associated data, so sealed bytes moved to
another row do not open.

Sealed form: version (1 byte, 1), key id (8 bytes), nonce (12 bytes), ciphertext with tag.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from copy import copy

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from penstock.errors import SecretError

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _ID_BYTES + _NONCE_BYTES


class KeyRing:
    """Keys by id. The first given one seals; all of them open, which lets a rotation take its
    time."""

    def __init__(self, *keys: bytes) -> None:
        """keys: 32 bytes each, at least one. Raises SecretError for any other length."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise SecretError(f"a key has exactly {KEY_BYTES} bytes")
        self._ciphers = {_key_id(key): _cipher(key) for key in keys}
        self._newest = _key_id(keys[0])

    @classmethod
    def from_text(cls, *texts: str) -> KeyRing:
        """From base64 of 32 bytes, as in PENSTOCK_MASTER_KEY; the newest of several keys stands
        first, white space between them. Raises SecretError."""
        keys = [_key(word) for text in texts for word in text.split()]
        if not keys:
            raise SecretError(_NOT_A_KEY)
        return cls(*keys)

    @property
    def key_id(self) -> str:
        """The id of the key that seals, in hex. Tells keys apart and gives nothing away."""
        return self._newest.hex()

    def __len__(self) -> int:
        return len(self._ciphers)

    def __or__(self, other: KeyRing) -> KeyRing:
        """A ring that opens what either opens, and seals as this one does."""
        both = copy(self)
        both._ciphers = {**self._ciphers, **other._ciphers}
        return both

    @staticmethod
    def named(sealed: bytes) -> str:
        """The id of the key that sealed it, in hex."""
        return _sealed_by(sealed).hex()

    def knows(self, sealed: bytes) -> bool:
        """Whether the key that sealed it is in the ring."""
        return _sealed_by(sealed) in self._ciphers

    def is_newest(self, sealed: bytes) -> bool:
        """Whether it was sealed with the key that seals now."""
        return _sealed_by(sealed) == self._newest

    def seal(self, plaintext: str | bytes, *, workspace: str, connection: str, field: str) -> bytes:
        """Sealed bytes that open only for the same workspace, connection and field."""
        data = plaintext.encode() if isinstance(plaintext, str) else plaintext
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound = _associated(workspace, connection, field, self._newest)
        sealed = self._ciphers[self._newest].encrypt(nonce, data, bound)
        return _VERSION + self._newest + nonce + sealed

    def open(self, sealed: bytes, *, workspace: str, connection: str, field: str) -> str:
        """The text that was sealed. Raises SecretError, which never holds any of it."""
        if sealed[:1] != _VERSION or len(sealed) < _HEADER_BYTES:
            raise SecretError(f"the stored {field} of {connection} is not in a form known here")
        key_id = _sealed_by(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretError(
                f"{field} of {connection} was sealed with key {self.named(sealed)}, and this "
                f"process has {', '.join(known.hex() for known in self._ciphers)}: give the master "
                "key that was used (PENSTOCK_MASTER_KEY or the key file), or connect again"
            )
        nonce = sealed[1 + _ID_BYTES : _HEADER_BYTES]
        bound = _associated(workspace, connection, field, key_id)
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES:], bound).decode()
        except (InvalidTag, UnicodeDecodeError):
            raise SecretError(
                f"{field} of {connection} does not open: the stored bytes were changed, or belong "
                "to another workspace, connection or field; connect again"
            ) from None


HOW_TO_MAKE_ONE = (
    "`python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'`"
)
_NOT_A_KEY = f"the master key must be base64 of 32 bytes; make one with {HOW_TO_MAKE_ONE}"


def make_key() -> str:
    """A new key as text, in the form that `from_text` reads."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(_NOT_A_KEY) from None
    if len(key) != KEY_BYTES:
        raise SecretError(_NOT_A_KEY)
    return key


def _cipher(key: bytes) -> AESGCMSIV:
    try:
        return AESGCMSIV(key)
    except UnsupportedAlgorithm as error:
        raise SecretError(
            "this build of cryptography lacks AES-GCM-SIV (its OpenSSL is older than 3.2): "
            "install the wheel from the package index"
        ) from error


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"penstock key id 1" + key).digest()[:_ID_BYTES]


def _sealed_by(sealed: bytes) -> bytes:
    return sealed[len(_VERSION) : len(_VERSION) + _ID_BYTES]


def _associated(workspace: str, connection: str, field: str, key_id: bytes) -> bytes:
    parts = (workspace.encode(), connection.encode(), field.encode(), key_id)
    return b"penstock secret 1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
