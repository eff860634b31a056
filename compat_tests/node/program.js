// A program that uses Kafka through kafkajs as a user would: admin, codecs, alone and in a group.
// node program.js HOST:PORT PREFIX; PREFIX makes the names of its topics and groups. Exit code 1 on any surprise.
import assert from 'node:assert/strict'
import kafkajs from 'kafkajs'
import SnappyCodec from 'kafkajs-snappy'

const { CompressionTypes, CompressionCodecs, ConfigResourceTypes, Kafka, logLevel } = kafkajs
CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec

const [bootstrap, prefix] = process.argv.slice(2)
const topic = `${prefix}-topic`
const group = `${prefix}-group`
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy }
const perCodec = 20
const total = perCodec * Object.keys(codecs).length

const kafka = new Kafka({ clientId: 'node', brokers: [bootstrap], logLevel: logLevel.ERROR, retry: { retries: 2 } })
const admin = kafka.admin()

function messages(codec) {
  return Array.from({ length: perCodec }, (_, i) => ({
    key: `${codec}-${i}`,
    value: `value ${i} of ${codec}, long enough to be worth a compression, compression`,
    headers: { codec },
  }))
}

async function produce() {
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  for (const [codec, compression] of Object.entries(codecs)) {
    await producer.send({ topic, compression, acks: -1, messages: messages(codec) })
  }
  await producer.disconnect()
  const idempotent = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await idempotent.connect()
  await idempotent.send({ topic, messages: [{ key: 'last', value: 'one more' }] })
  await idempotent.disconnect()
}

async function consume(groupId, count) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, rebalanceTimeout: 10000 })
  const taken = new Map()
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    consumer
      .run({
        eachMessage: async ({ message }) => {
          taken.set(message.key.toString(), message)
          if (taken.size >= count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return taken
}

async function ends() {
  const rows = await admin.fetchTopicOffsets(topic)
  return rows.reduce((sum, row) => sum + Number(row.high), 0)
}

async function committed() {
  const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  return partitions.reduce((sum, row) => sum + Math.max(Number(row.offset), 0), 0)
}

async function run() {
  await admin.connect()
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] }), true)
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] }), false)
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
  assert.equal(metadata.topics[0].partitions.length, 3)

  await produce()
  assert.equal(await ends(), total + 1)

  const taken = await consume(group, total + 1)
  for (const codec of Object.keys(codecs)) {
    for (const { key, value } of messages(codec)) {
      assert.equal(taken.get(key).value.toString(), value)
      assert.equal(taken.get(key).headers.codec.toString(), codec)
    }
  }
  assert.equal(taken.get('last').value.toString(), 'one more')
  assert.equal(await committed(), total + 1)
  const { groups } = await admin.describeGroups([group])
  assert.equal(groups[0].state, 'Empty')

  const changes = { type: ConfigResourceTypes.TOPIC, name: topic }
  const configEntries = [{ name: 'retention.ms', value: '86400000' }]
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...changes, configEntries }] })
  const { resources } = await admin.describeConfigs({ resources: [{ ...changes, configNames: ['retention.ms'] }] })
  assert.equal(resources[0].configEntries[0].configValue, '86400000')

  await admin.deleteGroups([group])
  await admin.deleteTopics({ topics: [topic] })
  assert.equal((await admin.listTopics()).includes(topic), false)
  await admin.disconnect()
}

run().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
