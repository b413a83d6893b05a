"""What Muster synchronises: every module in here declares a resource."""

from importlib import import_module
from pkgutil import iter_modules

from shared.errors import NotFound
from shared.resources.agents import AGENTS
from shared.resources.declaration import Resource
from shared.resources.metrics import METRICS
from shared.resources.servers import SERVERS


def _declared() -> dict[str, Resource]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found = (value for module in modules for value in vars(module).values() if isinstance(value, Resource))
    return {resource.name: resource for resource in found}


RESOURCES: dict[str, Resource] = _declared()


def resource_named(name: str) -> Resource:
    """Return the declaration of this name; raises NotFound."""
    try:
        return RESOURCES[name]
    except KeyError:
        raise NotFound(f"there is no resource {name!r}", code="unknown_topic") from None


__all__ = ["AGENTS", "METRICS", "RESOURCES", "SERVERS", "Resource", "resource_named"]
