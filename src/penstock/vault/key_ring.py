"""The key ring: seals secrets with the newest master key, opens what any key of the ring sealed.

AES-256-GCM-SIV (RFC 8452), which survives a repeated nonce. What a secret belongs to (workspace,
connection, field) and the key's id are bound in as associated data, so sealed bytes moved to
another row do not open.

Sealed form: version (1 byte, 1), key id (8 bytes), nonce (12 bytes), ciphertext with tag.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from penstock.errors import SecretError

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _ID_BYTES + _NONCE_BYTES
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


class KeyRing:
    """Master keys by id. The first given one seals; all of them open (for rotation)."""

    def __init__(self, *keys: bytes) -> None:
        """keys: 32 bytes each, at least one. Raises SecretError for any other length."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise SecretError(f"a master key has exactly {KEY_BYTES} bytes")
        self._ciphers = {_key_id(key): _cipher(key) for key in keys}
        self._newest = _key_id(keys[0])

    @classmethod
    def from_text(cls, text: str) -> KeyRing:
        """From base64 of 32 bytes, as in PENSTOCK_MASTER_KEY. Raises SecretError."""
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise SecretError(_NOT_A_KEY) from None
        if len(key) != KEY_BYTES:
            raise SecretError(_NOT_A_KEY)
        return cls(key)

    @classmethod
    def load_or_create(cls, path: Path) -> tuple[KeyRing, bool]:
        """The ring behind a key file, and whether the file was made just now.

        A new file appears whole or not at all, for its owner's eyes only (mode 0600). Of two
        processes that make it at once, both get the same key. Raises SecretError where the file
        is unreadable, open to others, or no key.
        """
        try:
            created = not path.exists() and _create(path)
            _refuse_exposed(path)
            return cls.from_text(path.read_text("ascii")), created
        except (OSError, UnicodeDecodeError) as error:
            raise SecretError(f"the key file {path} cannot be used: {error}") from error

    @property
    def key_id(self) -> str:
        """The id of the key that seals, in hex. Tells keys apart and gives nothing away."""
        return self._newest.hex()

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
        key_id = sealed[1 : 1 + _ID_BYTES]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretError(
                f"{field} of {connection} was sealed with master key {key_id.hex()}, and this "
                f"process has {', '.join(known.hex() for known in self._ciphers)}: give the key "
                "that was used (PENSTOCK_MASTER_KEY or the key file), or connect again"
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


_NOT_A_KEY = (
    "the master key must be base64 of 32 bytes; make one with "
    "`python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'`"
)


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


def _associated(workspace: str, connection: str, field: str, key_id: bytes) -> bytes:
    parts = (workspace.encode(), connection.encode(), field.encode(), key_id)
    return b"penstock secret 1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _create(path: Path) -> bool:
    """Write a new key beside the path and link it there; False if another process was quicker."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    draft = Path(name)
    try:
        with open(handle, "wb") as file:  # mkstemp made it with mode 0600
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)  # refuses to replace, unlike a rename
        return True
    except FileExistsError:
        return False
    finally:
        draft.unlink()
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Secrets sealed with a key that a power cut takes away are lost for good.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _refuse_exposed(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & _OTHERS_MAY:
        raise SecretError(f"the key file {path} is open to other users: run `chmod 600 {path}`")
