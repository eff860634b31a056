"""What a client that does not speak Kafka's protocol speaks, by its first bytes: for a log line that helps."""

_TEXTS = {b"GET ": "HTTP", b"POST": "HTTP", b"PUT ": "HTTP", b"HEAD": "HTTP", b"DELE": "HTTP", b"OPTI": "HTTP"}
_TEXTS |= {b"PRI ": "HTTP/2", b"CONN": "HTTP (a proxy's CONNECT)", b"SSH-": "SSH", b"AMQP": "AMQP", b"EHLO": "SMTP"}
_TLS_HANDSHAKE = 0x16
_TLS_ALERT = 0x15


def guess_protocol(start: bytes) -> str | None:
    """A name for the protocol that begins with these bytes; None: no idea."""
    if len(start) >= 3 and start[0] in (_TLS_HANDSHAKE, _TLS_ALERT) and start[1] == 3 and start[2] <= 4:
        return "TLS (this listener is plaintext; set the client's security.protocol accordingly)"
    return _TEXTS.get(start[:4])
