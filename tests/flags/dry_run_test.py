import pytest

from tests.flags.commands import fork

_EXPECTED = {
    "teacher": ["parameters: ", "steps: 1,234\n", "bytes on disk: "],
    "pairs": ["images: 11,000\n", "network calls for an image: 20\n", "files: 5\n"],
    "distill": ["parameters: ", "steps: 1,234\n", "images in a step: 128\n"],
    "match": ["parameters: ", "steps: 1,234\n", "network calls (images, forward): "],
    "sample": ["images: 9\n", "network calls for an image: 1\n", "network calls: 9\n"],
    "interpolate": ["images: 80\n", "network calls for an image: 1\n"],
    "evaluate": ["images: 31,024\n", "network calls for an image: 20\n"],
    "export": ["parameters: ", "network calls for an image: 20\n", "bytes on disk"],
    "rollout": ["servers: http://127.0.0.1:8501\n"],
    "client": ["requests: 10\n", "images: 160\n"],
    "gallery": ["address: http://127.0.0.1:8008/\n"],
    "demo": ["parameters: ", "images: "],
}
_RECIPE = """
# The pairs' flags come from a file.
--pairs=10000
--held_out_pairs=1000
--shard_pairs=2500
--calls=20
"""
_FLAGS = {
    "client": ["--requests=10"],
    "teacher": ["--steps=1234", "--decay_steps=0"],
    "distill": ["--steps=1234", "--batch_size=128", "--decay_steps=0"],
    "match": ["--steps=1234", "--batch_size=128"],
    "sample": ["--count=9"],
    "evaluate": ["--samples=10000", "--repeats=3", "--calls=20"],
    "export": ["--network=teacher", "--calls=20", "--dtype=bfloat16"],
}


@pytest.fixture(scope="module")
def dry(pool, tmp_path_factory):
    """Dry runs of every command, and the folder that they should leave empty."""
    folder = tmp_path_factory.mktemp("dry")
    recipe = tmp_path_factory.mktemp("recipe") / "tiny.flags"
    recipe.write_text(_RECIPE)
    given = {**_FLAGS, "pairs": [f"--flagfile={recipe}"]}
    futures = {
        name: pool.submit(
            fork,
            name,
            "--dry_run",
            f"--work_dir={folder}/work",
            *given.get(name, []),
        )
        for name in _EXPECTED
    }
    return {name: future.result() for name, future in futures.items()}, folder


@pytest.mark.parametrize("command", _EXPECTED)
def test_says_what_it_would_cost(dry, command):
    finished = dry[0][command]
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("Would ")
    for line in _EXPECTED[command]:
        assert f"  {line}" in finished.out


def test_writes_nothing(dry):
    assert list(dry[1].iterdir()) == []
