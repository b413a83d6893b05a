"""The agent's errors, one tree, named by what whoever catches them must do.

AgentError
├── SettingsError            say it in one line, exit 2: a flag or variable is wrong
├── StateError               say it in one line, exit 1: the state directory cannot be used
├── EnrolmentRefused         say it in one line, exit 1: another enrolment token is needed
├── UpdateFailed             say it in one line, exit 1: there was no good update to be had
└── DeliveryError            a request did not succeed; the agent goes on
    ├── Unavailable          wait, then send again, beginning with a handshake
    │   ├── StreamUnusable   see whether plain requests succeed
    │   ├── ReplicaLeaves    return at once: another one takes over
    │   └── Displaced        wait long: another process reports as this machine
    ├── Throttled            wait, then send again
    ├── CredentialRefused    wait long: only a person can repair this
    ├── ApprovalNeeded       wait long: somebody has to say that this machine is that agent
    ├── TooLarge             send fewer samples at once
    └── RequestRefused       do not send this again
"""

from __future__ import annotations


class AgentError(Exception):
    """Whatever the agent tells its user in one line."""


class SettingsError(AgentError):
    """A flag or a variable of the environment has a value that the agent cannot work with."""


class StateError(AgentError):
    """The state directory, or a file in it, cannot be read, written or understood."""


class EnrolmentRefused(AgentError):
    """The server does not take this enrolment token; trying again would not help."""


class UpdateFailed(AgentError):
    """No update could be had, or what was offered is not taken."""


class DeliveryError(AgentError):
    """A request to the server did not succeed. `retry_after_s` is when the server asks for the next one, if it does."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(DeliveryError):
    """Nobody answered, or the answer was that it will have to be later."""


class StreamUnusable(Unavailable):
    """No answer came through a stream; `is_certain` where somebody answered that there is none."""

    def __init__(self, message: str, *, is_certain: bool = False) -> None:
        super().__init__(message)
        self.is_certain = is_certain


class ReplicaLeaves(Unavailable):
    """The server closed the stream because this replica of it goes away."""


class Displaced(Unavailable):
    """The server closed the stream because the same agent has opened another one."""


class Throttled(DeliveryError):
    """The server is well and asks this agent to slow down."""


class CredentialRefused(DeliveryError):
    """The server does not know this agent's secret any more: it was revoked."""


class ApprovalNeeded(DeliveryError):
    """The agent that this machine says to be exists, and nobody has approved yet that it is this machine."""


class TooLarge(DeliveryError):
    """The request was larger than is taken; `is_certain` where the server said so, and not somebody on the way."""

    def __init__(self, message: str, *, is_certain: bool = False) -> None:
        super().__init__(message)
        self.is_certain = is_certain


class RequestRefused(DeliveryError):
    """The server understood the request and will never take it as it is."""
