"""What Muster synchronises: one declaration for each resource, and the registry of them."""

from shared.errors import NotFound
from shared.resources.agents import AGENTS
from shared.resources.declaration import Resource
from shared.resources.metrics import METRICS
from shared.resources.servers import SERVERS

RESOURCES: dict[str, Resource] = {resource.name: resource for resource in (SERVERS, AGENTS, METRICS)}


def resource_named(name: str) -> Resource:
    """Return the declaration of this name; raises NotFound."""
    try:
        return RESOURCES[name]
    except KeyError:
        raise NotFound(f"there is no resource {name!r}", code="unknown_topic") from None


__all__ = ["AGENTS", "METRICS", "RESOURCES", "SERVERS", "Resource", "resource_named"]
