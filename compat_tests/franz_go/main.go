// A program that uses Kafka through franz-go as a user would: admin, every codec, alone and in a group, transactions.
// franz_go HOST:PORT PREFIX [eager|cooperative|consumer]; PREFIX makes the names of its topics and groups. A protocol
// runs the chains of groups (chain.go) instead.
// Silent success, or one line and exit code 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const perCodec = 20

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

type program struct {
	ctx       context.Context
	bootstrap string
	topic     string
	group     string
	admin     *kadm.Client
}

func main() {
	seconds := 25 * time.Second
	if len(os.Args) > 3 {
		seconds = 80 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), seconds)
	defer cancel()
	p := &program{ctx: ctx, bootstrap: os.Args[1], topic: os.Args[2] + "-topic", group: os.Args[2] + "-group"}
	if err := p.run(os.Args[3:]); err != nil {
		fmt.Println("franz-go:", err)
		os.Exit(1)
	}
}

func (p *program) run(protocols []string) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	defer client.Close()
	p.admin = kadm.NewClient(client)
	if len(protocols) > 0 {
		return p.chains(protocols[0])
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"create", p.create},
		{"produce", p.produce},
		{"consume alone", p.consumeAlone},
		{"consume in a group", p.consumeInGroup},
		{"consume by the new protocol", p.consumeByNewProtocol},
		{"go on where the group stopped", p.goOn},
		{"offsets", p.offsets},
		{"configs", p.configs},
		{"transactions", p.transact},
		{"exactly once", p.pipe},
		{"delete", p.delete},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (p *program) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(p.bootstrap))...)
}

func (p *program) create() error {
	if _, err := p.admin.CreateTopic(p.ctx, 2, 1, nil, p.topic); err != nil {
		return err
	}
	if _, err := p.admin.CreateTopic(p.ctx, 2, 1, nil, p.topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("the second time: %v", err)
	}
	added, err := p.admin.CreatePartitions(p.ctx, 1, p.topic)
	if err != nil || added.Error() != nil {
		return errors.Join(err, added.Error())
	}
	// A real broker follows its controller a moment later.
	for {
		topics, err := p.admin.ListTopics(p.ctx, p.topic)
		if err != nil {
			return err
		}
		if len(topics[p.topic].Partitions) == 3 {
			return nil
		}
	}
}

func (p *program) produce() error {
	for name, codec := range codecs {
		producer, err := p.client(kgo.DefaultProduceTopic(p.topic), kgo.ProducerBatchCompression(codec))
		if err != nil {
			return err
		}
		err = producer.ProduceSync(p.ctx, records(name)...).FirstErr()
		producer.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func records(codec string) []*kgo.Record {
	made := make([]*kgo.Record, perCodec)
	for i := range made {
		made[i] = &kgo.Record{
			Key:     []byte(fmt.Sprintf("%s-%d", codec, i)),
			Value:   []byte(fmt.Sprintf("value %d of %s, long enough to be worth a compression, compression", i, codec)),
			Headers: []kgo.RecordHeader{{Key: "codec", Value: []byte(codec)}},
		}
	}
	return made
}

// take polls until count records came, by key.
func (p *program) take(consumer *kgo.Client, count int) (map[string]*kgo.Record, error) {
	taken := map[string]*kgo.Record{}
	for len(taken) < count {
		fetches := consumer.PollFetches(p.ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("after %d of %d records: %w", len(taken), count, err)
		}
		fetches.EachRecord(func(record *kgo.Record) { taken[string(record.Key)] = record })
	}
	return taken, nil
}

func (p *program) takeAll(consumer *kgo.Client) error {
	taken, err := p.take(consumer, perCodec*len(codecs))
	if err != nil {
		return err
	}
	for codec := range codecs {
		for _, sent := range records(codec) {
			got := taken[string(sent.Key)]
			if got == nil || string(got.Value) != string(sent.Value) || string(got.Headers[0].Value) != codec {
				return fmt.Errorf("%s did not come as it was sent: %v", sent.Key, got)
			}
		}
	}
	return nil
}

func (p *program) consumeAlone() error {
	consumer, err := p.client(kgo.ConsumeTopics(p.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer consumer.Close()
	return p.takeAll(consumer)
}

func (p *program) member() (*kgo.Client, error) {
	start := kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())
	return p.client(kgo.ConsumerGroup(p.group), kgo.ConsumeTopics(p.topic), start, kgo.DisableAutoCommit())
}

func (p *program) consumeInGroup() error {
	consumer, err := p.member()
	if err != nil {
		return err
	}
	defer consumer.Close()
	if err := p.takeAll(consumer); err != nil {
		return err
	}
	if err := consumer.CommitUncommittedOffsets(p.ctx); err != nil {
		return err
	}
	groups, err := p.admin.DescribeGroups(p.ctx, p.group)
	if err != nil {
		return err
	}
	if group := groups[p.group]; group.State != "Stable" || len(group.Members) != 1 {
		return fmt.Errorf("the group is %s with %d members", group.State, len(group.Members))
	}
	return nil
}

func (p *program) goOn() error {
	consumer, err := p.member()
	if err != nil {
		return err
	}
	defer consumer.Close()
	last := &kgo.Record{Topic: p.topic, Key: []byte("last"), Value: []byte("one more")}
	if err := consumer.ProduceSync(p.ctx, last).FirstErr(); err != nil {
		return err
	}
	taken, err := p.take(consumer, 1)
	if err != nil {
		return err
	}
	if len(taken) != 1 || taken["last"] == nil {
		return fmt.Errorf("%d records instead of the last one", len(taken))
	}
	return consumer.CommitUncommittedOffsets(p.ctx)
}

func (p *program) offsets() error {
	total := int64(perCodec*len(codecs) + 1)
	ends, err := p.admin.ListEndOffsets(p.ctx, p.topic)
	if err != nil {
		return err
	}
	committed, err := p.admin.FetchOffsets(p.ctx, p.group)
	if err != nil {
		return err
	}
	since, err := p.admin.ListOffsetsAfterMilli(p.ctx, 0, p.topic)
	if err != nil {
		return err
	}
	var sum, done, first int64
	ends.Each(func(row kadm.ListedOffset) { sum += row.Offset })
	committed.Each(func(row kadm.OffsetResponse) { done += row.At })
	since.Each(func(row kadm.ListedOffset) { first += row.Offset })
	if sum != total || done != total || first != 0 {
		return fmt.Errorf("ends %d, committed %d, since the beginning %d; not %d, %d, 0", sum, done, first, total, total)
	}
	return nil
}

func (p *program) configs() error {
	value := "86400000"
	changes := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}
	if _, err := p.admin.AlterTopicConfigs(p.ctx, changes, p.topic); err != nil {
		return err
	}
	described, err := p.admin.DescribeTopicConfigs(p.ctx, p.topic)
	if err != nil {
		return err
	}
	for _, config := range described[0].Configs {
		if config.Key == "retention.ms" && config.MaybeValue() == value {
			return nil
		}
	}
	return errors.New("retention.ms did not change")
}

func (p *program) delete() error {
	if _, err := p.admin.DeleteGroup(p.ctx, p.group); err != nil {
		return err
	}
	_, err := p.admin.DeleteTopic(p.ctx, p.topic)
	return err
}
