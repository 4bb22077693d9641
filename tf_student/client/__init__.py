"""Requests images from a model server, over REST or gRPC."""
