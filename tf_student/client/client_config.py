"""Requests to a model server, as a config."""

import dataclasses
import re
import urllib.parse

from tf_student.runtime.options import MAX_SEED, check, option, refuse


@dataclasses.dataclass(frozen=True)
class ClientConfig:
    """Requests to a model server.

    Example:

    >>> ClientConfig("grpc://127.0.0.1:8500", requests=100, concurrency=4).model
    'digits'
    """

    server: str = option(
        "http://127.0.0.1:8501",
        "Address of the server: http:// for REST, or grpc:// (port 8500) for gRPC; "
        "https:// and grpcs:// for TLS.",
    )
    ca_file: str = option(
        "",
        "PEM file of trusted certificate authorities for TLS; empty for the system's.",
        advanced=True,
        path=True,
    )
    model: str = option(
        "digits", "Name of the model on the server; by default the preset's."
    )
    version: int = option(
        0,
        "Version of the model; 0 for the server's default.",
        minimum=0,
        maximum=2**63 - 1,
    )
    label: str = option(
        "", "Label of the version, in place of --version.", advanced=True
    )
    signature: str = option(
        "png",
        "Signature to request: png sends seeds; serving_default sends noise, which a "
        "server that batches requests also supports.",
        choices=("png", "serving_default"),
    )
    count: int = option(16, "Images of each request.", minimum=1, maximum=2**31 - 1)
    labels: tuple[int, ...] = option(
        (),
        "Classes of the images, in turn, for a model with classes; -1: the class that "
        "the seed draws, which is the default.",
        minimum=-1,
        maximum=2**31 - 1,
    )
    seed: int = option(
        0,
        "Seed of the first request; it increases by 1 per request.",
        minimum=0,
        maximum=MAX_SEED,
    )
    requests: int = option(1, "Number of requests.", minimum=1, maximum=10**7)
    concurrency: int = option(
        1,
        "Requests at the same time, each with its own connection.",
        minimum=1,
        maximum=1024,
    )
    timeout: float = option(
        60.0, "Seconds for a request and its whole answer.", minimum=0.001
    )

    def __post_init__(self):
        check(self)
        if not _is_address(self.server):
            refuse(
                "server", "be like http://host:8501 or grpc://host:8500", self.server
            )
        if self.ca_file and not self.server.startswith(("https:", "grpcs:")):
            refuse("ca_file", "be empty for a server without TLS", self.ca_file)
        for name, word in (("model", self.model), ("label", self.label or "-")):
            if not re.fullmatch(r"[\w.-]+", word, re.ASCII):
                refuse(name, "have only letters, digits, `_`, `-` and `.`", word)
        if self.version and self.label:
            refuse("label", "be empty if `version` is set", self.label)
        if self.seed + self.requests > 2**63:
            refuse("seed", f"be below {2**63} in every request", self.seed)

    def image_labels(self, has_classes: bool) -> list[int] | None:
        """The label of each image of a request; None for a model without classes.

        Raises:
            InputError: if labels are given in vain, or missing beside noise.
        """
        if not has_classes:
            if self.labels:
                refuse("labels", "be empty for a model without classes", self.labels)
            return None
        labels = self.labels or (-1,)
        if self.signature == "serving_default" and min(labels) < 0:
            must = "be given, from 0, for a model with classes that gets noise"
            refuse("labels", must, self.labels)
        return [labels[number % len(labels)] for number in range(self.count)]


def _is_address(server: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(server)
        known = parts.scheme in ("http", "https", "grpc", "grpcs")
        # Reading the port checks it.
        return (
            known and bool(parts.hostname) and parts.port != 0 and server.isprintable()
        )
    except ValueError:
        return False
