"""From a checkpoint to the files that runtimes load: ONNX, fp16, int8."""
