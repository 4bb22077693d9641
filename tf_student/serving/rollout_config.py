"""How to move the labels of a model's versions, as a config."""

import dataclasses

from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class RolloutConfig:
    """Which servers must have loaded a model's newest version before its labels move.

    Example:

    >>> RolloutConfig("http://replica-0:8501,http://replica-1:8501").servers()
    ['http://replica-0:8501', 'http://replica-1:8501']
    """

    server: str = option(
        "http://127.0.0.1:8501",
        "Address of the server, http:// or https://; for several servers, all of "
        "their addresses, separated by commas.",
    )
    ca_file: str = option(
        "",
        "PEM file of trusted certificate authorities for TLS; empty for the system's.",
        advanced=True,
        path=True,
    )
    timeout: float = option(
        600.0, "Seconds to wait until the version is loaded.", minimum=0.001
    )
    no_wait: bool = option(
        False, "Ask no server: for a model that no server has loaded."
    )

    def __post_init__(self):
        check(self)
        for server in self.servers():
            if not server.startswith(("http://", "https://")):
                refuse("server", "begin with http:// or https://", self.server)

    def servers(self) -> list[str]:
        """The addresses."""
        return self.server.split(",")
