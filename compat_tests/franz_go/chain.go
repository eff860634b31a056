package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	links   = 3
	wave    = 4 * time.Second
	perStep = 5
	step    = 50 * time.Millisecond
)

// kinds of chains that run side by side. A chain is three groups, of which each copies its topic to the topic of the
// next; the first topic is the same for all. After TestGroupETL of franz-go.
var kinds = map[string][]kind{
	"eager": {
		{"range", kgo.RangeBalancer(), false, false},
		{"sticky-static", kgo.StickyBalancer(), false, true},
	},
	"cooperative": {
		{"cooperative", kgo.CooperativeStickyBalancer(), false, false},
		{"cooperative-static", kgo.CooperativeStickyBalancer(), false, true},
	},
	"consumer": {
		{"range-848", kgo.RangeBalancer(), true, false},
		{"uniform-848", kgo.StickyBalancer(), true, false},
		{"uniform-848-static", kgo.StickyBalancer(), true, true},
	},
}

var errAllCame = errors.New("all came")

type kind struct {
	name        string
	balancer    kgo.GroupBalancer
	newProtocol bool
	static      bool
}

// source is what the first groups read; total is -1 as long as more records come.
type source struct {
	mutex sync.Mutex
	total int
}

// chains runs the chains of one protocol, until every group has read every record once.
func (p *program) chains(protocol string) error {
	ctx, cancel := context.WithCancelCause(p.ctx)
	p.ctx = ctx
	fail := func(err error) {
		if err != nil {
			cancel(err)
		}
	}
	first := p.topic + "-0"
	topics := []string{first}
	from := &source{total: -1}
	var groups []*link
	for _, kind := range kinds[protocol] {
		read := first
		for i := 1; i <= links; i++ {
			written := fmt.Sprintf("%s-%s-%d", p.topic, kind.name, i)
			group := &link{kind: kind, p: p, source: from, from: read, to: written, fail: fail}
			group.seen, group.keys = map[place]bool{}, map[string]bool{}
			groups, topics, read = append(groups, group), append(topics, written), written
		}
	}
	if _, err := p.admin.CreateTopics(ctx, 4, 1, nil, topics...); err != nil {
		return err
	}
	if err := p.awaitCoordinators(groups); err != nil {
		return err
	}
	var work sync.WaitGroup
	work.Go(func() { fail(p.trickle(first, from)) })
	for _, group := range groups {
		work.Go(group.run)
	}
	go func() {
		work.Wait()
		cancel(errAllCame)
	}()
	<-ctx.Done()
	if err := context.Cause(ctx); err != errAllCame {
		return fmt.Errorf("%w; groups that wait for records: %v", err, waiting(groups))
	}
	_, err := p.admin.DeleteTopics(context.Background(), topics...)
	return err
}

// awaitCoordinators lets a new broker make and load its internal topic, so that the waves meet groups.
func (p *program) awaitCoordinators(groups []*link) error {
	for _, group := range groups {
		for {
			_, err := p.admin.FetchOffsets(p.ctx, group.to)
			if err == nil {
				break
			}
			if p.ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

// trickle produces slowly enough that every wave of members meets records.
func (p *program) trickle(topic string, to *source) error {
	producer, err := p.client(kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer producer.Close()
	sent := 0
	for begin := time.Now(); time.Since(begin) < 3*wave; sent += perStep {
		batch := make([]*kgo.Record, perStep)
		for i := range batch {
			batch[i] = &kgo.Record{Key: []byte(strconv.Itoa(sent + i)), Value: []byte("as sent")}
		}
		if err := producer.ProduceSync(p.ctx, batch...).FirstErr(); err != nil {
			return fmt.Errorf("the first producer: %w", err)
		}
		time.Sleep(step)
	}
	to.mutex.Lock()
	defer to.mutex.Unlock()
	to.total = sent
	return nil
}

func (s *source) allCame(count int) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return count == s.total
}

func waiting(groups []*link) []string {
	var listed []string
	for _, group := range groups {
		if !group.done() {
			listed = append(listed, fmt.Sprintf("%s with %d of %d", group.to, len(group.keys), group.source.total))
		}
	}
	return listed
}
