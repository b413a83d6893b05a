"""Logs and metrics: structlog set up alike in every process, one Prometheus registry."""

import logging
import sys

import structlog
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from shared.settings import BadSetting, Logging

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(service: str, settings: Logging) -> None:
    """Send this process's logs, and those of its libraries, to stderr; raises BadSetting."""
    level = _LEVELS.get(settings.log_level.lower())
    if level is None:
        raise BadSetting(f"LOG_LEVEL is {settings.log_level!r}, must be one of {', '.join(_LEVELS)}")
    if settings.log_format not in {"json", "console"}:
        raise BadSetting(f"LOG_FORMAT is {settings.log_format!r}, must be json or console")
    timestamper = structlog.processors.TimeStamper(fmt="iso", utc=True)
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        timestamper,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    structlog.contextvars.bind_contextvars(service=service)


__all__ = ["REGISTRY", "Counter", "Gauge", "Histogram", "configure_logging"]
