"""Names of the tensors of diffusers' UNet2DModel."""

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert.rows import Row

WEIGHTS = "diffusion_pytorch_model"

_TOP = {
    "stem": "conv_in",
    "dense_0": "time_embedding.linear_1",
    "dense_1": "time_embedding.linear_2",
    "class_table": "class_embedding",
    "norm": "conv_norm_out",
    "head": "conv_out",
}
_NAMES = {
    "norm_0": "norm1",
    "conv_0": "conv1",
    "time": "time_emb_proj",
    "norm_1": "norm2",
    "conv_1": "conv2",
    "shortcut": "conv_shortcut",
    "norm": "group_norm",
    "out": "to_out.0",
    "conv": "conv",
}
_KINDS = {
    "residual": "resnets",
    "attention": "attentions",
    "downsample": "downsamplers",
    "upsample": "upsamplers",
    "residual_down": "downsamplers",
    "residual_up": "upsamplers",
}
# Names of the layers of attention before diffusers 0.15, and since.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def rows(config: UNetConfig) -> list[Row]:
    """The table: our variables and diffusers' names."""
    table = []
    for layer in plan.layers(config):
        prefixes = _prefixes(layer, len(config.widths))
        for path, leaf in zip(layer.variables(), leaves(layer), strict=True):
            names = tuple(f"{prefix}.{leaf}" for prefix in prefixes)
            table.append(Row(path, names, transposed=layer.kind != "table"))
    return table


def leaves(layer: plan.Layer) -> tuple[str, ...]:
    """PyTorch's names of a layer's variables."""
    return ("weight",) if layer.kind == "table" else ("weight", "bias")


def _prefixes(layer: plan.Layer, levels: int) -> list[str]:
    block = layer.block
    if block is None:
        return [_TOP[layer.name]]
    kind = _KINDS[block.kind]
    if block.side == "middle":
        start = f"mid_block.{kind}.{block.index}"
    else:
        level = block.level if block.side == "down" else levels - 1 - block.level
        start = f"{block.side}_blocks.{level}.{kind}.{block.index}"
    names = ["to_q", "to_k", "to_v"] if layer.name == "qkv" else [_NAMES[layer.name]]
    return [f"{start}.{name}" for name in names]


def current_name(name: str) -> str:
    """The name that current versions of diffusers give a tensor."""
    parts = name.split(".")
    if "attentions" in parts and parts[-2] in _OLD_NAMES:
        parts[-2] = _OLD_NAMES[parts[-2]]
    return ".".join(parts)
