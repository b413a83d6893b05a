"""Makes this machine known to its server: enrols it once, keeps the credential, and tells what the machine is."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field, replace

from muster_agent.credential import Credential, StateDirectory
from muster_agent.errors import DeliveryError, StateError
from muster_agent.facts import Facts
from muster_agent.sampler import rfc3339
from muster_agent.terms import Terms
from muster_agent.transport import Transport

log = logging.getLogger(__name__)

FACTS_CHECK_S = 600.0


@dataclass(frozen=True)
class Application:
    """What an enrolment is asked with. An empty `name` leaves it to the server.

    An `agent_id` is that of the agent that this machine was before it lost its secret.
    """

    token: str = field(repr=False)
    hostname: str
    machine_id: str
    name: str
    agent_id: str = ""


class Membership:
    """This machine's place at the server, before and after enrolling."""

    def __init__(
        self,
        state: StateDirectory,
        transport: Transport,
        application: Application,
        facts: Facts,
        credential: Credential | None,
    ) -> None:
        self._state = state
        self._transport = transport
        self._application = application
        self._facts = facts
        self._credential = credential
        self._is_connected = False
        self._facts_checked_s = 0.0
        # One for all attempts: when an answer was lost, the next attempt must not enrol a second agent.
        self._idempotency_key = uuid.uuid4().hex
        if credential:
            transport.use_secret(credential.secret)

    @property
    def is_enrolled(self) -> bool:
        """Whether there is a credential."""
        return self._credential is not None

    def enrol(self) -> None:
        """Enrol and keep the credential. Raises what Transport.enrol raises, and StateError.

        That there is a place for the credential is seen first, each time: a disk may have filled up since the start,
        and a token that can be used once must not be spent then.
        """
        self._state.prepare()
        asked = self._application
        request = {"token": asked.token, "hostname": asked.hostname, "machine_id": asked.machine_id}
        if asked.name:
            request["name"] = asked.name
        if asked.agent_id:
            request["agent_id"] = asked.agent_id
        credential = self._transport.enrol(request, self._idempotency_key)
        self._state.save_credential(credential)
        self._transport.use_secret(credential.secret)
        self._credential = credential
        log.info("enrolled as %s (agent %s)", credential.server_id, credential.agent_id)

    def rotate(self) -> bool:
        """Take another secret, as the server wishes; tell whether it is used from now on.

        It is kept before it is used: until then the server takes both, so that neither a lost answer nor a crash locks
        this machine out. What fails is asked for again by the next handshake, and holds up no samples.
        """
        if self._credential is None:
            return False
        try:
            secret = self._transport.rotate()
            self._keep(replace(self._credential, secret=secret, previous_secret=self._credential.secret))
        except (DeliveryError, StateError) as error:
            log.warning("could not take another secret, the present one stays: %s", error)
            return False
        self._transport.use_secret(secret)
        log.info("took another secret, as the server wishes")
        return True

    def facts(self, now_s: float) -> dict[str, object]:
        """Read the machine, and give what a handshake tells."""
        self._facts_checked_s = now_s
        # How far this clock is off is for the server to say.
        return {**self._facts.read(), "ts": rfc3339(time.time())}

    def shake_hands(self, now_s: float) -> Terms:
        """Tell the facts in a plain request; give what the server wishes.

        Raises what Transport.shake_hands raises, and StateError.
        """
        answer = self._transport.shake_hands(self.facts(now_s))
        self.recognise(answer.server_id)
        return answer.terms

    def recognise(self, server_id: str) -> None:
        """Note who the server says this machine is; an empty `server_id` says nothing.

        Where that cannot be kept, it is said once more by the next handshake.
        """
        if not self._is_connected:
            log.info("connected to %s as %s", self._transport.server_url, server_id)
            self._is_connected = True
        if self._credential and server_id:
            # What the server says now may be newer than the file: it was moved, or this machine's record was.
            server = self._transport.server_url
            try:
                self._keep(replace(self._credential, server_id=server_id, server=server, previous_secret=""))
            except StateError as error:
                log.warning("%s", error)

    def fall_back(self) -> bool:
        """Use the secret before the one that the server refuses, where none was taken since; tell whether there is one.

        A request for another secret that was given up, and reached the server after the next one, has voided what that
        one was answered with.
        """
        if self._credential is None or not self._credential.previous_secret:
            return False
        self._credential = replace(self._credential, secret=self._credential.previous_secret, previous_secret="")
        try:
            self._state.save_credential(self._credential)
        except StateError as error:  # the file has both, and the next start goes back as well
            log.warning("%s", error)
        self._transport.use_secret(self._credential.secret)
        log.warning("the server does not know the secret that it gave last; going back to the one before")
        return True

    def has_new_facts(self, now_s: float) -> bool:
        """Read the machine every ten minutes; tell whether it is another one than at the last handshake."""
        if now_s - self._facts_checked_s < FACTS_CHECK_S:
            return False
        self._facts_checked_s = now_s
        return self._facts.have_changed()

    def advice_when_claimed(self) -> str:
        """Say what a person can do about an agent whose machine has lost its secret."""
        agent_id = self._application.agent_id
        return f"somebody has to approve at the api (/api/v1/agents/claims) that this machine is {agent_id}"

    def advice_when_refused(self) -> str:
        """Say what a person can do about a credential that was revoked."""
        return f"to enrol again, remove {self._state.credential_path} and start with a new enrolment token"

    def _keep(self, credential: Credential) -> None:
        if credential != self._credential:
            self._state.save_credential(credential)
            self._credential = credential
