"""One file per API. `broker/` runs in the broker, `controller/` in the controller. Handlers never import trio.

May import layers 0–3 and request.py; never another handler. The interface of a handler module: docstring of request.py.
Kafka: KafkaApis, ControllerApis.
"""
