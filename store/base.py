"""What all tables share: how Python's types are stored, and what constraints are called."""

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Double, Enum, LargeBinary, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from store.status import Status

_json = JSON(none_as_null=True)  # not JSONB: that sorts the keys, and a request is to come back as it was posted
_tags = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_status = Enum(
    Status, native_enum=False, length=16, create_constraint=False, values_callable=lambda kinds: [str(k) for k in kinds]
)


class Base(DeclarativeBase):
    """Declares the types and the names of constraints that all tables share."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy reads it as a plain class attribute
        UUID: Uuid(),
        str: Text(),
        float: Double(),
        bytes: LargeBinary(),
        Status: _status,
        dict[str, Any]: _json,
        dict[str, str]: _tags,
        list[str]: _json,
    }
