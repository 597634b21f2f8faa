"""epochd: a REST training service with a job queue. `Client` speaks with it; `epochd up` starts it."""

from epochd.client import Client
from epochd.transport import EpochdError, Event

__all__ = ["Client", "EpochdError", "Event"]
