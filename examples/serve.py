"""A student as a SavedModel, used with TensorFlow only.

python examples/quickstart.py  # makes the student
python examples/serve.py

The exported folder is what TF Serving loads: it needs no Python and not this library.
"""

import tensorflow as tf

import tf_student as ts


def export(directory: str) -> str:
    """Exports the student of quickstart.py; returns the version's folder."""
    exported = ts.export(f"{directory}/student", f"{directory}/export", preset="digits")
    return exported.directory


def draw(version: str, path: str) -> None:
    """Draws four seeds and an interpolation; TensorFlow is all that this needs."""
    model = tf.saved_model.load(version)
    rows = []
    for seed in range(4):
        outputs = model.signatures["sample"](
            seed=tf.constant(seed, tf.int64), count=tf.constant(16)
        )
        rows.append(outputs["images"])  # uint8 [16, 8, 8, 1]
    outputs = model.signatures["interpolate"](
        seed_a=tf.constant(0, tf.int64),
        seed_b=tf.constant(1, tf.int64),
        steps=tf.constant(16),
    )
    rows.append(outputs["images"])
    sheet = tf.concat([tf.concat(tf.unstack(row), axis=1) for row in rows], axis=0)
    large = tf.image.resize(sheet, [8 * 8 * len(rows), 8 * 8 * 16], method="nearest")
    tf.io.write_file(path, tf.io.encode_png(large))
    print(f"Look at {path}.")


def main(directory: str = "runs/quickstart") -> None:
    """Exports, then draws."""
    draw(export(directory), f"{directory}/served.png")


if __name__ == "__main__":
    main()
