"""The result of an evaluation, and its table."""

import dataclasses
from collections.abc import Iterable

from tf_student.evaluation.metrics import Score
from tf_student.evaluation.similarity import Similarity


@dataclasses.dataclass(frozen=True)
class Measured:
    """Figures of one network, or of one set of images.

    Attributes:
        scores: FID, KID, IS and other metrics by name.
        calls: network calls for each image; 0 if it is unknown.
        milliseconds: time for each image in full batches; 0 for a set of images.
        ranges: number of measurements.
        images: source of the images; empty for the evaluated teacher and student.
    """

    scores: dict[str, Score]
    calls: int = 0
    milliseconds: float = 0.0
    ranges: int = 1
    images: str = ""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate` or `compare`; `print` shows it as a table.

    Attributes:
        real: name of the real images, or of the source in their place.
        real_count: number of the real images; 0 if it is unknown.
        half_split_fid: FID between two halves of the real images; None if there are
            only statistics.
        extractor: name of the feature extractor.
        samples: generated images in each measurement.
        repeats: number of measurements, each on its own range of seeds.
        networks: figures by name: `teacher`, `student` and perhaps `matched`, or
            `source`.
        preparation: how the real images were brought to their size.
        between: FID between teacher and student; None for a single source.
        same_noise: similarity of the networks' images of the same noise.
        warnings: limitations of these figures.

    Example:

    >>> config = EvaluateConfig(samples=100, repeats=1, extractor="digits")
    >>> sampler = SamplerConfig("uniform", 5)
    >>> result = evaluate(teacher, student, real="digits", config=config,
    ...                   sampler=sampler)
    >>> result.real_count
    1797
    >>> result.rows()[0]
    ('', 'teacher', 'student')
    """

    real: str
    real_count: int
    half_split_fid: float | None
    extractor: str
    samples: int
    repeats: int
    networks: dict[str, Measured]
    preparation: str = "as they are"
    between: Score | None = None
    same_noise: Similarity | None = None
    warnings: tuple[str, ...] = ()

    def protocol(self) -> str:
        """A sentence about how the figures were measured."""
        count = f"{self.real_count:,}" if self.real_count else "an unknown number of"
        return (
            f"{self.samples:,} generated images in each of {self.repeats} range(s) of "
            f"seeds against {count} real images of {self.real} ({self.preparation}); "
            f"uint8 images; float64 statistics; features: {self.extractor}."
        )

    def verdict(self) -> str:
        """Sentences about the networks, and the warnings."""
        sentences = [
            f"{name} is {m.images}." for name, m in self.networks.items() if m.images
        ]
        fid = {name: m.scores["FID"].mean for name, m in self.networks.items()}
        if fid.get("teacher"):
            sentences += [
                f"FID({name}) / FID(teacher) = {fid[name] / fid['teacher']:.3f}."
                for name in ("student", "matched")
                if name in fid
            ]
        if self.between:
            sentences.append(f"FID between teacher and student: {self.between}.")
        if self.half_split_fid is not None:
            halves = f"{self.half_split_fid:.3f}"
            sentences.append(f"FID between two halves of the real images: {halves}.")
        if self.same_noise:
            s = self.same_noise
            sentences.append(
                f"On the same noise, {s.pairs:,} pairs: L1 {s.l1:.2f} and L2 "
                f"{s.l2:.2f} grey levels, PSNR {s.psnr:.2f} dB, SSIM {s.ssim:.3f}, "
                f"cosine distance of features {s.cosine:.4f}."
            )
        return " ".join([*sentences, *self.warnings])

    def rows(self) -> list[tuple[str, ...]]:
        """The table: a row of names, and a row for each figure, with its name first."""
        networks = self.networks.values()
        rows = [("", *self.networks)]
        for name in dict.fromkeys(name for m in networks for name in m.scores):
            rows += _score_rows(name, [m.scores.get(name) for m in networks])
        calls = (str(m.calls or "") for m in networks)
        times = (f"{m.milliseconds:.3f}" if m.milliseconds else "" for m in networks)
        rows += _row_unless_empty("network calls", calls)
        rows += _row_unless_empty("ms per image", times)
        return rows

    def table(self) -> str:
        """The rows as aligned text, the protocol and the verdict."""
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{name:{widths[0]}}"
            + "".join(f"  {v:>{w}}" for v, w in zip(values, widths[1:], strict=True))
            for name, *values in rows
        ]
        return "\n".join([*lines, self.protocol(), self.verdict()])

    def __str__(self) -> str:
        return self.table()


def _score_rows(name: str, scores: list[Score | None]) -> list[tuple[str, ...]]:
    """A row of scores, and a row of their standard errors, if they have any."""
    errors = (f"{s.error:.3g}" if s and s.error is not None else "" for s in scores)
    return [
        (name, *(str(s) if s else "" for s in scores)),
        *_row_unless_empty(f"{name}: standard error", errors),
    ]


def _row_unless_empty(name: str, cells: Iterable[str]) -> list[tuple[str, ...]]:
    row = (name, *cells)
    return [row] if any(row[1:]) else []
