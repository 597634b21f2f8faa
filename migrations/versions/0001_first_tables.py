"""The first tables.

Revision: 0001, after nothing.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None

STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")


def upgrade() -> None:
    _create_experiments()
    _create_jobs()
    _create_runs()
    _create_curves_and_flushes()
    _create_checkpoints()
    _create_events()
    _create_workers()
    _create_keys()


def downgrade() -> None:
    for table in (
        "api_keys",
        "idempotency_keys",
        "workers",
        "events",
        "checkpoint_chunks",
        "checkpoints",
        "flushes",
        "curve_segments",
        "runs",
        "jobs",
        "experiments",
    ):
        op.drop_table(table)


def _create_experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("tags", _json().with_variant(postgresql.JSONB(none_as_null=True), "postgresql"), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("request", _json(), nullable=False),
        sa.Column("variant", sa.String(40), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("ephemeral", sa.Boolean(), nullable=False),
        _status_column(),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        *(sa.Column(status, sa.Integer(), nullable=False) for status in STATUSES),
        sa.Column("total_epochs", sa.BigInteger(), nullable=False),
        sa.Column("epochs_done", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        *_life_columns(),
        _status_is_known("experiments"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
    )
    _create_index("experiments", "created_at", "id")
    _create_index("experiments", "owner", "created_at", "id")
    _create_index("experiments", "status", "created_at", "id")


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("queue", sa.String(40), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        _status_column(),
        sa.Column("worker", sa.String(200)),
        sa.Column("lease_until", sa.Double()),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(40)),
        sa.Column("threads", sa.Integer()),
        *_life_columns(),
        _status_is_known("jobs"),
        _belongs("jobs", "experiment_id", "experiments"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    _create_index("jobs", "experiment_id")
    _create_index("jobs", "status", "queue", "priority", "owner", "created_at", "id")


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("stack_index", sa.Integer(), nullable=False),
        sa.Column("variant", sa.String(40), nullable=False),
        sa.Column("spec", _json(), nullable=False),
        sa.Column("seed", sa.BigInteger()),
        sa.Column("data_seed", sa.BigInteger()),
        sa.Column("fold", sa.Integer()),
        _status_column(),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("epochs_done", sa.Integer(), nullable=False),
        sa.Column("summary", _json()),
        sa.Column("error", _json()),
        *_life_columns(),
        _status_is_known("runs"),
        _belongs("runs", "experiment_id", "experiments"),
        _belongs("runs", "job_id", "jobs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("experiment_id", "number", name=op.f("uq_runs_experiment_id_number")),
        sa.UniqueConstraint("job_id", "stack_index", name=op.f("uq_runs_job_id_stack_index")),
    )
    _create_index("runs", "created_at", "id")
    _create_index("runs", "owner", "created_at", "id")
    _create_index("runs", "status", "created_at", "id")


def _create_curves_and_flushes() -> None:
    op.create_table(
        "curve_segments",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("first_epoch", sa.Integer(), nullable=False),
        sa.Column("last_epoch", sa.Integer(), nullable=False),
        sa.Column("metrics", _json(), nullable=False),
        sa.Column("packed_epochs", sa.LargeBinary(), nullable=False),
        sa.Column("packed_values", sa.LargeBinary(), nullable=False),
        _belongs("curve_segments", "run_id", "runs"),
        sa.PrimaryKeyConstraint("run_id", "first_epoch", name=op.f("pk_curve_segments")),
    )
    op.create_table(
        "flushes",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("first_epoch", sa.Integer(), nullable=False),
        sa.Column("last_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        _belongs("flushes", "experiment_id", "experiments"),
        sa.PrimaryKeyConstraint("experiment_id", "seq", name=op.f("pk_flushes")),
    )


def _create_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid()),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("(run_id IS NULL) = (kind = 'state')", name=op.f("ck_checkpoints_state_is_of_a_job")),
        _belongs("checkpoints", "job_id", "jobs"),
        _belongs("checkpoints", "run_id", "runs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
    )
    _create_index("checkpoints", "job_id")
    _create_index("checkpoints", "run_id")
    op.create_table(
        "checkpoint_chunks",
        sa.Column("checkpoint_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _belongs("checkpoint_chunks", "checkpoint_id", "checkpoints"),
        sa.PrimaryKeyConstraint("checkpoint_id", "number", name=op.f("pk_checkpoint_chunks")),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("run_id", sa.Uuid()),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("status", sa.String(16)),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        _belongs("events", "experiment_id", "experiments"),
        sa.PrimaryKeyConstraint("experiment_id", "seq", "number", name=op.f("pk_events")),
    )


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("queues", _json(), nullable=False),
        sa.Column("device", sa.String(40), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )


def _create_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("experiment_id", sa.Uuid()),
        sa.Column("response_status", sa.Integer()),
        sa.Column("created_at", sa.Double(), nullable=False),
        _belongs("idempotency_keys", "experiment_id", "experiments"),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency_keys")),
    )
    _create_index("idempotency_keys", "experiment_id")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("scopes", _json(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_keys_sha256")),
    )


def _json() -> sa.JSON:
    return sa.JSON(none_as_null=True)


def _status_column() -> sa.Column[Any]:
    return sa.Column("status", sa.String(16), nullable=False)


def _life_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
    ]


def _status_is_known(table: str) -> sa.CheckConstraint:
    known = ", ".join(f"'{status}'" for status in STATUSES)
    return sa.CheckConstraint(f"status IN ({known})", name=op.f(f"ck_{table}_status"))


def _belongs(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{owner}")
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE")


def _create_index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
