"""A curve of any length in bounded memory: neighbouring points are averaged once there are too many."""

from __future__ import annotations

import math


class Series:
    """Points in the order of their steps, at most `points` of them kept."""

    def __init__(self, points: int = 240) -> None:
        self._points = points
        self._width = 1
        self._buckets: list[tuple[float, float, int]] = []
        """Sum of steps, sum of values, count."""
        self.not_finite: int | None = None
        """The latest step whose value was nan or infinite; such values are not drawn."""

    def add(self, step: int, value: float) -> None:
        if not math.isfinite(value):
            self.not_finite = step
            return
        if self._buckets and self._buckets[-1][2] < self._width:
            steps, values, count = self._buckets[-1]
            self._buckets[-1] = (steps + step, values + value, count + 1)
            return
        self._buckets.append((step, value, 1))
        if len(self._buckets) > self._points:
            self._width *= 2
            pairs = zip(self._buckets[::2], [*self._buckets[1::2], (0.0, 0.0, 0)], strict=False)
            self._buckets = [(a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in pairs]

    def rewind(self, step: int) -> None:
        """Forget what came after `step`."""
        self._buckets = [bucket for bucket in self._buckets if bucket[0] / bucket[2] <= step]
        if self.not_finite is not None and self.not_finite > step:
            self.not_finite = None

    def points(self) -> list[tuple[float, float]]:
        """Mean step and mean value of each bucket."""
        return [(steps / count, values / count) for steps, values, count in self._buckets]
