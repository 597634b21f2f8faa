"""What can go wrong in the store, in sentences fit for a user; whoever speaks HTTP maps them to answers."""


class StoreError(Exception):
    """Base of all errors of the store."""


class NotFound(StoreError):
    """There is no such row, or it belongs to somebody else: the two are told apart by nobody."""


class AlreadyFinal(StoreError):
    """The experiment or run has succeeded, failed or been cancelled already, and final states never change."""


class NothingToRetry(StoreError):
    """No run of the experiment has failed, other than by diverging, or been cancelled."""


class QueueFull(StoreError):
    """The owner has as many runs waiting as one owner may have."""


class StillRunning(StoreError):
    """A run of the experiment is training, and what trains is not deleted: cancel it first, or wait for its end."""


class KeyReused(StoreError):
    """The idempotency key came with another submission before."""


class LeaseLost(StoreError):
    """The job is no longer held under this fence: stop, and write nothing more."""


class SchemaOutdated(StoreError):
    """The tables are not those of this version; migrate before using them."""


class DatabaseUnsupported(StoreError):
    """The database is of a kind that the store cannot work with."""


class DatabaseUnreachable(StoreError):
    """The database did not answer for as long as it was waited for."""


class CheckpointDamaged(StoreError):
    """The stored bytes do not have the size and sha256 they were stored with."""


class DataFolderInUse(StoreError):
    """Another service works in this data folder."""
