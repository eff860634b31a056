"""Sockets in, answers out: where trio lives. One task per connection; requests of a connection are answered in order.

socket_server → listener → connection → dispatch (given in, not imported). Below: transport and ready_poller (sockets),
receive_buffer (bytes → frames, sans-I/O; guess_protocol: what is none), buffer_pool and memory_budget (what may be
held before a frame is whole), response_writer and file_region (answers → socket; unread_answers bounds them),
connection_limits and sweep (who may come, who must go). node_channel is the other side: our requests to other nodes,
each answered before the next. Imports layers 0–3 and request.py's types only.
Kafka: kafka.network.SocketServer, org.apache.kafka.common.network; KIP-72, KIP-402, KIP-612.
"""
