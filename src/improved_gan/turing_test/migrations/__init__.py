"""How the tables came to their present form (Alembic); `database.open_database` applies what is missing."""
