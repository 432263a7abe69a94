"""A network of four layers: all that a new network is."""

from __future__ import annotations

from torch import Tensor, nn

from engines.networks.contract import VideoNetwork
from engines.networks.layers import ConvNorm
from engines.networks.registry import register
from engines.specs.base import SpecStruct, VideoSpec
from engines.specs.sampling import Sampling


class ToySpec(VideoSpec, SpecStruct, frozen=True, tag="toy"):
    """Means of convolutions, over space and time."""

    length: int = 4
    size: int = 32
    width: int = 8
    num_classes: int = 52

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.length, "dense", 2)


@register("toy", ToySpec)
class Toy(VideoNetwork):
    def __init__(self, spec: ToySpec) -> None:
        super().__init__(spec, 2 * spec.width, dropout=0.0)
        self.stem = ConvNorm(3, spec.width, (3, 3), (2, 2))
        self.layers = nn.Sequential(ConvNorm(spec.width, 2 * spec.width, (3, 3), (2, 2)))

    def features(self, clips: Tensor) -> Tensor:
        frames = self.pixels(clips).flatten(0, 1)
        pooled = self.layers(self.stem(frames)).mean(dim=(2, 3))
        return pooled.reshape(clips.shape[0], clips.shape[1], -1).mean(dim=1)
