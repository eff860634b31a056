"""Keys of SCRAM credentials (RFC 5802; ScramFormatter, ScramMechanism)."""

import hashlib
import hmac
import secrets
import string
from typing import NamedTuple

DEFAULT_ITERATIONS = 4096
# What a random salt is made of, and how much of it: 130 bits, as readable text (ScramFormatter.secureRandomString).
_ALPHABET = string.digits + string.ascii_lowercase
_SALT_LENGTH = 26


class Mechanism(NamedTuple):
    """`type` is its number in records and requests, `hash_name` is hashlib's."""

    name: str
    type: int
    hash_name: str
    min_iterations: int
    max_iterations: int

    def salted_password(self, password: str, salt: bytes, iterations: int) -> bytes:
        """Slow on purpose. As in Kafka the password is taken as it is, without SASLprep."""
        return hashlib.pbkdf2_hmac(self.hash_name, password.encode(), salt, iterations)

    def stored_key(self, salted_password: bytes) -> bytes:
        return hashlib.new(self.hash_name, self._hmac(salted_password, b"Client Key")).digest()

    def server_key(self, salted_password: bytes) -> bytes:
        return self._hmac(salted_password, b"Server Key")

    def _hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.hash_name)


MECHANISMS = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("SCRAM-SHA-256", 1, "sha256", 4096, 16384),
        Mechanism("SCRAM-SHA-512", 2, "sha512", 4096, 16384),
    )
}


def random_salt() -> bytes:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SALT_LENGTH)).encode()
