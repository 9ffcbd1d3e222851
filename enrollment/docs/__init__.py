"""The API in words: pages made from the OpenAPI document, without any script."""
