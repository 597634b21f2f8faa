"""Narrowing lists of experiments and runs; what only experiments have, a run takes from its own."""

from sqlalchemy import Boolean, Select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from store.paging import Filters, Row
from store.tables import Experiment


class _HasTag(FunctionElement[bool]):
    """Whether the JSON object holds this text under this key; arguments: tags, key, value."""

    name = "has_tag"
    inherit_cache = True
    type = Boolean()


@compiles(_HasTag, "sqlite")
def _sqlite(element: _HasTag, compiler: SQLCompiler, **options: object) -> str:
    # json_each and not a JSON path: a key may hold any character.
    tags, key, value = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({tags}) AS tag WHERE tag.key = {key} AND tag.value = {value})"  # noqa: S608


@compiles(_HasTag, "postgresql")
def _postgresql(element: _HasTag, compiler: SQLCompiler, **options: object) -> str:
    tags, key, value = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({tags} @> jsonb_build_object({key}::text, {value}::text))"


def narrowed(query: Select[Row], row: type[Row], filters: Filters) -> Select[Row]:
    """Return the query with the filters added; it has the experiments among its tables."""
    if filters.status is not None:
        query = query.where(row.status == filters.status)
    if filters.variant is not None:
        query = query.where(row.variant == filters.variant)
    if filters.tag is not None:
        query = query.where(_HasTag(Experiment.tags, *filters.tag))
    if filters.q is not None:
        query = query.where(Experiment.name.icontains(filters.q, autoescape=True))
    return query
