"""Public pages: the API in words, made from the OpenAPI document without any script."""
