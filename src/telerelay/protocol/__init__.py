"""
The words on the wire, sans-I/O: SDP and its negotiation, WebSocket messages, tokens.

Nothing here awaits, logs, opens a socket or reads a clock. Everything a peer can send is answered by a value or by
RemoteProtocolError, and by nothing else.
"""
