"""C3D (Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from engines.networks.contract import VideoNetwork
from engines.networks.layers import frames_first
from engines.networks.layouts import Layout, mmaction2
from engines.networks.registry import register
from engines.specs.video import C3DSpec

# Channels over the first convolution's, of the convolutions of each group; a pooling ends the group.
GROUPS = {"1": (1,), "2": (2,), "3": (4, 4), "4": (8, 8), "5": (8, 8)}


@register("c3d", C3DSpec)
class C3D(VideoNetwork):
    """Convolutions, poolings, two linear layers. Its linear layers fix T and S."""

    moment_layer = "backbone.relu5b"

    def __init__(self, spec: C3DSpec) -> None:
        super().__init__(spec, spec.hidden, 0.5)
        self.spec = spec
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = 3
        for group, shares in GROUPS.items():
            for letter, share in zip("ab", shares, strict=False):
                outputs = share * spec.width
                layers[f"conv{group}{letter}"] = nn.Conv3d(inputs, outputs, 3, padding=1)
                layers[f"relu{group}{letter}"] = nn.ReLU()
                inputs = outputs
            layers[f"pool{group}"] = _pool(group)
        self.backbone = nn.Sequential(layers)
        cells = spec.length // 16 * (spec.size // 32 + 1) ** 2  # frames are halved four times, pixels five times
        self.hidden1 = nn.Linear(inputs * cells, spec.hidden)
        self.hidden2 = nn.Linear(spec.hidden, spec.hidden)
        for layer in (*layers.values(), self.hidden1, self.hidden2):
            # Nothing is normalised: with torch's own weights, ten layers leave nothing of their input (He et al. 2015).
            if isinstance(layer, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))

    def features(self, clips: Tensor) -> Tensor:
        """uint8 RGB (N, T, S, S, 3) → (N, C)."""
        maps = self.backbone(frames_first(self.pixels(clips))).flatten(1)  # channels, then frames, then pixels
        hidden = self.dropout(functional.relu(self.hidden1(maps)))
        return functional.relu(self.hidden2(hidden))

    def pretrained_layouts(self) -> Mapping[str, Layout]:
        """mmaction2's, and its Sports-1M backbone as a start."""
        renames = (
            (r"^backbone\.(conv..)\.", r"backbone.\1.conv."),
            (r"^hidden1\.", "backbone.fc6."),
            (r"^hidden2\.", "backbone.fc7."),
        )
        start = Layout((*renames, (r"^backbone\.", ""), (r"^classifier\.", "fc8.")), fresh=r"^classifier\.")
        return {"mmaction2": mmaction2(*renames), "mmaction2 Sports-1M": start}


def _pool(group: str) -> nn.MaxPool3d:
    """The first keeps the frames; the last is padded over space."""
    frames = 1 if group == "1" else 2
    return nn.MaxPool3d((frames, 2, 2), padding=(0, 1, 1) if group == "5" else 0)
