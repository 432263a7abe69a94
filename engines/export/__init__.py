"""torch to ONNX, in fp32 and fp16. Needs the `train` extra."""
