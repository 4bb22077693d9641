"""Makes the shards of a pair set with Apache Beam, on any of its runners."""

import threading
from collections.abc import Callable, Iterator

import apache_beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils import shared

from tf_student.pairs import manifests, writer
from tf_student.runtime.errors import InputError

# From noise to images, and how many at once.
Sampler = tuple[Callable[[np.ndarray], np.ndarray], int]


def write_pairs(
    directory: str,
    manifest: manifests.Manifest,
    open_sampler: Callable[[], Sampler],
    options: list[str],
) -> manifests.Manifest:
    """Makes the shards that are missing, one an element of a pipeline.

    Beam schedules them, tries failed ones again and survives lost workers.

    Args:
        directory: made if missing; every worker must see it.
        manifest: what to write.
        open_sampler: opens what `pairs.writer.write_pairs` calls `sample` and `batch`;
            called once in each of the workers' processes. Must be picklable.
        options: of the pipeline, such as `runner=FlinkRunner`.

    Returns:
        The manifest, complete unless the runner does not wait for the end.

    Raises:
        InputError: if the directory holds another pair set, if the disk is too small,
            or if the pipeline fails.
    """
    todo = writer.prepare(directory, manifest, manifest.shards)
    write = _WriteShard(directory, manifest, open_sampler)
    try:
        arguments = PipelineOptions([f"--{option}" for option in options])
        with apache_beam.Pipeline(options=arguments) as pipeline:
            # Without reshuffling a runner may make it all one worker's work.
            shards = pipeline | apache_beam.Create(todo) | apache_beam.Reshuffle()
            _ = shards | apache_beam.ParDo(write)
    # Runners fail in their own ways, and wrong options end the process.
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"The pipeline of Apache Beam failed: {lines[-1]} Finished shards are "
            "kept, and the same command goes on."
        ) from error
    return writer.finish(directory, manifest)


class _OneSampler:
    """What one process samples with; threads take turns."""

    def __init__(self, open_sampler: Callable[[], Sampler]):
        self.sample, self.batch = open_sampler()
        self.lock = threading.Lock()


class _WriteShard(apache_beam.DoFn):
    """Writes a shard; the sampler is opened once a process."""

    def __init__(
        self,
        directory: str,
        manifest: manifests.Manifest,
        open_sampler: Callable[[], Sampler],
    ):
        self._directory, self._manifest = directory, manifest
        self._open_sampler, self._handle = open_sampler, shared.Shared()

    def setup(self) -> None:
        """Called by Beam before the first shard."""
        self._sampler = self._handle.acquire(lambda: _OneSampler(self._open_sampler))

    def process(self, shard: manifests.Shard) -> Iterator[str]:
        """Called by Beam with each shard."""
        sampler = self._sampler

        def sample(z: np.ndarray) -> np.ndarray:
            with sampler.lock:
                return sampler.sample(z)

        writer.write_shard(
            self._directory, self._manifest, shard, sample, sampler.batch
        )
        yield shard.name
