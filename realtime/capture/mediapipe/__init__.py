"""MediaPipe's landmarkers: their model files, their processes, their tasks on a video."""
