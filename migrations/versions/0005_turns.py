"""An index that tells when an owner's last job started: owners take turns.

Revision: 0005, after 0004.
"""

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_index(op.f("ix_jobs_owner_started_at"), "jobs", ["owner", "started_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_jobs_owner_started_at"), "jobs")
