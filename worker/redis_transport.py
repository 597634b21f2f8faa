"""Celery's Redis transport, which a message that is no message does not end."""

import logging
from queue import Empty
from typing import Any

from kombu.transport import redis

logger = logging.getLogger(__name__)


class Channel(redis.Channel):
    """Drops what cannot be read; the worker goes on with the next message."""

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 - kombu's own
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            logger.warning("dropped a damaged message (%r)", problem)
            raise Empty from None


class Transport(redis.Transport):
    """The transport to name in `broker_transport`."""

    Channel = Channel
