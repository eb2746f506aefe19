"""What we remember: one schema for SQLite and PostgreSQL, on SQLAlchemy Core.

`tables` is the schema, `migrations` how it came about; `leases`, `ledger`, `memories`, `history` and `sharing`
hold plain functions over one connection and one transaction each; `database` ties them to a URL. Nothing here
decides anything: the rules of ownership and guards are the engine's.
"""
