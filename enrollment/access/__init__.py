"""Who is asking: partners by client credentials, staff by account and token; and each answer given once."""
