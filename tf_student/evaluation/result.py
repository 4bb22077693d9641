"""What an evaluation found."""

import dataclasses

from tf_student.evaluation.metrics import Score
from tf_student.evaluation.similarity import Similarity


@dataclasses.dataclass(frozen=True)
class Measured:
    """One network's figures, or those of one set of images.

    Attributes:
        scores: FID, KID, IS and their like.
        calls: network calls for an image; 0 where unknown.
        milliseconds: for an image, in full batches; 0 for a set of images.
        ranges: measurements that were made of it.
        images: where they come from.
    """

    scores: dict[str, Score]
    calls: int = 0
    milliseconds: float = 0.0
    ranges: int = 1
    images: str = ""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        real: name of the real images, or of what takes their place.
        real_count: how many of them; 0 where unknown.
        half_split_fid: FID between two halves of the real images, None without them.
        extractor: name of the feature extractor.
        samples: generated images of one measurement.
        repeats: measurements, each on its own range of seeds.
        networks: `teacher` and `student`, or what is compared.
        preparation: how the real images came to their size.
        between: FID between the networks, None for one.
        same_noise: how alike the networks' images of one noise are.
        warnings: what limits these figures.
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
        """One sentence on how it was measured."""
        count = f"{self.real_count:,}" if self.real_count else "an unknown number of"
        return (
            f"{self.samples:,} generated images in each of {self.repeats} range(s) of "
            f"seeds against {count} real images of {self.real} ({self.preparation}); "
            f"uint8 images; float64 statistics; features: {self.extractor}."
        )

    def verdict(self) -> str:
        """A few sentences on what came of it."""
        found = [
            f"{name} is {m.images}." for name, m in self.networks.items() if m.images
        ]
        fid = {name: m.scores["FID"].mean for name, m in self.networks.items()}
        if {"teacher", "student"} <= fid.keys() and fid["teacher"]:
            ratio = fid["student"] / fid["teacher"]
            found.append(f"FID(student) / FID(teacher) = {ratio:.3f}.")
        if self.between:
            found.append(f"FID between {' and '.join(fid)}: {self.between}.")
        if self.half_split_fid is not None:
            halves = f"{self.half_split_fid:.3f}"
            found.append(f"FID between two halves of the real images: {halves}.")
        if self.same_noise:
            s = self.same_noise
            found.append(
                f"On the same noise, {s.pairs:,} pairs: L1 {s.l1:.2f} and L2 "
                f"{s.l2:.2f} grey levels, PSNR {s.psnr:.2f} dB, SSIM {s.ssim:.3f}, "
                f"cosine distance of features {s.cosine:.4f}."
            )
        return " ".join([*found, *self.warnings])

    def rows(self) -> list[tuple[str, ...]]:
        """The table: a row of names, then one for each figure, a column a network."""
        columns = self.networks.values()
        names = list(dict.fromkeys(k for m in columns for k in m.scores))
        found = [("", *self.networks)]
        for name in names:
            scores = [m.scores.get(name) for m in columns]
            found.append((name, *(str(s) if s else "" for s in scores)))
            if any(s and s.error is not None for s in scores):
                errors = (f"{s.error:.3g}" if s and s.error else "" for s in scores)
                found.append((f"{name}: standard error", *errors))
        if any(m.calls for m in columns):
            calls = (str(m.calls or "") for m in columns)
            found.append(("network calls", *calls))
        if any(m.milliseconds for m in columns):
            times = (f"{m.milliseconds:.3f}" if m.milliseconds else "" for m in columns)
            found.append(("ms an image", *times))
        return found

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """A table for the terminal."""
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{name:{widths[0]}}"
            + "".join(f"  {v:>{w}}" for v, w in zip(values, widths[1:], strict=True))
            for name, *values in rows
        ]
        return "\n".join([*lines, self.protocol(), self.verdict()])
