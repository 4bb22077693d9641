"""A model of no network, that notes what it was asked for."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Drawn:
    pngs: list[bytes]
    seconds: float


class Pretended:
    shape = (8, 8, 3)

    def __init__(self, before=lambda: None, limit=None):
        self.asked, self._before, self.limit = [], before, limit

    def sample(self, seed, count):
        self.asked.append(("sample", seed, count))
        self._before()
        return Drawn([b"%d-%d" % (seed, i) for i in range(count)], 0.5)

    def interpolate(self, seed_a, seed_b, steps):
        self.asked.append(("interpolate", seed_a, seed_b, steps))
        self._before()
        return Drawn([b"%d-%d-%d" % (seed_a, seed_b, i) for i in range(steps)], 0.25)
