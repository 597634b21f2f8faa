"""What a worker can be told through the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from mlcore.openmp import usable_cores
from store.settings import StoreSettings
from worker.cards import Card

MOST_LETTERS = 40  # of a device, where it is stored
BROKERS = ("redis://", "rediss://", "memory://")  # the last, within one process, is for tests


def _broker(url: str) -> str:
    if not url.startswith(BROKERS):
        raise PydanticCustomError(
            "broker_url",
            "this is no address of a broker that epochd works with, such as redis://:password@host:6379/0; with TLS it "
            "begins with rediss://",
        )
    return url


class WorkerSettings(StoreSettings):
    """Settings of the queue, the slots and the janitor; durations are in seconds."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # addresses have passwords in them

    broker_url: Annotated[str, AfterValidator(_broker)] | None = Field(
        None, description="Where hints travel: `redis://` or `rediss://`; None: files in the data folder."
    )
    slot: str | None = Field(
        None, description="A name that survives restarts: a slot gives back what its predecessor of this name held."
    )
    predecessor: str = Field("its worker went away", description="How the predecessor of this name ended.")
    lifeline: int | None = Field(None, description="Descriptor of a pipe whose end means that the starter is gone.")
    pulse: Path | None = Field(
        None, description="A file that a slot or a janitor touches while all is well with it, for health checks."
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="Where this worker trains; auto: on a card if torch finds one, else on the CPU."
    )
    card: Card | None = Field(
        None, description="The card to train on, as JSON from `python -m worker.cards`; None: the first there is."
    )
    slots_per_card: int = Field(1, ge=1, le=16, description="How many slots `epochd up` starts on each card.")
    threads: int | None = Field(None, ge=1, description="CPU threads of the training; None: one per core.")
    lease_seconds: float = Field(10.0, gt=0, description="How long a job stays claimed without a sign of life.")
    flush_seconds: float = Field(0.25, ge=0, description="Epochs are stored at most this often.")
    flush_share: float = Field(
        0.1, gt=0, lt=1, description="Storing epochs costs about this share of the time at most."
    )
    contact_seconds: float = Field(0.5, gt=0, description="Within a long epoch, cancels are looked for this often.")
    renew_seconds: float = Field(3.0, gt=0, description="Within a long epoch, the lease is renewed this often.")
    checkpoint_seconds: float = Field(1.0, ge=0, description="The shortest time between two resume states of a job.")
    checkpoint_share: float = Field(0.04, gt=0, lt=1, description="Resume states cost at most this share of the time.")
    heartbeat_seconds: float = Field(2.0, gt=0, description="How often a slot says that it is alive.")
    janitor_seconds: float = Field(2.0, gt=0, description="How often the janitor looks.")
    ephemeral_seconds: float = Field(3600.0, ge=0, description="How long an ephemeral experiment outlives its end.")
    max_crashes: int = Field(3, ge=1, description="Crashes without progress in between after which a job has failed.")

    @property
    def renewal_seconds(self) -> float:
        """How often a lease is renewed within a long epoch: in time, however short it is set."""
        return min(self.renew_seconds, self.lease_seconds / 3)

    @property
    def broker_folder(self) -> Path:
        """The folder of the embedded broker."""
        return self.data / "broker"

    @property
    def waiting_folder(self) -> Path:
        """Where those who wait for what is written to the embedded database have their bells."""
        return self.data / "waiting"

    @property
    def threads_or_cores(self) -> int:
        """With how many threads to train."""
        return self.threads or len(usable_cores())

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues this worker takes jobs from."""
        return ("cpu",) if self.card is None else ("gpu", "cpu")

    @property
    def trains_on(self) -> str:
        """The device as jobs remember it: torch's name of it, and which card it is, for that decides the bits."""
        return "cpu" if self.card is None else f"cuda {self.card.name}"[:MOST_LETTERS]
