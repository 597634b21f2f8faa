"""What can go wrong in mlcore, in words fit for a user: no path of the server's, no traceback, no HTTP."""


class MlcoreError(Exception):
    """The root of every error that mlcore raises on purpose."""


class DatasetError(MlcoreError):
    """A data set cannot be used; str() is a sentence for the user and names no path."""


class DatasetMissing(DatasetError):
    """A data set is nowhere to be found and could not be fetched."""


class DatasetDamaged(DatasetError):
    """A data set is there, but is not what it should be."""


class DatasetTooSmall(DatasetError):
    """A spec asks for more examples than the data set has."""


class PointedError(MlcoreError):
    """Something in what a client sent does not fit, and this is where."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}" if pointer else detail)
        self.pointer = pointer
        """JSON Pointer (RFC 6901) to the offending value."""
        self.detail = detail
        """What is wrong with it, and what would be right."""


class BadInputs(PointedError):
    """Inputs for a prediction do not fit the model."""


class NotExpandable(PointedError):
    """An experiment's axes do not make runs."""


class WrongDevice(MlcoreError):
    """A spec asks for what its device cannot do; str() is a sentence for the user."""
