"""`pykbroker wire show`: the schema of any message, for a person."""

import pytest

from pykbroker.cli import wire_show
from pykbroker.protocol.schema import schemas


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert wire_show.run(list(arguments)) == 0
    return capsys.readouterr().out


HEARTBEAT = """\
HeartbeatRequest (request, API 12, versions 0-4, flexible from 4)
  GroupId          groupId
  GenerationId     int32
  MemberId         string
  GroupInstanceId  string   versions 3+, nullable, default null

HeartbeatResponse (response, API 12, versions 0-4, flexible from 4)
  ThrottleTimeMs  int32  versions 1+, dropped where a version lacks it
  ErrorCode       int16
"""


def test_an_api(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "Heartbeat") == shown(capsys, "heartbeat") == HEARTBEAT


def test_one_version(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "Fetch", "--version", "12")
    assert "FetchRequest (request, API 1, version 12 of 4-18, flexible from 12)" in text
    assert "ReplicaId" in text
    assert "ReplicaState" not in text
    assert "    Topic                 topicName" in text
    assert "TopicId " not in text
    assert shown(capsys, "--version=13", "FetchRequest").count("TopicId") == 2


def test_records_and_embedded_messages(capsys: pytest.CaptureFixture[str]) -> None:
    for name, head in {
        "PartitionRecord": "PartitionRecord (record of a metadata log, type 3, versions 0-2, flexible from 0)",
        "partition": "PartitionRecord (",
        "GroupMetadata": "GroupMetadataValue (value of a coordinator's record, type 2, versions 0-4, flexible from 4)",
        "OffsetCommitKey": "OffsetCommitKey (key of a coordinator's record, type 1, version 0, never flexible)",
        "LeaderChange": "LeaderChangeMessage (data, versions 0-1, flexible from 0)",
        "RequestHeader": "never compact",
        "InitProducerId": "6 unstable",
        "OffsetCommit": "OffsetCommitValue (",
        "BeginTransaction": "Name  string  nullable, tag 0, default null",
    }.items():
        assert head in shown(capsys, name)


def test_every_message_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for name, schema in schemas().items():
        for version in range(schema.lowest, schema.highest + 1):
            assert name in shown(capsys, name, "--version", str(version))
    assert "(no fields)" in shown(capsys, "ApiVersionsRequest", "--version", "0")


def test_all_names(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys).splitlines()
    assert len(lines) == 273 - 89
    assert lines[0] == "Produce                          API 0, versions 3-13"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Fech"], "no message is called Fech; perhaps Fetch"),
        (["Fetch", "--version", "3"], "Fetch has no version 3, only 4-18"),
        (["Fetch", "--version"], "--version wants a number"),
        (["Fetch", "--version", "x"], "--version wants a number, not 'x'"),
        (["Fetch", "--color"], "unknown option --color"),
        (["Fetch", "Produce"], "one name at a time"),
        (["StopReplica"], "StopReplica (API 5) has no version any more"),
    ],
)
def test_misuse(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert wire_show.run(arguments) == 2
    assert says in capsys.readouterr().err
