"""What is asked of a model server."""

import dataclasses
import re
import urllib.parse

from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class ClientConfig:
    """What is asked of a model server, and how often."""

    server: str = option(
        "http://127.0.0.1:8501",
        "Where it is: http:// for REST, grpc:// (port 8500) for gRPC; https:// and "
        "grpcs:// with TLS.",
    )
    ca_file: str = option(
        "", "PEM file of the authorities to trust with TLS, in place of the system's."
    )
    model: str = option(
        "digits", "The model's name on the server; by default the preset's."
    )
    version: int = option(0, "The model's version; 0: what the server says.", minimum=0)
    label: str = option("", "The version's label, in place of --version.")
    signature: str = option(
        "png",
        "What is asked for: PNGs of a seed; or images of noise that is drawn here, "
        "which a server that batches requests answers too.",
        choices=("png", "serving_default"),
    )
    count: int = option(16, "Images of a request.", minimum=1)
    seed: int = option(
        0, "Seed of the first request; the next has the next.", minimum=0
    )
    requests: int = option(1, "Requests in all.", minimum=1)
    concurrency: int = option(1, "Requests at once, a connection each.", minimum=1)
    timeout: float = option(60.0, "Seconds to wait for an answer.", minimum=0.001)

    def __post_init__(self):
        check(self)
        if not _is_address(self.server):
            refuse(
                "server", "be like http://host:8501 or grpc://host:8500", self.server
            )
        if self.ca_file and not self.server.startswith(("https:", "grpcs:")):
            refuse("ca_file", "be empty where the server has no TLS", self.ca_file)
        for name, word in (("model", self.model), ("label", self.label or "-")):
            if not re.fullmatch(r"[\w.-]+", word, re.ASCII):
                refuse(name, "be of letters, digits, `_`, `-` and `.`", word)
        if self.version and self.label:
            refuse("label", "be empty where a version is given", self.label)
        if self.version >= 2**63:
            refuse("version", f"be below {2**63}", self.version)
        if self.count >= 2**31:
            refuse("count", f"be below {2**31}", self.count)
        if self.seed + self.requests > 2**63:
            refuse("seed", f"be below {2**63} for every request", self.seed)


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
