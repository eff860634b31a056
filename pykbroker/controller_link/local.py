"""The embedded controller: forwarding is a function call (ForwardingManager, NodeToControllerChannelManager)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from pykbroker.controller.controller import Controller
from pykbroker.controller.producer_id_control import allocate_producer_ids
from pykbroker.errors import KafkaError
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.request import RequestContext

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

HANDLERS = "pykbroker.handlers.controller"


class LocalControllerLink:
    """request.ControllerLink, and what LifecycleLoop needs. Handlers are imported when their API first comes."""

    controller_versions = None

    def __init__(self, controller: Controller, node_id: int) -> None:
        self._controller = controller
        self._node_id = node_id
        self._modules: dict[int, Any] = {}

    @property
    def kraft_version(self) -> int:
        return self._controller.quorum.kraft_version

    async def forward(self, ctx: RequestContext, request: "Message") -> "Message":
        """The controller's response. Raises KafkaError: INVALID_REQUEST for an API that is not a controller's."""
        return cast("Message", await self.handler(ctx.api_key).handle(self._controller, ctx, request))

    def handler(self, api_key: int) -> Any:
        """The module of handlers/controller/ for the API, for its handle() and error_response(). Raises KafkaError."""
        module = self._modules.get(api_key)
        if module is None:
            info = API_TABLE.get(api_key)
            if info is None or "controller" not in info.listeners:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"the controller does not execute API {api_key}")
            module = self._modules[api_key] = import_module(f"{HANDLERS}.{info.module}")
        return module

    async def allocate_producer_ids(self) -> tuple[int, int]:
        """(first producer id, number of ids) of a fresh block. Raises KafkaError."""
        broker = self._controller.image.brokers.get(self._node_id)
        epoch = -1 if broker is None else broker.epoch
        block = await self._controller.execute(lambda image: allocate_producer_ids(image, self._node_id, epoch))
        return block.first, block.size

    async def call(self, api_key: int, request: "Message") -> "Message":
        """A request of the broker itself, not of a client: registration, heartbeat. Raises KafkaError."""
        version = API_TABLE[api_key].max_version
        return await self.forward(RequestContext(api_key, version, client_id=str(self._node_id)), request)
