"""The stream of an agent: one WebSocket for all that it sends, `docs/agent-protocol.md`."""
