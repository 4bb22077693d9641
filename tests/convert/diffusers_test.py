from tests.networks import TINY
from tf_student.convert import diffusers


def names(path):
    table = {row.ours: row.theirs for row in diffusers.rows(TINY)}
    return table[path]


def test_names_are_diffusers():
    assert names("stem.kernel") == ("conv_in.weight",)
    assert names("embedding.dense_1.bias") == ("time_embedding.linear_2.bias",)
    assert names("down.0.0.norm_0.gamma") == ("down_blocks.0.resnets.0.norm1.weight",)
    assert names("down.1.0.conv.bias") == ("down_blocks.0.downsamplers.0.conv.bias",)
    assert names("down.2.1.out.kernel") == (
        "down_blocks.1.attentions.0.to_out.0.weight",
    )
    assert names("middle.2.time.kernel") == (
        "mid_block.resnets.1.time_emb_proj.weight",
    )
    assert names("middle.1.qkv.bias") == tuple(
        f"mid_block.attentions.0.to_{part}.bias" for part in "qkv"
    )
    # Their upward blocks count from the smallest image on.
    assert names("up.0.0.shortcut.kernel") == (
        "up_blocks.0.resnets.0.conv_shortcut.weight",
    )
    assert names("up.4.0.conv_1.kernel") == ("up_blocks.1.resnets.1.conv2.weight",)
    assert names("norm.beta") == ("conv_norm_out.bias",)


def test_attention_of_old_files_has_its_new_names():
    old = "mid_block.attentions.0.{}.weight"
    assert [diffusers.current_name(old.format(n)) for n in ("query", "proj_attn")] == [
        "mid_block.attentions.0.to_q.weight",
        "mid_block.attentions.0.to_out.0.weight",
    ]
    assert diffusers.current_name("conv_in.bias") == "conv_in.bias"
