package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	pollTime = 100 * time.Millisecond
	pollSize = 25
)

type place struct {
	partition int32
	offset    int64
}

// link is one group of a chain. Its members join, leave and return while records come. No living one may be told that it
// is no member, and no record may come twice: whoever gives a partition away commits before.
type link struct {
	kind
	p        *program
	source   *source
	from, to string
	fail     func(error)

	mutex   sync.Mutex
	members int
	seen    map[place]bool
	keys    map[string]bool
}

// run is the life of the group: who comes with which wave, and when one leaves.
func (l *link) run() {
	var members sync.WaitGroup
	stay := func() { members.Go(func() { l.stay(l.p.ctx, l.instance()) }) }
	visit := func(polls int) { members.Go(func() { l.visit(polls, l.instance()) }) }
	stay()
	members.Go(l.stayAndReturn)
	visit(0)
	visit(2)
	select {
	case <-time.After(wave):
		stay()
		visit(0)
		visit(1)
	case <-l.p.ctx.Done():
	}
	members.Wait()
}

// instance is the next member's group.instance.id, empty for dynamic members.
func (l *link) instance() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.members++
	if !l.static {
		return ""
	}
	return fmt.Sprintf("%s-%d", l.to, l.members)
}

// stayAndReturn is away for a moment after the second wave; a static member keeps its partitions meanwhile.
func (l *link) stayAndReturn() {
	instance := l.instance()
	ctx, cancel := context.WithTimeout(l.p.ctx, 2*wave)
	l.stay(ctx, instance)
	cancel()
	l.stay(l.p.ctx, instance)
}

// stay copies until every record came or the context ends, and commits everything.
func (l *link) stay(ctx context.Context, instance string) {
	client := l.join(instance, kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, _ map[string][]int32) {
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			l.failed("the commit of what is given away: %w", err)
		}
	}))
	for ctx.Err() == nil && !l.done() {
		l.copy(client, l.poll(client))
		client.AllowRebalance()
	}
	l.flush(client)
	l.leave(client, instance, false)
}

// visit copies and commits so many polls, and leaves with one more that it neither copies nor commits.
func (l *link) visit(polls int, instance string) {
	client := l.join(instance, kgo.OnPartitionsRevoked(func(context.Context, *kgo.Client, map[string][]int32) {}))
	defer l.leave(client, instance, true)
	for l.p.ctx.Err() == nil && !l.done() {
		records := l.poll(client)
		if polls == 0 {
			return
		}
		if len(records) > 0 {
			polls--
		}
		l.copy(client, records)
		l.flush(client)
		if err := client.CommitUncommittedOffsets(l.p.ctx); err != nil {
			l.failed("the commit of a visitor: %w", err)
		}
		client.AllowRebalance()
	}
}

func (l *link) join(instance string, revoked kgo.Opt) *kgo.Client {
	options := []kgo.Opt{
		kgo.ConsumerGroup(l.to),
		kgo.ConsumeTopics(l.from),
		kgo.DefaultProduceTopic(l.to),
		kgo.ProducerLinger(pollTime),
		kgo.Balancers(l.balancer),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.AutoCommitInterval(time.Second),
		kgo.BlockRebalanceOnPoll(),
		kgo.WithHooks(l),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			if len(lost) > 0 {
				l.failed("a living member lost %v", lost)
			}
		}),
		revoked,
	}
	if l.static {
		options = append(options, kgo.InstanceID(instance))
	}
	if l.newProtocol {
		options = append(options, kgo.WithContext(context.WithValue(l.p.ctx, "opt_in_kafka_next_gen_balancer_beta", true)))
	}
	client, err := l.p.client(options...)
	if err != nil {
		panic(err)
	}
	return client
}

// OnGroupManageError hears of UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH and the like; franz-go joins again without a word.
func (l *link) OnGroupManageError(err error) {
	l.failed("a living member lost its group: %w", err)
}

func (l *link) poll(client *kgo.Client) []*kgo.Record {
	ctx, cancel := context.WithTimeout(l.p.ctx, pollTime)
	defer cancel()
	fetches := client.PollRecords(ctx, pollSize)
	fetches.EachError(func(topic string, partition int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			l.failed("the poll: %w", err)
		}
	})
	return fetches.Records()
}

func (l *link) copy(client *kgo.Client, records []*kgo.Record) {
	for _, record := range records {
		if !l.isNew(record) {
			l.failed("offset %d of partition %d came twice", record.Offset, record.Partition)
		}
		client.Produce(l.p.ctx, kgo.KeySliceRecord(record.Key, record.Value), func(_ *kgo.Record, err error) {
			if err != nil {
				l.failed("the copy: %w", err)
			}
		})
	}
}

func (l *link) flush(client *kgo.Client) {
	if err := client.Flush(l.p.ctx); err != nil {
		l.failed("the last copies: %w", err)
	}
}

func (l *link) isNew(record *kgo.Record) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	at := place{record.Partition, record.Offset}
	known := l.seen[at]
	l.seen[at] = true
	l.keys[string(record.Key)] = true
	return !known
}

func (l *link) done() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.source.allCame(len(l.keys))
}

// leave ends the membership and the client. Static members are helped: by the classic protocol they do not leave at all,
// and the leave by the new one lacks their instance id, so Kafka refuses it. Whoever goes before he joined is no member.
func (l *link) leave(client *kgo.Client, instance string, forGood bool) {
	defer client.Close()
	client.AllowRebalance()
	client.LeaveGroup()
	member, epoch := client.GroupMetadata()
	if !l.static || member == "" || !forGood && !(l.newProtocol && epoch > 0) {
		return
	}
	var err error
	if l.newProtocol {
		err = l.sayGoodbye(client, member, instance, forGood)
	} else {
		left, failed := l.p.admin.LeaveGroup(l.p.ctx, kadm.LeaveGroup(l.to).InstanceIDs(instance))
		err = errors.Join(failed, left.Error())
	}
	never := errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.GroupIDNotFound)
	if err != nil && !(forGood && never) {
		l.failed("%s may not leave: %w", instance, err)
	}
}

func (l *link) sayGoodbye(client *kgo.Client, member, instance string, forGood bool) error {
	request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	request.Group = l.to
	request.MemberID = member
	request.MemberEpoch = -2
	request.InstanceID = &instance
	if forGood {
		request.MemberEpoch = -1
	}
	response, err := request.RequestWith(l.p.ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.ErrorCode)
}

func (l *link) failed(format string, arguments ...any) {
	l.fail(fmt.Errorf(l.to+": "+format, arguments...))
}
