"""What partners are told: notices, each once."""
