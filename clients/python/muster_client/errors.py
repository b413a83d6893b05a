"""The errors of the client, named by what the caller must do.

MusterError
├── Refused         the server will not have it: asking again cannot help
├── SignedOut       no token is accepted any more: sign in again
├── MustRefetch     the position to go on from is not held any more: watch without it
├── NotOpen         the client is used outside of its `async with` block
│   └── Closed      the block has ended, and watching with it
├── RetryLater      a passing fault of whoever gives tokens; the client itself comes back later
└── ProtocolFault   the server said what the protocol does not know; the client itself comes back later
"""


class MusterError(Exception):
    """Any error of the client; the message is for the person who reads the log."""


class Refused(MusterError):
    """The server refuses the connection or a topic; `code` is the protocol's, such as `forbidden`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


class SignedOut(MusterError):
    """There is no token that the server accepts; a source of tokens raises it when it can give none any more."""


class MustRefetch(MusterError):
    """What was missed since the given position cannot be told: begin again from the whole topic."""


class NotOpen(MusterError):
    """The client is not open yet, or was closed: use it within its `async with` block."""


class Closed(NotOpen):
    """The client was closed, which is the regular end of its watchers."""


class RetryLater(MusterError):
    """A source of tokens has none just now; `retry_after_s` where somebody has named a time."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ProtocolFault(MusterError):
    """A message of the server does not have the form of the protocol."""
