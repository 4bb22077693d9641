"""Generates the shards of a pair set with any runner of Apache Beam."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence

import apache_beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils import shared

from tf_student.diffusion.inputs import Inputs
from tf_student.pairs import manifests, writer
from tf_student.pairs.interface import Sample
from tf_student.runtime.errors import InputError

# Lines without a reason: empty ones, indented ones, headings of tracebacks.
_PLACE = re.compile(
    r"\s|$|at \S+\(|\.\.\. \d+ more|Traceback \(|.*[Tt]raceback is:?\s*$|"
    r"During handling of the above|The above exception was"
)

# Opens a sampler; returns it with the number of pairs to sample at once.
OpenSampler = Callable[[], tuple[Sample, int]]


def write_pairs(
    directory: str,
    manifest: manifests.Manifest,
    open_sampler: OpenSampler,
    options: Sequence[str],
) -> manifests.Manifest:
    """Generates the missing shards; each shard is an element of a pipeline.

    Beam schedules the shards, repeats failed ones and replaces lost workers.

    Args:
        directory: created if it is missing; every worker must have access to it.
        manifest: describes the set.
        open_sampler: called once in each worker process; must be picklable.
        options: options of the pipeline, such as `runner=FlinkRunner`.

    Returns:
        The manifest; complete unless the runner returns before the pipeline ends.

    Raises:
        InputError: if the directory holds another pair set, if the disk is too small,
            or if the pipeline fails.
    """
    todo = writer.prepare(directory, manifest, manifest.shards)
    write = _WriteShard(directory, manifest, open_sampler)
    try:
        arguments = PipelineOptions([f"--{o}" for o in _completed(options)])
        with apache_beam.Pipeline(options=arguments) as pipeline:
            # Without reshuffling, a runner may give all shards to one worker.
            shards = pipeline | apache_beam.Create(todo) | apache_beam.Reshuffle()
            _ = shards | apache_beam.ParDo(write)
    # Runners raise errors of their own, and a wrong option exits.
    except (Exception, SystemExit) as error:
        raise InputError(
            f"The Apache Beam pipeline failed: {_reason(error)} Finished shards are "
            "kept. The same command continues."
        ) from error
    return writer.finish(directory, manifest)


def _completed(options: Sequence[str]) -> list[str]:
    """The options, with one shard at a time for a worker of Dask.

    Dask's own guess gives all shards to one worker.
    """
    names = {option.partition("=")[0] for option in options}
    dask = any(o.startswith("runner=") and "dask" in o.lower() for o in options)
    if dask and not names & {"dask_partition_size", "dask_npartitions"}:
        return [*options, "dask_partition_size=1"]
    return list(options)


def _reason(error: BaseException) -> str:
    """The first line of a message that says why, and not where, a pipeline failed.

    Runners put tracebacks of Python and stack traces of Java into their messages.
    """
    lines = str(error).splitlines()
    return next(
        (line.strip() for line in lines if not _PLACE.match(line)),
        type(error).__name__,
    )


class _SharedSampler:
    """The sampler of a process, whose threads use it in turn."""

    def __init__(self, open_sampler: OpenSampler):
        self._sample, self.batch = open_sampler()
        self._lock = threading.Lock()

    def __call__(self, inputs: Inputs) -> np.ndarray:
        with self._lock:
            return self._sample(inputs)


class _WriteShard(apache_beam.DoFn):
    """Writes a shard; each process opens the sampler once."""

    def __init__(
        self,
        directory: str,
        manifest: manifests.Manifest,
        open_sampler: OpenSampler,
    ):
        self._directory, self._manifest = directory, manifest
        self._open_sampler, self._handle = open_sampler, shared.Shared()

    def setup(self) -> None:
        """Called by Beam before the first shard."""
        self._sampler = self._handle.acquire(lambda: _SharedSampler(self._open_sampler))

    def process(self, shard: manifests.Shard) -> Iterator[str]:
        """Called by Beam with each shard."""
        sampler = self._sampler
        writer.write_shard(
            self._directory, self._manifest, shard, sampler, sampler.batch
        )
        yield shard.name
