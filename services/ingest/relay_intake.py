"""Takes samples in that a relay sends for many agents: each goes to its own, as if that had sent it."""

import asyncio
from collections.abc import Sequence

import msgspec

from services.ingest import counts
from services.ingest.account import Account
from services.ingest.credentials import AgentIdentity
from services.ingest.faults import fault_of
from services.ingest.intake import Intake
from services.ingest.messages import BadSample, MetricsTaken
from services.ingest.rates import Rates
from services.ingest.relays import Address, Relay, Relays
from shared.errors import NotFound
from shared.io.problem import HttpError
from shared.validation import UNREADABLE

_BAD, _UNKNOWN = "invalid_sample", "unknown_server"
_OFTEN = "too_many_requests"


class _Named(msgspec.Struct):
    """What a relayed sample has beside its own fields; only one of them is needed."""

    server_id: str | None = None
    agent_id: str | None = None


_decode = msgspec.json.Decoder(_Named).decode


class RelayIntake:
    """One for each process. `rates` are those of relays, all samples together; each agent has its own besides."""

    def __init__(self, intake: Intake, relays: Relays, rates: Rates) -> None:
        self._intake = intake
        self._relays = relays
        self._rates = rates

    def account(self, relay: Relay) -> Account:
        """Return what keeps a relay to what it may send."""
        return Account(self._rates, relay.id, "this relay")

    async def take(self, relay: Relay, items: Sequence[msgspec.Raw]) -> MetricsTaken:
        """Append samples of many agents, and report those that are bad, not the relay's to send, or too many of one.

        The request was let in by `account`. Raises RetryLater: some may be in the log already, send all of them again.
        """
        if len(items) > 1:
            self.account(relay).charge(len(items) - 1)
        rejected: list[BadSample] = []
        names: list[tuple[Address, ...]] = []
        for index, item in enumerate(items):
            try:
                names.append(addresses_of(item))
            except HttpError as error:
                names.append(())
                rejected.append(BadSample(index, _BAD, str(error)))
        found = await self._relays.agents(relay, {address for each in names for address in each})
        places: dict[AgentIdentity, list[int]] = {}
        for index, addresses in enumerate(names):
            agents = {found.get(address) for address in addresses}
            agent = agents.pop() if len(agents) == 1 else None
            if agent is not None:
                places.setdefault(agent, []).append(index)
            elif addresses:
                rejected.append(_unknown(index))
        rejected += self._without_debtors(places)
        for bad in rejected:
            counts.REJECTED.labels(bad.code).inc()
        return await self._put(items, places, rejected)

    def _without_debtors(self, places: dict[AgentIdentity, list[int]]) -> list[BadSample]:
        """Take out the agents that have sent too much, and return their samples as rejected: no others wait for them.

        What a relay sends again as a whole is stored twice where samples have no identity.
        """
        rejected: list[BadSample] = []
        for agent in list(places):
            try:
                self._intake.account(agent).let_in()
            except HttpError as error:
                message = f"this agent sends too much: send it again in {error.retry_after_s:.1f} s"
                rejected += [BadSample(place, _OFTEN, message) for place in places.pop(agent)]
        return rejected

    async def _put(
        self, items: Sequence[msgspec.Raw], places: dict[AgentIdentity, list[int]], rejected: list[BadSample]
    ) -> MetricsTaken:
        outcomes = await asyncio.gather(
            *(self._intake.take_relayed(agent, [items[place] for place in own]) for agent, own in places.items()),
            return_exceptions=True,
        )
        accepted = 0
        for own, outcome in zip(places.values(), outcomes, strict=True):
            if isinstance(outcome, NotFound):  # the server's record was removed: told like one that never was
                rejected += map(_unknown, own)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                accepted += outcome.accepted
                rejected += [BadSample(own[bad.index], bad.code, bad.message) for bad in outcome.rejected]
        return MetricsTaken(accepted, sorted(rejected, key=lambda bad: bad.index))


def addresses_of(item: msgspec.Raw) -> tuple[Address, ...]:
    """Return by what a sample names its agent; raises HttpError for one that does not, or is no sample."""
    try:
        named = _decode(item)
    except UNREADABLE as error:
        fault = fault_of(item, error, code=_BAD)
        field = getattr(fault, "field", None)
        raise HttpError(422, _BAD, f"{field}: {fault}" if field else str(fault)) from error
    server = () if named.server_id is None else (Address("server", named.server_id),)
    agent = () if named.agent_id is None else (Address("agent", named.agent_id),)
    if not (server or agent):
        raise HttpError(422, _BAD, "server_id: a relay says of each sample whose it is, by `server_id` or `agent_id`")
    return (*server, *agent)


def _unknown(index: int) -> BadSample:
    return BadSample(index, _UNKNOWN, "there is no such server, or this relay may not send for it")
