"""The service. Its features stand in one strict stack, held by the import contracts in pyproject.toml."""
