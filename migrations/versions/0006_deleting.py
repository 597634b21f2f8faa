"""Experiments that are being deleted, and the HTTP request that submitted one.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None

DELETED = "ix_experiments_deleted_at"
FINISHED = "ix_experiments_finished_at"


def upgrade() -> None:
    op.add_column("experiments", sa.Column("request_id", sa.String(128)))
    op.add_column("experiments", sa.Column("deleted_at", sa.Double()))
    is_deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index(op.f(DELETED), "experiments", ["deleted_at"], sqlite_where=is_deleted, postgresql_where=is_deleted)
    op.create_index(
        op.f(FINISHED),
        "experiments",
        ["finished_at"],
        sqlite_where=sa.text("ephemeral = 1"),
        postgresql_where=sa.text("ephemeral"),
    )
    op.drop_column("idempotency_keys", "response_status")


def downgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("response_status", sa.Integer()))
    op.drop_index(op.f(FINISHED), "experiments")
    op.drop_index(op.f(DELETED), "experiments")
    op.drop_column("experiments", "deleted_at")
    op.drop_column("experiments", "request_id")
