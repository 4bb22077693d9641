"""Which of several networks is read: the EMA weights, or none without a question."""

import pytest

from tf_student.convert import state_dicts
from tf_student.convert.torch_pickle import Foreign, Storage, TensorPlace
from tf_student.runtime.errors import InputError


def tensor(key, shape=(3, 2)):
    return TensorPlace(Storage("FloatStorage", key), 0, shape, shape)


def network(key, prefix=""):
    names = ("conv_in.weight", "conv_in.bias")
    return {f"{prefix}{name}": tensor(f"{key}.{name}") for name in names}


RAW, AVERAGE = network("raw"), network("average")
OPTIMIZER = {"state": {0: {"exp_avg": tensor("moment")}}, "param_groups": [{}]}


def taken(content, weights=""):
    """The key of the chosen network, and which tensor it is."""
    chosen = state_dicts.choose(content, "a.pt", weights)
    assert set(chosen.tensors) == set(RAW)
    return chosen.key, chosen.tensors["conv_in.weight"].storage.key.split(".")[0]


@pytest.mark.parametrize(
    "key",
    [
        *("ema", "model_ema", "ema_model", "ema_state_dict", "EMA", "netEMA"),
        *(
            "piano_ema",
            "ema_0.9999",
            "averaged_model",
            "shadow",
            "unet-ema",
            "teacher.ema",
        ),
    ],
)
def test_ema_weights_under_any_usual_key(key):
    assert taken({"model": RAW, key: AVERAGE, "optimizer": OPTIMIZER}) == (
        key,
        "average",
    )
    assert taken({key: AVERAGE, "model": RAW}) == (key, "average")
    assert taken({"epoch": 3, "states": {"net": RAW, key: AVERAGE}})[1] == "average"


@pytest.mark.parametrize("prefix", ["ema_model.", "model_ema.module.", "module.ema."])
def test_ema_weights_by_the_beginning_of_names(prefix):
    flat = network("raw", "model.") | network("average", prefix)
    assert taken({"state_dict": flat})[1] == "average"
    assert taken(flat)[1] == "average"
    assert taken({"state_dict": flat}, "state_dict.model")[1] == "raw"


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "module.", "_orig_mod.", "model.", "_orig_mod.module."),
        *("module._orig_mod.", "model.module._orig_mod.", "diffusion.net."),
    ],
)
def test_prefixes_of_wrappers_in_any_order(prefix):
    content = {"state_dict": network("raw", prefix), "epoch": 3}
    assert taken(content)[1] == "raw"


def test_the_list_of_ddim():
    assert taken([RAW, OPTIMIZER, 7, 100, AVERAGE]) == ("4", "average")
    wrapped = network("raw", "module.")
    assert taken([wrapped, OPTIMIZER, 7, 100, AVERAGE])[1] == "average"
    assert taken([RAW, OPTIMIZER, 7, 100]) == ("0", "raw")


def test_ema_weights_without_names():
    average = {"decay": 0.9, "shadow_params": list(AVERAGE.values())}
    content = {"model": RAW, "ema": average}
    assert taken(content) == ("ema.shadow_params", "average")
    average["collected_params"] = list(RAW.values())
    assert taken(content) == ("ema.shadow_params", "average")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": RAW, "b": AVERAGE}, "several networks. Set `weights` to one of: a, b."),
        ([RAW, AVERAGE], "several networks. Set `weights` to one of: 0, 1."),
        ({"ema_1": RAW, "ema_2": AVERAGE}, "several networks.*: ema_1, ema_2."),
        ({**RAW, "b": AVERAGE}, "several networks.*: top, b."),
        (
            {"model": RAW, "ema": Foreign("timm.ModelEma")},
            "that cannot be read: ema. Set `weights` to take others: model.",
        ),
        (
            {"model": RAW, "ema": {"shadow_params": [tensor("x", (9,))]}},
            "cannot be read: ema.shadow_params.",
        ),
        (
            {
                "state_dict": network("raw", "model.")
                | {"model_ema.convinw": tensor("x")}
            },
            "cannot be read: state_dict.model_ema.",
        ),
        ({"model": Foreign("net.UNet")}, "an object of net.UNet; save its state_dict"),
        ({"epoch": 3}, "must hold a state dict of tensors."),
        (tensor("x"), "must hold a state dict of tensors."),
    ],
)
def test_raw_weights_are_never_taken_in_silence(content, message):
    with pytest.raises(InputError, match=message):
        state_dicts.choose(content, "a.pt")


@pytest.mark.parametrize("key", ["non_ema", "no-ema", "model_without_ema", "schema"])
def test_names_that_only_sound_like_an_average(key):
    assert not state_dicts.is_average(key)
    assert taken({"ema": AVERAGE, key: RAW}) == ("ema", "average")


def test_a_question_can_be_answered():
    content = {"a": RAW, "b": AVERAGE, "ema": Foreign("timm.ModelEma")}
    assert taken(content, "b") == ("b", "average")
    with pytest.raises(
        InputError, match=r"must be a key of a\.pt: a, b\. Received: we"
    ):
        state_dicts.choose(content, "a.pt", "c")


def test_what_scripts_store_beside_a_network_is_ignored():
    content = {
        "model": RAW,
        "args": Foreign("argparse.Namespace"),
        "ema_rate": 0.9999,
        "best_ema_fid": Foreign("numpy.core.multiarray.scalar"),
        "rng": tensor("rng", (16,)),
        "optimizer": OPTIMIZER,
    }
    assert taken(content) == ("model", "raw")


def test_buffers_are_no_weights():
    buffers = {
        "betas": tensor("betas", (1000,)),
        "num_batches_tracked": tensor("n", ()),
    }
    chosen = state_dicts.choose({**RAW, **buffers}, "a.pt")
    assert set(chosen.tensors) == set(RAW)
    assert set(chosen.buffers) == set(buffers)


def test_names_are_bounded():
    with pytest.raises(ValueError, match="longer than 1,000 characters"):
        state_dicts.choose({"module." * 1000: tensor("x")}, "a.pt")
    many = {str(i): network(str(i)) for i in range(40)}
    with pytest.raises(ValueError, match="more than 32 networks"):
        state_dicts.choose(many, "a.pt")


def test_a_structure_that_holds_itself_ends():
    content = {"model": RAW}
    content["again"] = [content, content]
    assert taken(content) == ("model", "raw")
