"""One file per API. `broker/` is executed by the broker, `controller/` by the controller. Handlers await, never import trio.

May import layers 0–3 and request.py; never another handler. The interface of a handler module: docstring of request.py.
Kafka: KafkaApis, ControllerApis.
"""
