import pytest
from tf_student.flags import costs

from tests.networks import TINY
from tf_student.architecture import arithmetic, memory
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.unet import UNet
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.runtime.run_config import RunConfig
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import TrainConfig

COUNT = UNet(TINY).count_params()
DIFFUSION = DiffusionConfig()
SAMPLER = SamplerConfig("quadratic", 100)


def _rounded(value):
    return int(float(f"{value:.3g}"))


def test_training():
    train = TrainConfig(steps=10, batch_size=4)
    cost = costs.training(TINY, train, RunConfig(accumulate=2), checkpoints=3)
    peak = cost.pop("bytes of memory on each device (about)")
    # The CPU also holds the graphs.
    assert peak == memory.training(TINY, 2) + memory.runtime(1)
    assert cost == {
        "parameters": COUNT,
        "steps": 10,
        "images in a step": 4,
        "images that a device holds at once": 2,
        "network calls (images, forward and backward)": 40,
        "floating-point operations (about)": _rounded(
            3 * 40 * 2 * arithmetic.multiply_adds(TINY)
        ),
        # Three checkpoints of weights, EMA weights and two moments, and the model.
        "bytes on disk": 4 * COUNT * 13,
    }


def test_matching_passes_an_image_through_three_networks():
    def passes(**options):
        train = TrainConfig(steps=10, batch_size=4)
        match = MatchConfig(**options)
        cost = costs.matching(TINY, match, train, RunConfig(), checkpoints=1)
        one = 40 * 2 * arithmetic.multiply_adds(TINY)
        return round(cost["floating-point operations (about)"] / one)

    assert passes(objective="dmd") == 3 + 3 + 2
    # SiD goes back through the teacher and the fake score as well.
    assert passes(objective="sid") == 3 + 3 + 2 + 2
    assert passes(objective="dmd", fake_updates=2) == 3 + 3 + 2 + 1 + 3
    assert passes(objective="sid", regression=0.1) == 3 + 3 + 2 + 2 + 3


@pytest.mark.parametrize(("objective", "networks"), [("sid", 3), ("dmd", 2)])
def test_regression_calls_the_student_twice(objective, networks):
    assert costs.graphs(MatchConfig(objective)) == (3, networks)
    both = MatchConfig(objective, regression=0.1)
    assert costs.graphs(both) == (4, networks + 1)


def test_online_pairs_cost_the_images_of_every_step():
    cost = costs.online(
        DIFFUSION,
        SAMPLER,
        PairsConfig(pairs=25, held_out_pairs=5),
        TrainConfig(steps=10, batch_size=4),
    )
    assert cost == {
        "images of the teacher": 45,
        "network calls of the teacher for an image": 96,
        "network calls of the teacher": 45 * 96,
    }


def test_sampling_with_the_teacher_takes_a_call_for_each_distinct_step():
    cost = costs.sampling(TINY, DIFFUSION, SAMPLER, 10)
    assert cost["network calls for an image"] == 96
    assert cost["network calls"] == 960
    operations = _rounded(960 * 2 * arithmetic.multiply_adds(TINY))
    assert cost["floating-point operations (about)"] == operations


def test_sampling_with_the_student_takes_one_call():
    cost = costs.sampling(TINY, DIFFUSION, SAMPLER, 10, student=True)
    assert cost["network calls for an image"] == 1
    assert cost["network calls"] == 10


def test_pairs():
    config = PairsConfig(pairs=25, held_out_pairs=5, shard_pairs=10)
    cost = costs.pairs(TINY, DIFFUSION, SAMPLER, config, RunConfig())
    assert cost["images"] == 30
    assert cost["network calls"] == 2880
    # Training pairs in three files, held-out ones in one.
    assert cost["files"] == 4
    # uint8 and float16 of 8x8x3.
    assert cost["bytes with float16 noise stored beside each image"] == 30 * 192 * 3
    assert 30 * 192 < cost["bytes on disk (at most)"] < 30 * 192 * 2
