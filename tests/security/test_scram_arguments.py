"""Credentials on the command line. The keys are those that kafka-storage 4.3.1 wrote for the same text."""

import base64

import pytest

from pykbroker.security.scram_arguments import InvalidCredential, parse

ALICE = 'SCRAM-SHA-256=[name=alice,iterations=8192,salt="MWx2NHBkbnc0ZndxN25vdGN4bTB5Y3drZno=",password=alice-secret]'
BOB = 'SCRAM-SHA-512=[name=bob,iterations=8192,salt="N3E=",saltedpassword="YCE="]'


def test_a_password() -> None:
    record = parse(ALICE)
    assert (record.name, record.mechanism, record.iterations) == ("alice", 1, 8192)
    assert record.salt == base64.b64decode("MWx2NHBkbnc0ZndxN25vdGN4bTB5Y3drZno=")
    assert base64.b64encode(record.stored_key) == b"GsP8mXWmHRiIWrIu+n9qU7/ZZSaTU1IvjBDRb146W+4="
    assert base64.b64encode(record.server_key) == b"NG/oGAcYzy54qJou6kEthaJavYka7Ao6n/+wBWSdmvA="


def test_a_salted_password() -> None:
    record = parse(BOB)
    assert (record.name, record.mechanism, record.iterations, record.salt) == ("bob", 2, 8192, b"7q")
    assert base64.b64encode(record.stored_key).startswith(b"cXajSfkesuEdmelXMIE1FvL2RXPfwlrmGKyq6ai/1my6GnQB")
    assert base64.b64encode(record.server_key).startswith(b"TGF8Dt3uWsZYXy+/UBt86VtHDWvwHxtUnCY8GKG1QG6muF9I")


def test_what_is_left_out() -> None:
    record = parse(" SCRAM-SHA-256=[name=a b,password=p=q,] ")
    assert (record.name, record.iterations, len(record.salt)) == ("a b", 4096, 26)
    assert parse("SCRAM-SHA-256=[name=a,password=x,salt=N3E]").salt == b"7q"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SCRAM-SHA-256", "begins with one of SCRAM-SHA-256=[, SCRAM-SHA-512=[, not 'SCRAM-SHA-256'"),
        ("SCRAM-SHA-1=[name=a,password=b]", "begins with one of"),
        ("SCRAM-SHA-256=name=a,password=b", "must stand in brackets"),
        ("SCRAM-SHA-256=[", "must stand in brackets"),
        ("SCRAM-SHA-256=[password=b]", "needs name=USER"),
        ("SCRAM-SHA-256=[]", "'' is no part"),
        ("SCRAM-SHA-256=[name=a]", "the credential of a needs a password, or a saltedpassword"),
        ("SCRAM-SHA-256=[name=a,password=]", "the password of a is empty"),
        ("SCRAM-SHA-256=[name=a,saltedpassword=YCE=]", "the saltedpassword of a needs the salt"),
        ("SCRAM-SHA-256=[name=a,salt=N3E=,saltedpassword=]", "the saltedpassword of a is empty"),
        ("SCRAM-SHA-256=[name=a,password=b,salt=?]", "the salt of a is not base64"),
        ("SCRAM-SHA-256=[name=a,password=b,iterations=5]", "from 4096 to 16384 iterations, not 5"),
        ("SCRAM-SHA-256=[name=a,password=b,iterations=16385]", "from 4096 to 16384 iterations, not 16385"),
        ("SCRAM-SHA-256=[name=a,password=b,iterations=x]", "from 4096 to 16384 iterations, not x"),
        ("SCRAM-SHA-256=[name=a,pasword=topsecret]", "'pasword' is no part"),
    ],
)
def test_what_cannot_be_is_told_without_secrets(text: str, message: str) -> None:
    with pytest.raises(InvalidCredential) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "topsecret" not in str(caught.value)
