"""Moves the labels of a model to the newest version, once a server has loaded it.

    tf-student rollout --preset=digits
    tf-student rollout --preset=digits --server=http://10.0.0.2:8501,http://10.0.0.3:8501

`tf-student export` lists a new version for the server and leaves the labels where they
are. This command waits until the server has loaded that version. Then the last version
is `canary`, the one before it `stable`, and the server unloads older ones.
"""

import functools

from tf_student.flags import config_flags, launch

from tf_student.client.client_config import ClientConfig
from tf_student.serving.rollout_config import RolloutConfig

config_flags.define_common("export")
config_flags.define(RolloutConfig)


def _config() -> RolloutConfig:
    config = config_flags.resolve(RolloutConfig())
    for server in config.servers():
        # Raises an error if an address is wrong.
        ClientConfig(server, config.ca_file)
    return config


def main() -> None:
    """Rolls the newest version out."""
    config = _config()
    config_flags.preset()  # Raises an error if the preset is unknown.
    rollout = launch.import_quietly("tf_student.serving.rollout")
    from tf_student.client import model_status

    servers = [
        functools.partial(
            model_status.version_states,
            server,
            timeout=min(60.0, config.timeout),
            ca_file=config.ca_file,
        )
        for server in config.servers()
    ]
    directory = config_flags.directory("export")
    asked = [] if config.no_wait else servers
    print(rollout.roll_out(directory, asked, timeout=config.timeout).text())


def plan() -> launch.Plan:
    """Returns whose labels would move."""
    config = _config()
    config_flags.preset()  # Raises an error if the preset is unknown.
    asked = "nobody" if config.no_wait else config.server
    directory = config_flags.directory("export")
    return f"move the labels of the versions in {directory}", {"servers": asked}


if __name__ == "__main__":
    launch.run(main, plan)
