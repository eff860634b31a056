"""The notation of protocol_specs/: what a line says, and what is refused."""

from pathlib import Path

import pytest

from tools.generate.notation import OPEN, SpecError, Versions, camel, parse_field, parse_text, parse_versions, snake

EXAMPLE = """\
api 9 OffsetFetch 1-10 flex 6+ unstable 10 on broker controller clusterAction forwardable responseHeader 0  # comment

request
  GroupId        groupId 0-7
  Topics         []Topic?2-7 = null 0-7 ~
    Name     topicName key
    Indexes  []int32
  Groups         []Group 8+
    Topics  []Topic?
  Epoch          brokerId = -1 tag 0 9+

response
  ErrorCode  int16
"""


def test_an_api() -> None:
    spec = parse_text(Path("x.spec"), EXAMPLE)
    (api,) = spec.apis
    assert (api.key, api.name, api.versions, api.flexible_from) == (9, "OffsetFetch", Versions(1, 10), 6)
    assert (api.listeners, api.cluster_action, api.forwardable) == (["broker", "controller"], True, True)
    assert (api.unstable, api.response_header) == (10, 0)
    request, response = spec.messages
    assert (request.name, request.kind, request.key) == ("OffsetFetchRequest", "request", 9)
    assert [field.name for field in response.body.fields] == ["ErrorCode"]
    group_id, topics, groups, epoch = request.body.fields
    assert (group_id.type, group_id.entity, sorted(group_id.present)) == ("string", "groupId", [1, 2, 3, 4, 5, 6, 7])
    assert (topics.array, topics.default, topics.ignorable, sorted(topics.null_in)) == (
        True, "null", True, [2, 3, 4, 5, 6, 7],
    )  # fmt: skip
    assert groups.struct is not None
    assert groups.struct.fields[0].struct is topics.struct  # used again by name
    assert topics.struct is not None
    assert topics.struct.used_in == request.valid
    assert topics.struct.fields[0].map_key
    assert (epoch.tag, epoch.type, epoch.default, sorted(epoch.present)) == (0, "int32", "-1", [9, 10])


def test_records() -> None:
    text = "record 3 TopicRecord 0-2\n  Name  string\n"
    (record,) = parse_text(Path("x.spec"), text).messages
    assert (record.name, record.kind, record.key, record.flexible_from) == ("TopicRecord", "metadata", 3, OPEN)
    text = "record 1 Offset\n\nkey 0\n  Group  string\n\nvalue 0-4 flex 4+\n  Offset  int64\n"
    key, value = parse_text(Path("x.spec"), text).messages
    assert [(part.name, part.kind, part.key) for part in (key, value)] == [
        ("OffsetKey", "coordinator-key", 1),
        ("OffsetValue", "coordinator-value", 1),
    ]
    (message,) = parse_text(Path("x.spec"), "message Data 1\n  Id  string? classic zerocopy\n").messages
    (field,) = message.body.fields
    assert (message.kind, message.key, field.classic, field.zero_copy) == ("data", None, True, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3+", Versions(3, OPEN)), ("2-5", Versions(2, 5)), ("4", Versions(4, 4)), ("none", None), ("x", None)],
)
def test_versions(text: str, expected: Versions | None) -> None:
    assert parse_versions(text) == expected


def test_a_default_of_nothing() -> None:
    assert parse_field('RackId string = "" 11+').default == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("  Name  string\n", "before any head line"),
        ("message A 0\n  Name  strin\n", "unknown type strin"),
        ("message A 0\n  Name  string nonsense\n", "unexpected 'nonsense'"),
        ("message A 0\n  Name  string 1+ 2+\n", "unexpected '2\\+'"),
        ("message A 0\n  Name  string\n  Name  string\n", "field Name twice"),
        ("message A 0\n  Name  Missing\n", "struct Missing is used and never defined"),
        ("message A none\n  Name  string\n", "no versions"),
        ("message A 0 flex 0\n  Name  string\n", "flex wants N\\+"),
        ("api 1 A 0 nonsense\n", "unexpected 'nonsense'"),
        ("api 1 A x\n", "versions x"),
        ("api 1 A none\nrequest\n  Name  string\n", "has a body and no versions"),
        ("request\n  Name  string\n", "unexpected line request"),
        ("key 0\n  Name  string\n", "unexpected line key 0"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_text(Path("x.spec"), text)


@pytest.mark.parametrize(
    ("name", "snaked"),
    [
        ("OffsetFetch", "offset_fetch"),
        ("KRaftVersionFeature", "kraft_version_feature"),
        ("V3AndBelowTopics", "v3_and_below_topics"),
        ("Isr", "isr"),
        ("memberId", "member_id"),
        ("ACLs", "ac_ls"),
    ],
)
def test_snake(name: str, snaked: str) -> None:
    assert snake(name) == snaked


def test_camel() -> None:
    assert camel("ClusterId") == "clusterId"
