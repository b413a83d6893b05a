"""What the broadcaster counts, for Prometheus."""

from shared.io.telemetry import Counter, Gauge

CONNECTIONS = Gauge("muster_broadcaster_connections", "Open WebSockets")
SUBSCRIPTIONS = Gauge("muster_broadcaster_subscriptions", "Subscriptions of all connections")
TOPICS = Gauge("muster_broadcaster_topics", "Topics whose state is held here")
FRAMES = Counter("muster_broadcaster_frames_sent", "Messages handed to connections")
FRAME_BYTES = Counter("muster_broadcaster_frame_bytes_sent", "Bytes of the messages handed to connections")
CATCH_UPS = Counter("muster_broadcaster_catch_ups", "Times that a client was brought up to date from its own version")
RESUMES = Counter("muster_broadcaster_resumes", "Answers to clients that came back", ["recovered"])
SNAPSHOT_ENCODES = Counter("muster_broadcaster_snapshot_encodes", "Snapshots encoded; the answers share them")
TOPIC_LOADS = Counter("muster_broadcaster_topic_loads", "Topics read from the log", ["outcome"])
CLOSES = Counter(
    "muster_broadcaster_closes", "Ended connections; `peer` when the client or the network ended it", ["code"]
)
TAIL_LAG = Gauge("muster_broadcaster_tail_lag_seconds", "Age of the newest entry of the log when it was taken in")
