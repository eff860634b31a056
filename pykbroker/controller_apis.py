"""What is served on the controller's listener, to brokers, to other controllers and to tools (ControllerApis, KIP-919).

Handlers are those of handlers/controller/, whether a request comes over the wire, in an Envelope or from the broker of
this process.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from pykbroker.dispatch import Dispatcher, Session
from pykbroker.protocol.apis import ApiKey
from pykbroker.request import ANONYMOUS, RequestContext, Services

if TYPE_CHECKING:
    from pykbroker.controller.controller import Controller

SERVED_BY_CONTROLLER: Mapping[ApiKey, str] = {
    key: key.name.lower()
    for key in (
        ApiKey.FETCH,
        ApiKey.API_VERSIONS,
        ApiKey.CREATE_TOPICS,
        ApiKey.DELETE_TOPICS,
        ApiKey.ALTER_CONFIGS,
        ApiKey.CREATE_PARTITIONS,
        ApiKey.ELECT_LEADERS,
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        ApiKey.ALTER_PARTITION_REASSIGNMENTS,
        ApiKey.LIST_PARTITION_REASSIGNMENTS,
        ApiKey.VOTE,
        ApiKey.BEGIN_QUORUM_EPOCH,
        ApiKey.END_QUORUM_EPOCH,
        ApiKey.DESCRIBE_QUORUM,
        ApiKey.ALTER_PARTITION,
        ApiKey.UPDATE_FEATURES,
        ApiKey.ENVELOPE,
        ApiKey.FETCH_SNAPSHOT,
        ApiKey.DESCRIBE_CLUSTER,
        ApiKey.BROKER_REGISTRATION,
        ApiKey.BROKER_HEARTBEAT,
        ApiKey.UNREGISTER_BROKER,
        ApiKey.ALLOCATE_PRODUCER_IDS,
        ApiKey.CONTROLLER_REGISTRATION,
        ApiKey.ASSIGN_REPLICAS_TO_DIRS,
        ApiKey.ADD_RAFT_VOTER,
        ApiKey.REMOVE_RAFT_VOTER,
        ApiKey.UPDATE_RAFT_VOTER,
    )
}


class ControllerSession(Session):
    """A connection to the controller; nothing is held for one."""

    __slots__ = ()

    def closed(self) -> None:
        return


class ControllerDispatcher(Dispatcher):
    """Its handlers are given the Controller where those of a broker get Services."""

    def __init__(self, controller: "Controller", *, unstable: bool = False) -> None:
        super().__init__(cast(Services, controller), SERVED_BY_CONTROLLER, unstable, package="controller")

    def open_session(
        self,
        listener_name: str,
        security_protocol: str,
        client: tuple[str, int],
        local: tuple[str, int],
        principal: str = ANONYMOUS,
    ) -> Session:
        return ControllerSession(self, listener_name, security_protocol, client, local, principal)

    def open_forwarded(self, ctx: RequestContext, client_host: str, principal: str) -> Session:
        """For a request in an Envelope, which was not sent by who sent `ctx`."""
        local = ctx.local_host, ctx.local_port
        return self.open_session(ctx.listener_name, ctx.security_protocol, (client_host, 0), local, principal)
