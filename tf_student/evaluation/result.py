"""What an evaluation found."""

import dataclasses

from tf_student.evaluation.metrics import Score


@dataclasses.dataclass(frozen=True)
class Measured:
    """One network's figures.

    Attributes:
        scores: FID, KID and IS.
        calls: network calls for an image.
        milliseconds: for an image, in full batches.
    """

    scores: dict[str, Score]
    calls: int
    milliseconds: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        real: name of the real images.
        real_count: how many of them.
        half_split_fid: FID between two halves of the real images.
        extractor: name of the feature extractor.
        samples: generated images of one measurement.
        repeats: measurements, each on its own range of seeds.
        networks: `teacher` and `student`.
    """

    real: str
    real_count: int
    half_split_fid: float
    extractor: str
    samples: int
    repeats: int
    networks: dict[str, Measured]

    def protocol(self) -> str:
        """One sentence on how it was measured."""
        return (
            f"{self.samples:,} generated images in each of {self.repeats} range(s) of "
            f"seeds against {self.real_count:,} real images of {self.real}; features: "
            f"{self.extractor}."
        )

    def verdict(self) -> str:
        """One sentence on what came of it."""
        fid = {name: m.scores["FID"].mean for name, m in self.networks.items()}
        return (
            f"FID(student) / FID(teacher) = {fid['student'] / fid['teacher']:.3f}. "
            f"FID between two halves of the real images: {self.half_split_fid:.3f}."
        )

    def table(self) -> str:
        """A table for the terminal."""
        lines = [f"{'':9}{'FID':>17}{'KID':>17}{'IS':>17}{'calls':>7}{'ms/image':>10}"]
        for name, m in self.networks.items():
            scores = "".join(f"{m.scores[k]!s:>17}" for k in ("FID", "KID", "IS"))
            lines.append(f"{name:9}{scores}{m.calls:>7}{m.milliseconds:>10.3f}")
        return "\n".join([*lines, self.protocol(), self.verdict()])
