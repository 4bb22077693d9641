"""From 1,797 real digits to a one-step generator and a picture, in two minutes.

python examples/quickstart.py

Interrupt it at any time: the same command continues where it stopped.
"""

import dataclasses

import tf_student as ts


def main(
    directory: str = "runs/quickstart", steps: int = 250, count: int = 2500
) -> None:
    """Trains a teacher, makes its pairs, distills a student and draws both."""
    # Architecture, optimizers and loss for 8x8 digits; see `ts.get_preset("cifar10")`.
    digits = ts.get_preset("digits")
    short = {"steps": steps, "decay_steps": steps - 50}
    short |= {"batch_size": 64, "ema_decay": 0.98}
    log = ts.LogConfig(checkpoint_every=100, evaluate_every=100)
    # A teacher of 250 steps fails most at the highest times, which this one leaves out.
    sampler = ts.SamplerConfig("quadratic", calls=10)

    # 1. The teacher, a DDPM. `ts.Teacher.from_pretrained` reads a published one.
    teacher = ts.train_teacher(
        f"{directory}/teacher",
        data=digits.data,
        unet=digits.unet,
        train=dataclasses.replace(digits.teacher, **short),
        log=log,
        progress=True,
    )
    # 2. Pairs of noise and the image that the teacher makes of it in ten calls.
    pairs = ts.make_pairs(
        teacher, f"{directory}/pairs", count=count, sampler=sampler, progress=True
    )
    # 3. The student, which makes that image in one call.
    student = ts.distill(
        teacher,
        pairs,
        f"{directory}/student",
        config=digits.distill,
        train=dataclasses.replace(digits.student, **short),
        log=log,
        progress=True,
    )
    # 4. Teacher (upper rows) and student (lower rows) on the same noise.
    path = ts.draw_samples(teacher, student, directory, sampler=sampler)
    print(f"Look at {path}.")


if __name__ == "__main__":
    main()
