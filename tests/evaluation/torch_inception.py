"""FID's Inception in PyTorch, straight from a state dict: a second opinion."""

import torch
from torch.nn import functional


def run(state, images):
    """Features and logits of float64 images `[n, 3, 299, 299]`."""

    def unit(x, name, stride=1, padding=0):
        x = functional.conv2d(x, state[f"{name}.conv.weight"], None, stride, padding)
        names = ("running_mean", "running_var", "weight", "bias")
        norm = [state[f"{name}.bn.{part}"] for part in names]
        return functional.relu(functional.batch_norm(x, *norm, eps=1e-3))

    def average(x):
        return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def halved(x):
        return functional.max_pool2d(x, 3, 2)

    def chain(x, block, *steps):
        for name, padding in steps:
            x = unit(x, f"{block}.{name}", padding=padding)
        return x

    def double(x, block):
        steps = ("branch3x3dbl_1", 0), ("branch3x3dbl_2", 1)
        return chain(x, block, *steps)

    def grid_35(x, block):
        fives = ("branch5x5_1", 0), ("branch5x5_2", 2)
        parts = [
            chain(x, block, ("branch1x1", 0)),
            chain(x, block, *fives),
            unit(double(x, block), f"{block}.branch3x3dbl_3", padding=1),
            chain(average(x), block, ("branch_pool", 0)),
        ]
        return torch.cat(parts, 1)

    def grid_17(x, block):
        wide, tall = (0, 3), (3, 0)
        sevens = zip(("1", "2", "3"), (0, wide, tall), strict=True)
        doubles = zip("12345", (0, tall, wide, tall, wide), strict=True)
        parts = [
            chain(x, block, ("branch1x1", 0)),
            chain(x, block, *((f"branch7x7_{k}", p) for k, p in sevens)),
            chain(x, block, *((f"branch7x7dbl_{k}", p) for k, p in doubles)),
            chain(average(x), block, ("branch_pool", 0)),
        ]
        return torch.cat(parts, 1)

    def fork(x, name):
        parts = unit(x, f"{name}a", padding=(0, 1)), unit(x, f"{name}b", padding=(1, 0))
        return torch.cat(parts, 1)

    def grid_8(x, block, pooled):
        parts = [
            chain(x, block, ("branch1x1", 0)),
            fork(chain(x, block, ("branch3x3_1", 0)), f"{block}.branch3x3_2"),
            fork(double(x, block), f"{block}.branch3x3dbl_3"),
            chain(pooled, block, ("branch_pool", 0)),
        ]
        return torch.cat(parts, 1)

    x = unit(images, "Conv2d_1a_3x3", stride=2)
    x = unit(unit(x, "Conv2d_2a_3x3"), "Conv2d_2b_3x3", padding=1)
    x = halved(unit(unit(halved(x), "Conv2d_3b_1x1"), "Conv2d_4a_3x3"))
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = grid_35(x, block)
    parts = [
        unit(x, "Mixed_6a.branch3x3", 2),
        unit(double(x, "Mixed_6a"), "Mixed_6a.branch3x3dbl_3", 2),
        halved(x),
    ]
    x = torch.cat(parts, 1)
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = grid_17(x, block)
    sevens = zip("123", (0, (0, 3), (3, 0)), strict=True)
    last = chain(x, "Mixed_7a", *((f"branch7x7x3_{k}", p) for k, p in sevens))
    parts = [
        unit(chain(x, "Mixed_7a", ("branch3x3_1", 0)), "Mixed_7a.branch3x3_2", 2),
        unit(last, "Mixed_7a.branch7x7x3_4", 2),
        halved(x),
    ]
    x = torch.cat(parts, 1)
    x = grid_8(x, "Mixed_7b", average(x))
    x = grid_8(x, "Mixed_7c", functional.max_pool2d(x, 3, 1, 1))
    features = x.mean((2, 3))
    return features, functional.linear(features, state["fc.weight"], state["fc.bias"])
