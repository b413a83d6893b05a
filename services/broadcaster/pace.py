"""How fast the broadcaster does what it does; every time is in seconds."""

import msgspec


class Pace(msgspec.Struct, frozen=True):
    """`tick_s`: a topic sends at most one frame in it. `bookmark_s`: its subscribers are told where it stands.

    `behind_s`: how long a client that has seen more than this replica waits before the log is read again.
    `answer_s`: how long a subscriber waits for a topic that cannot be read, before it is told to come back.
    `linger_s`: how long a topic stays open after its last subscriber has left.
    """

    tick_s: float = 0.1
    bookmark_s: float = 30.0
    behind_s: float = 2.0
    answer_s: float = 5.0
    linger_s: float = 60.0
