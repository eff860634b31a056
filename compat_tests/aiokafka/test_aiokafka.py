"""aiokafka: produce and consume, groups, seeks, on asyncio."""

import asyncio
from collections.abc import Awaitable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


def run(test: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))  # type: ignore[arg-type]


async def create(bootstrap: str, topic: str, partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1)])
    await admin.close()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_round_trips(bootstrap: str, topic: str, codec: str | None) -> None:
    async def scenario() -> None:
        await create(bootstrap, topic)
        values = [b"value %d " % i * 10 for i in range(300)]
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec) as producer:
            answers = await asyncio.gather(*[await producer.send(topic, value) for value in values])
        assert [answer.offset for answer in answers] == list(range(300))
        async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
            received = [(await consumer.getone()).value for _ in values]
        assert received == values

    run(scenario())


def test_idempotent_producer(bootstrap: str, topic: str) -> None:
    async def scenario() -> None:
        await create(bootstrap, topic)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
            offsets = [(await producer.send_and_wait(topic, b"%d" % i)).offset for i in range(50)]
        assert offsets == list(range(50))

    run(scenario())


def test_a_group_continues_where_it_committed(bootstrap: str, topic: str, group: str) -> None:
    async def scenario() -> None:
        await create(bootstrap, topic, partitions=2)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for i in range(40):
                await producer.send_and_wait(topic, b"%d" % i, partition=i % 2)
        options = {"bootstrap_servers": bootstrap, "group_id": group, "auto_offset_reset": "earliest"}
        async with AIOKafkaConsumer(topic, enable_auto_commit=False, **options) as consumer:
            first = [(await consumer.getone()).value for _ in range(15)]
            await consumer.commit()
        async with AIOKafkaConsumer(topic, enable_auto_commit=False, **options) as consumer:
            rest = [(await consumer.getone()).value for _ in range(25)]
        assert sorted(first + rest, key=int) == [b"%d" % i for i in range(40)]

    run(scenario())


def test_seek_and_offsets(bootstrap: str, topic: str) -> None:
    async def scenario() -> None:
        await create(bootstrap, topic)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for i in range(10):
                await producer.send_and_wait(topic, b"%d" % i)
        partition = TopicPartition(topic, 0)
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            consumer.assign([partition])
            assert await consumer.beginning_offsets([partition]) == {partition: 0}
            assert await consumer.end_offsets([partition]) == {partition: 10}
            consumer.seek(partition, 7)
            assert [(await consumer.getone()).value for _ in range(3)] == [b"7", b"8", b"9"]

    run(scenario())
