"""Progress bars on stderr, with the rate and the remaining time."""

import sys

import tqdm


def bar(*, total: int, done: int, label: str, unit: str, enabled: bool) -> tqdm.tqdm:
    """Returns a progress bar. In a log file it writes one line per minute.

    Args:
        total: the number of units in total.
        done: the number of units that an earlier run completed.
        label: the text before the bar.
        unit: the name of a unit.
        enabled: whether to draw the bar.
    """
    terminal = sys.stderr.isatty()
    return tqdm.tqdm(
        total=total,
        initial=done,
        desc=label,
        unit=unit,
        disable=not enabled,
        mininterval=0.2 if terminal else 60.0,
        maxinterval=10.0 if terminal else 60.0,
        dynamic_ncols=terminal,
    )
