"""RemoveRaftVoter, as the real Kafka 4.3.1 answers it for static voters, forwarded by a broker."""

import pytest

from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from tests.handlers.broker.asker import Asker

SOME = Uuid(range(16))


@pytest.mark.parametrize(
    ("cluster_id", "voter", "directory", "code", "message"),
    [
        (None, 2, SOME, ErrorCode.UNSUPPORTED_VERSION, "removing voter because the kraft.version feature is 0"),
        (None, -1, SOME, ErrorCode.INVALID_REQUEST, "Remove voter request didn't include a valid voter"),
        (None, 2, ZERO_UUID, ErrorCode.INVALID_REQUEST, "Remove voter request didn't include a valid voter"),
        ("other", 2, SOME, ErrorCode.INCONSISTENT_CLUSTER_ID, None),
    ],
)
def test_static_voters_stay(
    cluster: Asker, cluster_id: str | None, voter: int, directory: Uuid, code: int, message: str | None
) -> None:
    request = RemoveRaftVoterRequest(cluster_id=cluster_id, voter_id=voter, voter_directory_id=directory)
    response = cluster.ask(request, 0)
    assert (response.throttle_time_ms, response.error_code) == (0, code)
    if message is not None:
        assert response.error_message.endswith(message)
