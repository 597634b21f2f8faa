"""Results that later runs reuse, and events that tell of a whole stack.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None

LOOKED_UP_BY = "ix_runs_owner_result_key_id"


def upgrade() -> None:
    op.add_column("runs", sa.Column("result_key", sa.String(64)))
    op.add_column("runs", sa.Column("reused_from", sa.Uuid()))
    has_key = sa.text("result_key IS NOT NULL")
    op.create_index(
        op.f(LOOKED_UP_BY), "runs", ["owner", "result_key", "id"], sqlite_where=has_key, postgresql_where=has_key
    )
    op.add_column("events", sa.Column("runs", sa.Integer()))


def downgrade() -> None:
    op.drop_column("events", "runs")
    op.drop_index(op.f(LOOKED_UP_BY), "runs")
    op.drop_column("runs", "reused_from")
    op.drop_column("runs", "result_key")
