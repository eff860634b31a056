import pytest

from pykbroker.metadata.topic_names import (
    has_collision_characters,
    is_internal,
    unify_collision_characters,
    why_invalid,
)


@pytest.mark.parametrize("name", ["t", "A-b_c.d9", "x" * 249, "...", "__consumer_offsets"])
def test_legal_names(name):
    assert why_invalid(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "Topic name is invalid: the empty string is not allowed"),
        (".", "Topic name is invalid: '.' is not allowed"),
        ("..", "Topic name is invalid: '..' is not allowed"),
        (
            "x" * 250,
            f"Topic name is invalid: the length of '{'x' * 250}' is longer than the max allowed length 249",
        ),
        (
            "a b",
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, "
            "'.', '_' and '-'",
        ),
        (
            "größe",
            "Topic name is invalid: 'größe' contains one or more characters other than ASCII alphanumerics, "
            "'.', '_' and '-'",
        ),
    ],
)
def test_illegal_names_are_refused_in_kafkas_words(name, reason):
    assert why_invalid(name) == reason


def test_internal_topics():
    assert is_internal("__consumer_offsets")
    assert is_internal("__transaction_state")
    assert is_internal("__share_group_state")
    assert not is_internal("__cluster_metadata")
    assert not is_internal("consumer_offsets")


def test_names_that_collide_in_metrics():
    assert unify_collision_characters("a.b_c") == unify_collision_characters("a_b.c")
    assert has_collision_characters("a.b")
    assert has_collision_characters("a_b")
    assert not has_collision_characters("a-b")
