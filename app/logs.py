"""Structured logs: an event name and fields, to standard error; set up once by the command line."""

import logging
import sys
from typing import Any, Literal

import orjson
import structlog


def set_up(
    level: str = "info", style: Literal["auto", "console", "json"] = "auto", **said: Any
) -> None:
    """Send our events, and what libraries log, through one pipeline to standard error.

    Args:
        level: The least severe that is written.
        style: `auto` is console on a terminal, else one JSON object a line.
        said: Fields of every event.
    """
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        lambda _logger, _method, event: said | event,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Any] = (
        [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("quixstreams.checkpointing").setLevel(logging.ERROR)  # we say why it holds
    # The clients of artifact stores would write whole requests.
    stores = ("boto3", "botocore", "s3transfer", "azure", "google", "msal")
    for noisy in ("quixstreams", "urllib3", "mlflow", "matplotlib", *stores):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )


def _json(event: Any, default: Any = str, **_options: Any) -> str:
    return orjson.dumps(event, default=default).decode()
