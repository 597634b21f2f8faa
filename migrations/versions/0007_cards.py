"""What a worker has of a card's memory.

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("card_memory", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "card_memory")
