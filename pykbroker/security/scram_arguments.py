"""SCRAM credentials as text: SCRAM-SHA-256=[name=alice,password=secret] (ScramParser, KIP-900)."""

import base64
import binascii
from typing import TYPE_CHECKING

from pykbroker.security.scram import DEFAULT_ITERATIONS, MECHANISMS, Mechanism, random_salt

if TYPE_CHECKING:
    from pykbroker.protocol.persisted.metadata.user_scram_credential_record import UserScramCredentialRecord

KNOWN = ("iterations", "name", "password", "salt", "saltedpassword")


class InvalidCredential(ValueError):
    """str() tells what is wrong, without the password."""


def parse(text: str) -> "UserScramCredentialRecord":
    """The record of one credential; without a salt it gets a random one. Raises InvalidCredential."""
    from pykbroker.protocol.persisted.metadata.user_scram_credential_record import UserScramCredentialRecord

    mechanism, fields = _split(text.strip())
    name = fields.get("name")
    if name is None:
        raise InvalidCredential("a SCRAM credential needs name=USER")
    salt = _decoded(name, "salt", fields["salt"]) if "salt" in fields else random_salt()
    iterations = _iterations(mechanism, name, fields.get("iterations"))
    salted = _salted_password(mechanism, name, fields, salt, iterations)
    return UserScramCredentialRecord(
        name=name,
        mechanism=mechanism.type,
        salt=salt,
        stored_key=mechanism.stored_key(salted),
        server_key=mechanism.server_key(salted),
        iterations=iterations,
    )


def _split(text: str) -> tuple[Mechanism, dict[str, str]]:
    named, equals, rest = text.partition("=")
    mechanism = MECHANISMS.get(named)
    if not equals or mechanism is None:
        raise InvalidCredential(
            f"a SCRAM credential begins with one of {', '.join(f'{each}=[' for each in MECHANISMS)}, not {named!r}"
        )
    if not (rest.startswith("[") and rest.endswith("]") and len(rest) > 1):
        raise InvalidCredential(f"what follows {named}= must stand in brackets: {named}=[name=USER,password=SECRET]")
    fields = {}
    for part in rest[1:-1].rstrip(",").split(","):
        name, equals, value = part.partition("=")
        if not equals or name not in KNOWN:
            raise InvalidCredential(f"{name!r} is no part of a SCRAM credential; there are {', '.join(KNOWN)}")
        is_quoted = len(value) >= 2 and value.startswith('"') and value.endswith('"')
        fields[name] = value[1:-1] if is_quoted else value
    return mechanism, fields


def _iterations(mechanism: Mechanism, name: str, text: str | None) -> int:
    if text is None:
        return DEFAULT_ITERATIONS
    lowest, highest = mechanism.min_iterations, mechanism.max_iterations
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise InvalidCredential(
            f"the {mechanism.name} credential of {name} must have from {lowest} to {highest} iterations, not {text}"
        )
    return int(text)


def _salted_password(mechanism: Mechanism, name: str, fields: dict[str, str], salt: bytes, iterations: int) -> bytes:
    """A password wins over a salted one, as in Kafka."""
    password, salted = fields.get("password"), fields.get("saltedpassword")
    if password is not None:
        if not password:
            raise InvalidCredential(f"the password of {name} is empty")
        return mechanism.salted_password(password, salt, iterations)
    if salted is None:
        raise InvalidCredential(f"the credential of {name} needs a password, or a saltedpassword with its salt")
    if "salt" not in fields:
        raise InvalidCredential(f"the saltedpassword of {name} needs the salt that it was made with")
    decoded = _decoded(name, "saltedpassword", salted)
    if not decoded:
        raise InvalidCredential(f"the saltedpassword of {name} is empty")
    return decoded


def _decoded(name: str, field: str, text: str) -> bytes:
    """Base64, with or without its padding (java.util.Base64)."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise InvalidCredential(f"the {field} of {name} is not base64") from None
