"""The kinds of problems there are: what `type` names, and what its page says."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A kind of problem; `/problems/{slug}` explains it."""

    slug: str
    status: int
    title: str
    explanation: str
    detail: str = ""
    """What every problem of this kind says; empty where each has a sentence of its own."""
    headers: Mapping[str, str] = field(default_factory=dict)


bad_request = Kind(
    "bad-request", 400, "The request cannot be read", "The server could not make sense of the HTTP request itself."
)
untrusted_host = Kind(
    "untrusted-host",
    400,
    "The service is not known by this name",
    "The Host header has a name that this service was not told of. It answers to `localhost`, to IP addresses and to "
    "the names in `EPOCHD_TRUSTED_HOSTS`: otherwise a web page whose name leads here could use it through a browser.",
)
not_json = Kind(
    "not-json",
    400,
    "The body is not JSON",
    "The body must be one JSON document in UTF-8 (RFC 8259). The detail says where reading it stopped; "
    "frequent reasons are single quotes, a comma after the last item and a missing brace.",
)
unauthorized = Kind(
    "unauthorized",
    401,
    "A key is needed",
    "Send `Authorization: Bearer KEY` with a key that is valid. Keys are made on the machine that serves, with "
    "`epochd keys create`, and shown once. They are taken from this header only, never from an address.",
)
forbidden = Kind(
    "forbidden",
    403,
    "The key is not good for this",
    "A key has a scope: `read` looks, `write` submits and cancels too, `admin` does so with what belongs to others.",
)
cross_site = Kind(
    "cross-site",
    403,
    "Not from a page of another site",
    "A browser sent this for a page that this service did not serve. Where a browser needs no key, or sends one by "
    "itself in the cookie of `/v1/session`, a page of another site could change things behind its reader's back. So "
    "only the service's own pages may: the `Origin` header has to name this host. Programs send their key in the "
    "header `Authorization: Bearer …` instead; then this does not arise.",
    "This was not sent for a page of this service; without a key in the header only its own pages may change anything.",
)
not_found = Kind(
    "not-found",
    404,
    "Not found",
    "Nothing is at this address: the id is unknown, misspelt or not yours, or the path is wrong.",
)
no_checkpoint = Kind(
    "no-checkpoint",
    404,
    "No such checkpoint",
    "The run keeps no weights under this name. A run that has just started has none yet; `best` needs an evaluated "
    "epoch; which ones are kept is decided by the spec's `keep_checkpoints`.",
)
method_not_allowed = Kind(
    "method-not-allowed",
    405,
    "Method not allowed",
    "The address exists, but not with this HTTP method. The Allow header lists the methods there are.",
)
not_acceptable = Kind(
    "not-acceptable",
    406,
    "No such format",
    "The answer does not exist in the format asked for. `?format=` wins over the Accept header; "
    "the detail lists the choices.",
)
already_finished = Kind(
    "already-finished",
    409,
    "Already finished",
    "What has succeeded, failed or been cancelled stays so; it cannot be cancelled any more.",
)
nothing_to_retry = Kind(
    "nothing-to-retry",
    409,
    "Nothing to retry",
    "A retry trains again what failed or was cancelled, and nothing of this experiment was, or not yet. A run that "
    "diverged is left out: it would diverge to the same bits; submit it with a smaller `learning_rate` instead.",
)
still_running = Kind(
    "still-running",
    409,
    "Still running",
    "What is being trained cannot be deleted. Cancel the experiment (`POST …:cancel`), which takes some seconds, or "
    "wait for its end, and delete it then. One that waits in the queue is cancelled by deleting it.",
)
not_for_variant = Kind(
    "not-for-this-variant",
    409,
    "Not for this variant",
    "The variant of this run has nothing to show here. `/weights` lists the few numbers of `polynomial` and `linear`, "
    "with true values beside them; those of an `mlp` are thousands without, and its checkpoints hold them. `/fit` is a "
    "curve over one x: `polynomial` only. Tiles, errors and a confusion matrix are of images: `mlp` only.",
)
changed_meanwhile = Kind(
    "changed-meanwhile",
    412,
    "Changed in the meantime",
    "`If-Match` named an ETag that this is not at any more, so nothing was changed or deleted. Read it again, see "
    "whether that is still what you want, and send the new ETag.",
    "It is not as the ETag in If-Match says.",
)
too_large = Kind(
    "too-large",
    413,
    "The body is too large",
    "Request bodies are limited; the detail says how much is taken. Split large requests for predictions.",
)
unsupported_media_type = Kind(
    "unsupported-media-type",
    415,
    "The body must be JSON",
    "Say `Content-Type: application/json` and send JSON. With curl: `-H 'Content-Type: application/json'`.",
)
invalid = Kind(
    "invalid",
    422,
    "The request is not valid",
    "The request was read, but some of its values are not possible. `errors` lists them: `pointer` is the place in the "
    "posted document (a JSON Pointer, RFC 6901; for `in: query` the name of the parameter), `detail` what is wrong and "
    "what would be right. /v1/variants shows every field with its default and its bounds.",
)
queue_full = Kind(
    "queue-full",
    429,
    "Too much of yours is waiting",
    "Each owner may have so many runs waiting at a time (`EPOCHD_MAX_QUEUED_RUNS`), so that nobody fills the queue of "
    "everybody. Post it again when some have been trained, or cancel what is not needed any more.",
    headers={"Retry-After": "30"},
)
key_reused = Kind(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key belongs to another request",
    "An `Idempotency-Key` stands for one request: sent again with the same body it answers with the same experiment, "
    "for as long as that is there. With another body it is refused, since one of the two would be lost. Make a new "
    "key, such as a random UUID, for each new submission.",
)
internal = Kind(
    "internal",
    500,
    "The service failed",
    "This is a defect of the service, not of your request. The log has more under the request_id.",
    "Something went wrong inside the service. Please report it with the request_id.",
)
checkpoint_damaged = Kind(
    "checkpoint-damaged",
    500,
    "The stored weights are damaged",
    "The bytes in the database no longer have the checksum they were stored with, so they are not handed out. "
    "Submitting the same spec again trains the same weights.",
    "The stored weights of this checkpoint are damaged. Submit the same spec again to train them anew.",
)
dataset_unusable = Kind(
    "dataset-unusable",
    503,
    "The data set cannot be used",
    "The answer needs Fashion-MNIST, and this server has no usable copy of it.",
)
not_ready = Kind(
    "not-ready",
    503,
    "Not ready",
    "The service is up but lacks something it needs: the database, its current schema, a live worker, or the "
    "broker. Without the broker it still takes experiments, and trains them once it is back.",
    "The database is not at this version's schema; its migrations have to be run.",
    {"Retry-After": "5"},
)
database_unavailable = Kind(
    "database-unavailable",
    503,
    "The database does not answer",
    "The database cannot be reached, or was busy for too long. Nothing was changed; try again.",
    "The database did not answer. Nothing was changed; try again in a moment.",
    {"Retry-After": "2"},
)

ALL = (
    bad_request,
    untrusted_host,
    not_json,
    unauthorized,
    forbidden,
    cross_site,
    not_found,
    no_checkpoint,
    method_not_allowed,
    not_acceptable,
    already_finished,
    nothing_to_retry,
    still_running,
    not_for_variant,
    changed_meanwhile,
    too_large,
    unsupported_media_type,
    invalid,
    queue_full,
    key_reused,
    internal,
    checkpoint_damaged,
    dataset_unusable,
    not_ready,
    database_unavailable,
)
BY_SLUG = {kind.slug: kind for kind in ALL}
BY_STATUS = {kind.status: kind for kind in reversed(ALL)}
"""The most general kind of each status, for errors that the framework raises."""
