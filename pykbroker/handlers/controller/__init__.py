"""One file per API that the controller executes: `async def handle(controller, ctx, request) -> response`."""
