"""How the schema came about, one module a step; run by Alembic at start."""
