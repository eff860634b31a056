package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// consumeByNewProtocol reads everything in a group of KIP-848, which franz-go has behind this word only.
func (p *program) consumeByNewProtocol() error {
	group := p.group + "-848"
	consumer, err := p.client(
		kgo.WithContext(context.WithValue(p.ctx, "opt_in_kafka_next_gen_balancer_beta", true)),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(p.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
	)
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
	listed, err := p.admin.ListGroups(p.ctx)
	if err != nil {
		return err
	}
	if listed[group].State != "Stable" || listed[group].GroupType != "consumer" {
		return fmt.Errorf("%s is listed as %+v", group, listed[group])
	}
	return nil
}
