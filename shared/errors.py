"""The tree of Muster's own errors, named by what the caller must do.

MusterError
├── Rejected            the request is at fault: answer it with `code`, do not retry
│   ├── Conflict        it lost against a newer version: read again, then decide
│   ├── AlreadyExists   the id or a unique value is taken
│   ├── NotFound        there is no such record
│   ├── Unauthenticated the token is missing, wrong or expired: get a new one
│   └── Forbidden       known, but not entitled
├── RetryLater          ours or a peer's passing fault: retry after `retry_after_s`
│   ├── LogSealed       the log is closed until its guardian has looked
│   └── Overloaded      a bound of ours is reached
├── MustRefetch         what the reader remembers is gone: start from a snapshot
└── Malformed           bytes that are not what the protocol says
"""


class MusterError(Exception):
    """Base of every error that Muster raises on purpose.

    `code` is stable and in English: it travels to clients as it stands.
    """

    code = "internal"


class Rejected(MusterError):
    """The request cannot be done as it stands; retrying it unchanged cannot help."""

    code = "rejected"
    index = 0
    """Which of several drafts was at fault."""

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.field = field


class Conflict(Rejected):
    """The write was conditional and the record has changed meanwhile."""

    code = "version_conflict"


class AlreadyExists(Rejected):
    """The id, or the value of a unique field, belongs to another record."""

    code = "already_exists"


class NotFound(Rejected):
    """There is no such record, or the caller may not know of it."""

    code = "not_found"


class Unauthenticated(Rejected):
    """The token is missing, unknown, revoked or expired."""

    code = "unauthenticated"


class Forbidden(Rejected):
    """The caller is known and may not do this."""

    code = "forbidden"


class RetryLater(MusterError):
    """A passing fault: the same request may succeed after `retry_after_s`."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LogSealed(RetryLater):
    """The change log accepts nothing until its guardian has opened it again."""

    code = "log_sealed"


class Overloaded(RetryLater):
    """A queue is full; accepting more would break the bound on memory."""

    code = "overloaded"


class MustRefetch(MusterError):
    """The changes asked for are not remembered any more; take a snapshot."""

    code = "must_refetch"


class Malformed(MusterError):
    """Bytes of a peer that do not follow the protocol."""

    code = "bad_request"
