"""Counters from which an experiment's remaining epochs and its pace follow.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None

OF_EARLIER_ROWS = """
UPDATE experiments SET
epochs_reused = (
    SELECT COALESCE(SUM(epochs_done), 0) FROM runs
    WHERE runs.experiment_id = experiments.id AND reused_from IS NOT NULL
),
epochs_skipped = (
    SELECT COALESCE(SUM(epochs - epochs_done), 0) FROM runs
    WHERE runs.experiment_id = experiments.id AND runs.status IN ('succeeded', 'failed', 'cancelled')
)
"""


def upgrade() -> None:
    for name in ("epochs_reused", "epochs_skipped"):
        op.add_column("experiments", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(OF_EARLIER_ROWS)


def downgrade() -> None:
    op.drop_column("experiments", "epochs_skipped")
    op.drop_column("experiments", "epochs_reused")
