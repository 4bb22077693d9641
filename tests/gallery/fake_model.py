"""A model without a network, which records its calls."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TimedImages:
    pngs: list[bytes]
    seconds: float


class FakeModel:
    shape = (8, 8, 3)

    def __init__(self, before=lambda: None, limit=None):
        self.calls, self._before, self.limit = [], before, limit

    def sample(self, seed, count):
        self.calls.append(("sample", seed, count))
        self._before()
        return TimedImages([b"%d-%d" % (seed, i) for i in range(count)], 0.5)

    def interpolate(self, seed_a, seed_b, steps):
        self.calls.append(("interpolate", seed_a, seed_b, steps))
        self._before()
        return TimedImages(
            [b"%d-%d-%d" % (seed_a, seed_b, i) for i in range(steps)], 0.25
        )
