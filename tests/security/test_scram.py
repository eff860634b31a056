"""Keys against those of RFC 7677 and of kafka-storage 4.3.1."""

import base64
import hashlib
import hmac

import pytest

from pykbroker.security.scram import MECHANISMS, random_salt


def test_the_example_of_rfc_7677() -> None:
    """User "user", password "pencil": the server's signature and the client's proof tell both keys."""
    mechanism = MECHANISMS["SCRAM-SHA-256"]
    salted = mechanism.salted_password("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(mechanism.server_key(salted), message, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client_signature = hmac.digest(mechanism.stored_key(salted), message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, client_signature, strict=True))
    assert hashlib.sha256(client_key).digest() == mechanism.stored_key(salted)


@pytest.mark.parametrize(("name", "size", "number"), [("SCRAM-SHA-256", 32, 1), ("SCRAM-SHA-512", 64, 2)])
def test_mechanisms(name: str, size: int, number: int) -> None:
    mechanism = MECHANISMS[name]
    assert mechanism.type == number
    assert len(mechanism.salted_password("secret", b"salt", 4096)) == size
    assert (mechanism.min_iterations, mechanism.max_iterations) == (4096, 16384)


def test_salts_are_text_and_differ() -> None:
    salts = {random_salt() for _ in range(10)}
    assert len(salts) == 10
    assert all(salt.isalnum() and len(salt) == 26 for salt in salts)
