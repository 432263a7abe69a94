"""What MLServer runs in the tests, in an environment of its own: a bundle's model.onnx. Notes each batch's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """Named by `model-settings.json`; `uri` is the model's file."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            Path(self.settings.parameters.uri).read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {one.name: self.decode(one, default_codec=NumpyCodec) for one in payload.inputs}
        with Path(self.settings.parameters.uri).with_name("batches").open("a") as log:
            log.write(f"{len(next(iter(inputs.values())))}\n")
        names = [output.name for output in self._session.get_outputs()]
        arrays = self._session.run(names, inputs)
        outputs = [NumpyCodec.encode_output(name, np.asarray(array)) for name, array in zip(names, arrays, strict=True)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
