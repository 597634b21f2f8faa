"""An index for the jobs of a queue that ended last: how long they took tells how long others will wait.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None

ENDED_LAST = "ix_jobs_queue_finished_at"


def upgrade() -> None:
    has_ended = sa.text("finished_at IS NOT NULL")
    op.create_index(
        op.f(ENDED_LAST), "jobs", ["queue", "finished_at"], sqlite_where=has_ended, postgresql_where=has_ended
    )


def downgrade() -> None:
    op.drop_index(op.f(ENDED_LAST), "jobs")
