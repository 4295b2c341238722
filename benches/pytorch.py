"""The peer: models/training/network.py in PyTorch on the same weights, channels_last, as many threads as cores.

    python benches/pytorch.py [--threads 2] [--seconds 5]

Run it right before or after `wavedream bench` on an idle machine and compare pictures a second.
"""
import argparse
import pathlib
import sys
import time

import torch
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "models/training"))
import network  # noqa: E402

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--threads", type=int, default=2)
a.add_argument("--seconds", type=float, default=5)
a.add_argument("--steps", type=int, default=1)
a = a.parse_args()
torch.set_num_threads(a.threads)
box = network.Box()
box.load_state_dict({k: v.float() for k, v in load_file(str(ROOT / "models/box/box.safetensors")).items()})
box = box.eval().to(memory_format=torch.channels_last)
genre, mood = torch.full((1, len(network.GENRES)), 1 / len(network.GENRES)), torch.zeros(1, 2)
for h, w in ((64, 64), (36, 64), (32, 32)):
    z, took = torch.randn(1, 4, h, w), []
    with torch.inference_mode():
        for _ in range(5):
            box.sample(z, genre, mood, steps=a.steps)
        start = time.perf_counter()
        while time.perf_counter() - start < a.seconds:
            t = time.perf_counter()
            picture = box.sample(z, genre, mood, steps=a.steps)
            # As the Rust side: bytes, height x width x RGBA.
            rgb = (picture[0].clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).permute(1, 2, 0)
            torch.cat([rgb, torch.full_like(rgb[..., :1], 255)], 2).contiguous()
            took.append(time.perf_counter() - t)
    took.sort()
    p50, p99 = took[len(took) // 2] * 1e3, took[int(len(took) * 0.99)] * 1e3
    print(f"{8*w}x{8*h} in {a.steps}: {len(took) / sum(took):.1f} pictures/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
