"""Public pages: the API reference, made from the OpenAPI document without scripts."""
