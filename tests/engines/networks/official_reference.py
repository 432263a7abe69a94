"""The official network once more, straight from its description: plain functional calls on the official names.

Shares no code with `engines.networks`, so that a mistake there cannot hide here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name


def official_forward(w: dict[str, Tensor], clips: Tensor, length: int = 8) -> tuple[Tensor, Tensor]:
    """uint8 (N, T, S, S, 3) → logits (N, 52), embedding (N, 300)."""
    frames = clips.flatten(0, 1).float()
    frames = (frames - torch.tensor([123.675, 116.28, 103.53])) / torch.tensor([58.395, 57.12, 57.375])
    x = frames.permute(0, 3, 1, 2)
    x = F.relu(conv_norm(w, "backbone.conv1", x, "conv.weight", stride=2, padding=3))
    x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for layer, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for block in range(blocks):
            x = bottleneck(w, f"backbone.layer{layer}.{block}", x, length, 2 if layer > 1 and block == 0 else 1)
    features = F.adaptive_avg_pool2d(x, 1).flatten(1)
    logits = F.linear(features, w["cls_head.fc_cls.weight"], w["cls_head.fc_cls.bias"])
    hidden = torch.tanh(F.linear(features, w["cls_head.fc_emb.weight"], w["cls_head.fc_emb.bias"]))
    embedding = F.linear(hidden, w["cls_head.fc_emb_t.weight"], w["cls_head.fc_emb_t.bias"])
    return logits.view(-1, length, 52).mean(1), embedding.view(-1, length, 300).mean(1)


def bottleneck(w: dict[str, Tensor], name: str, x: Tensor, length: int, stride: int) -> Tensor:
    squeezed = F.relu(x.mean((2, 3)) @ w[f"{name}.conv1.conv.fcce.0.weight"].T)
    gate = torch.sigmoid(squeezed @ w[f"{name}.conv1.conv.fcce.2.weight"].T)
    y = shift_frame_by_frame(x * gate[:, :, None, None], length)
    y = F.relu(conv_norm(w, f"{name}.conv1", y, "conv.net.weight"))
    y = F.relu(conv_norm(w, f"{name}.conv2", y, "conv.weight", stride=stride, padding=1))
    y = conv_norm(w, f"{name}.conv3", y, "conv.weight")
    if f"{name}.downsample.conv.weight" in w:
        x = conv_norm(w, f"{name}.downsample", x, "conv.weight", stride=stride)
    return F.relu(x + y)


def shift_frame_by_frame(x: Tensor, length: int) -> Tensor:
    fold = x.shape[1] // 8
    out = x.clone()
    for frame in range(len(x)):
        position = frame % length
        out[frame, :fold] = x[frame + 1, :fold] if position < length - 1 else 0
        out[frame, fold : 2 * fold] = x[frame - 1, fold : 2 * fold] if position > 0 else 0
    return out


def conv_norm(w: dict[str, Tensor], name: str, x: Tensor, weight: str, stride: int = 1, padding: int = 0) -> Tensor:
    x = F.conv2d(x, w[f"{name}.{weight}"], stride=stride, padding=padding)
    return F.batch_norm(
        x,
        w[f"{name}.bn.running_mean"],
        w[f"{name}.bn.running_var"],
        w[f"{name}.bn.weight"],
        w[f"{name}.bn.bias"],
        eps=1e-5,
    )
