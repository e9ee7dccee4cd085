"""The TensorRT engine: building, caching and running plans on an NVIDIA GPU."""
