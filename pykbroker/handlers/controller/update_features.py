"""UpdateFeatures (57): raises and lowers feature levels (KIP-584, KIP-778, KIP-1022)."""

from pykbroker.controller.controller import Controller
from pykbroker.controller.feature_control import KRAFT_VERSION, FeatureControl, Update
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.update_features import (
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse:
    updates = {
        update.feature: Update(update.max_version_level, update.upgrade_type) for update in request.feature_updates
    }

    def decide(image: MetadataImage) -> ControllerResult[None]:
        quorum = controller.quorum
        control = FeatureControl(
            image,
            controller.config,
            controller.node_id,
            quorum.kraft_version,
            has_listener=bool(quorum.endpoints),
        )
        result = control.update(updates)
        if request.validate_only:
            return ControllerResult([], None)
        if control.raises_quorum(updates):
            controller.upgrade_quorum(updates[KRAFT_VERSION].level)
        return result

    try:
        await controller.execute(decide)
    except KafkaError as error:
        if error.code != ErrorCode.INVALID_UPDATE_VERSION:
            raise
        reason = f"The update failed for all features since the following feature had an error: {error.message}"
        raise KafkaError(error.code, reason) from None
    rows = [UpdatableFeatureResult(feature=each.feature, error_message="NONE") for each in request.feature_updates]
    return UpdateFeaturesResponse(error_message=None, results=rows if ctx.api_version <= 1 else [])


def error_response(request: UpdateFeaturesRequest, error: KafkaError, version: int) -> UpdateFeaturesResponse:
    return UpdateFeaturesResponse(error_code=error.code, error_message=error.message)
