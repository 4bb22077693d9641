"""A model without a network, which records its calls."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TimedImages:
    pngs: list[bytes]
    seconds: float


class FakeModel:
    shape = (8, 8, 3)

    def __init__(self, before=lambda: None, limit=None, classes=0):
        self.calls, self._before, self.limit = [], before, limit
        self.classes = classes

    def _record(self, *call, label):
        self.calls.append((*call, label) if self.classes else call)

    def sample(self, seed, count, label):
        self._record("sample", seed, count, label=label)
        self._before()
        return TimedImages([b"%d-%d" % (seed, i) for i in range(count)], 0.5)

    def interpolate(self, seed_a, seed_b, steps, label):
        self._record("interpolate", seed_a, seed_b, steps, label=label)
        self._before()
        return TimedImages(
            [b"%d-%d-%d" % (seed_a, seed_b, i) for i in range(steps)], 0.25
        )
