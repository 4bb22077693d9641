import inspect

import pytest

from tf_student.pairs.interface import Pairs
from tf_student.pairs.online import OnlinePairs
from tf_student.pairs.reader import PairSet

METHODS = ("dataset", "held_out_dataset", "train", "held_out", "diagnose", "close")


def test_stored_and_online_pairs_share_the_interface(plan, write, make_sampler):
    for pairs in (PairSet(write()), OnlinePairs(plan(), make_sampler(), batch=3)):
        assert isinstance(pairs, Pairs)
        assert pairs.manifest.pairs == plan().pairs
        pairs.close()


@pytest.mark.parametrize("kind", [PairSet, OnlinePairs])
@pytest.mark.parametrize("name", METHODS)
def test_methods_have_the_same_signature(kind, name):
    expected = inspect.signature(getattr(Pairs, name))
    assert inspect.signature(getattr(kind, name)) == expected


def test_all_methods_are_compared():
    public = {name for name in vars(Pairs) if not name.startswith("_")}
    assert public - {"fingerprint"} == set(METHODS)
