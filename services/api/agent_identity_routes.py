"""Routes of agents' credentials."""

from http import HTTPStatus

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from services.api.agent_identity import AgentIdentities, AgentIdentity, ClaimList, SeenClaim
from services.api.permissions import Caller
from services.api.problems import BODY_PROBLEMS, WORKSPACE_PROBLEMS
from services.api.requests import ApiRequest, opt, origin_of
from shared.io.litestar_problems import documented

_PROBLEMS = (*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND)
_TAGS = ["agents"]


@get(
    "/agents/claims",
    opt=opt("write"),
    operation_id="listAgentClaims",
    summary="List the agents that machines without a secret say they are",
    tags=_TAGS,
    responses=documented(*WORKSPACE_PROBLEMS),
)
async def list_claims(caller: NamedDependency[Caller], agent_identities: NamedDependency[AgentIdentities]) -> ClaimList:
    """List the claims of the workspace, the newest first."""
    return ClaimList(await agent_identities.claims(caller))


@get(
    "/agents/{agent_id:str}/identity",
    opt=opt("write"),
    operation_id="readAgentIdentity",
    summary="Read what is known of an agent's credential",
    tags=_TAGS,
    responses=documented(*_PROBLEMS),
)
async def read_identity(
    agent_id: FromPath[str], caller: NamedDependency[Caller], agent_identities: NamedDependency[AgentIdentities]
) -> AgentIdentity:
    """Read when an agent enrolled, when its secret was changed, and who says to be it."""
    return await agent_identities.read(caller, agent_id)


@post(
    "/agents/{agent_id:str}/claim/approval",
    opt=opt("write"),
    status_code=HTTPStatus.OK,
    operation_id="approveAgentClaim",
    summary="Let a machine that lost its secret be its agent again",
    tags=_TAGS,
    responses=documented(*_PROBLEMS, *BODY_PROBLEMS, HTTPStatus.CONFLICT),
)
async def approve_claim(
    agent_id: FromPath[str],
    data: JSONBody[SeenClaim],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    agent_identities: NamedDependency[AgentIdentities],
) -> AgentIdentity:
    """Within an hour the machine of the claim may enrol as the agent, with an enrolment token as ever.

    The body says which claim was looked at. Where another one has taken its place, the answer is 409 (`claim_changed`).
    """
    return await agent_identities.approve(caller, agent_id, data, origin_of(request))


@delete(
    "/agents/{agent_id:str}/claim",
    opt=opt("write"),
    operation_id="refuseAgentClaim",
    summary="Refuse a machine that says it is an agent",
    tags=_TAGS,
    responses=documented(*_PROBLEMS, HTTPStatus.CONFLICT),
)
async def refuse_claim(
    agent_id: FromPath[str],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    agent_identities: NamedDependency[AgentIdentities],
) -> None:
    """Forget the claim, and an approval that was not made use of."""
    await agent_identities.refuse(caller, agent_id, origin_of(request))


@post(
    "/agents/{agent_id:str}/rotation",
    opt=opt("write"),
    status_code=HTTPStatus.OK,
    operation_id="rotateAgent",
    summary="Ask an agent to take another secret",
    tags=_TAGS,
    responses=documented(*_PROBLEMS, HTTPStatus.CONFLICT),
)
async def rotate_agent(
    agent_id: FromPath[str],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    agent_identities: NamedDependency[AgentIdentities],
) -> AgentIdentity:
    """Tell an agent that holds a stream at once, others at their next handshake.

    The secret before is good until the other one is used.
    """
    return await agent_identities.rotate(caller, agent_id, origin_of(request))


@post(
    "/agents/{agent_id:str}/revocation",
    opt=opt("write"),
    status_code=HTTPStatus.OK,
    operation_id="revokeAgent",
    summary="Take an agent its credential",
    tags=_TAGS,
    responses=documented(*_PROBLEMS),
)
async def revoke_agent(
    agent_id: FromPath[str],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    agent_identities: NamedDependency[AgentIdentities],
) -> AgentIdentity:
    """Lock the agent out within a second; its server, and what is known of it, stay."""
    return await agent_identities.revoke(caller, agent_id, origin_of(request))


AGENT_IDENTITY_ROUTES = (list_claims, read_identity, approve_claim, refuse_claim, rotate_agent, revoke_agent)
