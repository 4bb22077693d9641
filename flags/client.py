"""Asks a model server for images, saves them and says how long the answers took.

tf-student client --server=http://127.0.0.1:8501 --count=16 --requests=100
tf-student client --server=grpc://127.0.0.1:8500 --signature=serving_default
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.client.client_config import ClientConfig

config_flags.define_common("served")
config_flags.define(ClientConfig)


def _config() -> ClientConfig:
    config_flags.preset()  # Refuses an unknown one, whose name is the model's.
    return config_flags.resolve(ClientConfig(model=flags.FLAGS.preset))


def main() -> None:
    """Requests images."""
    config, directory = _config(), config_flags.directory("served")
    if config.server.startswith("grpc"):
        # Its messages are TensorFlow's.
        launch.import_quietly("tensorflow")
    from tf_student.client import fetch

    load = fetch.fetch_images(directory, config=config)
    print(f"{config.count} images of seed {config.seed} are in {directory}.")
    print(_latencies(load, config))


def plan() -> launch.Plan:
    """What would be requested."""
    config = _config()
    cost = {"requests": config.requests, "images": config.requests * config.count}
    return f"request images from {config.server}", cost


def _latencies(load, config: ClientConfig) -> str:
    from tf_student.client import benchmark

    percentiles = ", ".join(
        f"p{p} {1000 * load.percentile(p):.1f} ms" for p in benchmark.PERCENTILES
    )
    images = config.requests * config.count / load.seconds
    return (
        f"{config.requests} requests, {config.concurrency} at once: {percentiles}; "
        f"{images:.1f} images/s."
    )


if __name__ == "__main__":
    launch.run(main, plan)
