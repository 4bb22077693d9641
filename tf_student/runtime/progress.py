"""Progress bars on stderr, with rate and time left."""

import sys

import tqdm


def bar(*, total: int, done: int, label: str, unit: str, enabled: bool) -> tqdm.tqdm:
    """A progress bar; in a log file, where it cannot be redrawn, a line a minute.

    Args:
        total: units in all.
        done: units that an earlier run did.
        label: what is going on.
        unit: what is counted.
        enabled: False draws nothing.
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
