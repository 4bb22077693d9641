"""Asks a model server for images, saves them and says how long the answers took.

tf-student client --server=http://127.0.0.1:8501 --count=16 --requests=100
tf-student client --server=grpc://127.0.0.1:8500 --signature=serving_default
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.client.config import ClientConfig

config_flags.define_common("served")
config_flags.define(ClientConfig)


def main() -> None:
    """Asks, or says what would be asked for."""
    config_flags.preset()
    config = config_flags.resolve(ClientConfig(model=flags.FLAGS.preset))
    directory = config_flags.directory("served")
    if flags.FLAGS.dry_run:
        cost = {"requests": config.requests, "images": config.requests * config.count}
        launch.print_cost(f"ask {config.server} for images", cost)
        return
    if config.server.startswith("grpc"):
        # Its messages are TensorFlow's.
        launch.import_quietly("tensorflow")
    from tf_student.stations import client

    given = client.ask(directory, config)
    print(f"{config.count} images of seed {config.seed} are in {directory}.")
    print(_latencies(given, config))


def _latencies(given, config: ClientConfig) -> str:
    from tf_student.client import load

    percentiles = ", ".join(
        f"p{p} {1000 * given.percentile(p):.1f} ms" for p in load.PERCENTILES
    )
    images = config.requests * config.count / given.seconds
    return (
        f"{config.requests} requests, {config.concurrency} at once: {percentiles}; "
        f"{images:.1f} images/s."
    )


if __name__ == "__main__":
    launch.run(main)
