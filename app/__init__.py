"""A durable betting back office on Restate."""

__version__ = "0.1.0"
