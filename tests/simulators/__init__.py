"""Clouds on this machine: the real client libraries reach them through a proxy that ends TLS and records each call."""
