"""Access: partners, staff accounts, tokens, second factors, the security log and idempotency."""
