"""How two views of one object differ: one file an idea, each function pure in (rng, input).

Images are uint8 (H, W, 3) in BGR; alphas are float32 (H, W) in [0, 1], 1 on the object.
"""
