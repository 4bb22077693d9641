import pytest

from tf_student.pairs.pairs_config import PairsConfig
from tf_student.runtime.errors import InputError


@pytest.mark.parametrize("name", ["pairs", "held_out_pairs"])
def test_the_numbers_of_shards_have_five_digits(name):
    assert PairsConfig(**{name: 99_999}, shard_pairs=10_240)
    counts = {"pairs": 1, "held_out_pairs": 1, "shard_pairs": 2}
    assert PairsConfig(**{**counts, name: 199_998})
    with pytest.raises(InputError) as error:
        PairsConfig(**{**counts, name: 199_999})
    assert str(error.value) == (
        "`shard_pairs` must be so large that at most 99,999 shards hold the pairs. "
        "Received: shard_pairs=2."
    )


def test_the_largest_set_fits_into_shards_of_the_default_size():
    assert PairsConfig(pairs=10**9).shard_pairs == 10_240
