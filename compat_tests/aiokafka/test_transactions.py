"""aiokafka: transactions, offsets in them, zombies."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from compat_tests.aiokafka.test_aiokafka import create, run


async def read(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[bytes]:
    """All that can be read to the end."""
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level=isolation) as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while await consumer.position(partition) < end:
            batches = await consumer.getmany(timeout_ms=500)
            values += [record.value for batch in batches.values() for record in batch]
        return values


def test_committed_and_aborted(bootstrap: str, topic: str) -> None:
    async def scenario() -> None:
        await create(bootstrap, topic)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"tx-{topic}") as producer:
            for number in range(10):
                await producer.begin_transaction()
                await producer.send_and_wait(topic, b"%d" % number)
                if number % 2:
                    await producer.commit_transaction()
                else:
                    await producer.abort_transaction()
        assert await read(bootstrap, topic) == [b"%d" % number for number in range(1, 10, 2)]

    run(scenario())


def test_offsets_are_part_of_the_transaction(bootstrap: str, topic: str, group: str) -> None:
    async def scenario() -> None:
        await create(bootstrap, topic)
        partition = TopicPartition(topic, 0)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"tx-{topic}") as producer:
            async with producer.transaction():
                await producer.send_and_wait(topic, b"first")
                await producer.send_offsets_to_transaction({partition: 7}, group)
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"second")
            await producer.send_offsets_to_transaction({partition: 9}, group)
            await producer.abort_transaction()
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group) as consumer:
            assert await consumer.committed(partition) == 7
        assert await read(bootstrap, topic) == [b"first"]

    run(scenario())


def test_a_zombie_is_fenced(bootstrap: str, topic: str) -> None:
    async def scenario() -> None:
        await create(bootstrap, topic)
        zombie = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"tx-{topic}")
        await zombie.start()
        await zombie.begin_transaction()
        await zombie.send_and_wait(topic, b"of the zombie")
        heir = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"tx-{topic}")
        async with heir, heir.transaction():
            await heir.send_and_wait(topic, b"of the heir")
        with pytest.raises(KafkaError):
            await zombie.commit_transaction()
        await asyncio.wait_for(zombie.stop(), 10)
        assert await read(bootstrap, topic) == [b"of the heir"]

    run(scenario())
