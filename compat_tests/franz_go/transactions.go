package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

const transactions = 6

// transact commits every second of a few transactions, aborts the others, and reads what is committed.
func (p *program) transact() error {
	topic := p.topic + "-tx"
	if _, err := p.admin.CreateTopic(p.ctx, 1, 1, nil, topic); err != nil {
		return err
	}
	producer, err := p.client(kgo.TransactionalID(topic), kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer producer.Close()
	for i := 0; i < transactions; i++ {
		if err := producer.BeginTransaction(); err != nil {
			return err
		}
		record := kgo.StringRecord(fmt.Sprintf("value %d", i))
		record.Key = []byte(fmt.Sprint(i))
		if err := producer.ProduceSync(p.ctx, record).FirstErr(); err != nil {
			return err
		}
		if err := producer.EndTransaction(p.ctx, kgo.TransactionEndTry(i%2 == 0)); err != nil {
			return fmt.Errorf("the end of %d: %w", i, err)
		}
	}
	return p.onlyCommitted(topic)
}

func (p *program) onlyCommitted(topic string) error {
	start := kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())
	consumer, err := p.client(kgo.ConsumeTopics(topic), start, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer consumer.Close()
	taken, err := p.take(consumer, transactions/2)
	if err != nil {
		return err
	}
	for key := range taken {
		if (key[0]-'0')%2 != 0 {
			return fmt.Errorf("transaction %s was aborted, but read", key)
		}
	}
	return nil
}

// pipe copies a topic in a group and in transactions: exactly once.
func (p *program) pipe() error {
	source, target := p.topic+"-tx", p.topic+"-copy"
	if _, err := p.admin.CreateTopic(p.ctx, 1, 1, nil, target); err != nil {
		return err
	}
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(p.bootstrap),
		kgo.TransactionalID(target),
		kgo.DefaultProduceTopic(target),
		kgo.ConsumerGroup(p.group+"-pipe"),
		kgo.ConsumeTopics(source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	for copied := 0; copied < transactions/2; {
		fetches := session.PollFetches(p.ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(p.ctx, kgo.KeySliceRecord(record.Key, record.Value), nil)
		})
		committed, err := session.End(p.ctx, kgo.TryCommit)
		if err != nil {
			return err
		}
		if committed {
			copied += fetches.NumRecords()
		}
	}
	return p.onlyCommitted(target)
}
