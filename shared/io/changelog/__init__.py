"""The change log on Redis Streams: append, tail, read the hot state, and guard the epoch."""
