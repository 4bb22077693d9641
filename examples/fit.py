"""A student trained by Keras' own `compile` and `fit`, on one device.

python examples/quickstart.py  # makes the teacher and the pairs
python examples/fit.py

`ts.distill` gives the same kind of student and resumes exactly, on many devices.
"""

import keras

import tf_student as ts


def main(directory: str = "runs/quickstart", epochs: int = 10) -> None:
    """Trains a student on the pairs of quickstart.py, saves it and draws it."""
    teacher = ts.Teacher.load(f"{directory}/teacher")
    pairs = ts.PairSet(f"{directory}/pairs")
    student = ts.Student.from_teacher(teacher)

    # The EMA weights are the result, as in the paper.
    optimizer = keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.99)
    student.compile(optimizer, loss=ts.distillation_loss)
    student.fit(
        pairs.dataset(batch_size=128),
        validation_data=pairs.held_out_dataset(batch_size=256),
        epochs=epochs,
        callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True)],
    )

    path = f"{directory}/fitted.keras"
    student.save(path)
    student = keras.models.load_model(path)
    images = student.generate(16, seed=7)
    print(f"{path} makes images {images.shape}, {images.dtype}.")

    # A run directory, for tf-student sample, evaluate and export.
    student.save(f"{directory}/fitted")
    picture = ts.draw_samples(teacher, student, f"{directory}/fitted_samples")
    print(f"Look at {picture}.")


if __name__ == "__main__":
    main()
