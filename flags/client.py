"""Requests images from a model server, saves them and prints the latencies.

    tf-student client --server=http://127.0.0.1:8501 --count=16 --requests=100
    tf-student client --server=grpc://127.0.0.1:8500 --signature=serving_default
    tf-student client --preset=digits_classes --labels=3,7

REST needs no TensorFlow on this machine; gRPC does.
"""

from absl import flags
from tf_student.flags import config_flags, launch

from tf_student.client.client_config import ClientConfig

config_flags.define_common("served")
config_flags.define(ClientConfig)


def _config() -> ClientConfig:
    config_flags.preset()  # Raises an error if the preset is unknown.
    return config_flags.resolve(ClientConfig(model=flags.FLAGS.preset))


def main() -> None:
    """Requests images."""
    config, directory = _config(), config_flags.directory("served")
    if config.server.startswith("grpc"):
        # TensorFlow defines the messages of gRPC requests.
        launch.import_quietly("tensorflow")
    from tf_student.client import fetch

    latencies = fetch.fetch_images(directory, config=config)
    print(f"Saved {config.count} images of seed {config.seed} in {directory}.")
    print(_summary(latencies, config))


def plan() -> launch.Plan:
    """Returns what the command would request."""
    config = _config()
    cost = {"requests": config.requests, "images": config.requests * config.count}
    return f"request images from {config.server}", cost


def _summary(latencies, config: ClientConfig) -> str:
    from tf_student.client import benchmark

    percentiles = ", ".join(
        f"p{p} {1000 * latencies.percentile(p):.1f} ms" for p in benchmark.PERCENTILES
    )
    images = config.requests * config.count / latencies.seconds
    return (
        f"{config.requests} requests, {config.concurrency} at a time: {percentiles}; "
        f"{images:.1f} images/s."
    )


if __name__ == "__main__":
    launch.run(main, plan)
