"""What TensorRT and TensorRT-RTX share: the GPU, its memory, plans and their cache. Imports no vendor's library."""
