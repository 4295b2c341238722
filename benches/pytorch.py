"""The peers: models/training/network.py on the same weights in PyTorch, ONNX Runtime and OpenVINO, and the program itself.

    python benches/pytorch.py [--threads 2] [--seconds 5] [--program target/release/wavedream]

Prints pictures a second and the ratio to the program, all measured in one run on an idle machine. Needs torch, numpy and
safetensors; onnx with onnxruntime, and openvino, where they are installed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import torch
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "models/training"))
import network  # noqa: E402

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--threads", type=int, default=2)
a.add_argument("--seconds", type=float, default=5)
a.add_argument("--steps", type=int, default=1)
a.add_argument("--program", default=str(ROOT / "target/release/wavedream"))
a = a.parse_args()
torch.set_num_threads(a.threads)
warnings.filterwarnings("ignore")
box = network.Box()
box.load_state_dict({k: v.float() for k, v in load_file(str(ROOT / "models/box/box.safetensors")).items()})
box = box.eval()


class Painter(torch.nn.Module):
    """From noise to bytes, height x width x RGB, as the program has them."""

    def __init__(self):
        super().__init__()
        self.box = box
        self.register_buffer("genre", torch.full((1, len(network.GENRES)), 1 / len(network.GENRES)))
        self.register_buffer("mood", torch.zeros(1, 2))

    def forward(self, z):
        picture = self.box.sample(z, self.genre, self.mood, steps=a.steps)
        return (picture[0].clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).permute(1, 2, 0)


def measured(paint):
    """Pictures a second, and the milliseconds that half of them stay below."""
    for _ in range(5):
        paint()
    took, start = [], time.perf_counter()
    while time.perf_counter() - start < a.seconds:
        begin = time.perf_counter()
        paint()
        took.append(time.perf_counter() - begin)
    took.sort()
    return len(took) / sum(took), took[len(took) // 2] * 1e3


def in_torch(painter, z):
    def paint():
        with torch.inference_mode():
            rgb = painter(z)
            torch.cat([rgb, torch.full_like(rgb[..., :1], 255)], 2).contiguous()
    painter.to(memory_format=torch.channels_last)
    return measured(paint)


def in_onnxruntime(model, z):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = a.threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return measured(lambda: session.run(None, {"z": z.numpy()}))


def in_openvino(model, z):
    import openvino
    settings = {"INFERENCE_NUM_THREADS": a.threads, "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(model), "CPU", settings)
    request = compiled.create_infer_request()
    return measured(lambda: request.infer({0: z.numpy()}))


def in_program(h, w, precision="float32"):
    command = [a.program, "bench", "--precision", precision, "--size", f"{8*w}x{8*h}", "--steps", str(a.steps),
               "--seconds", str(a.seconds), "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return report["pictures_per_s"], report["picture"]["p50_ms"]


for h, w in ((64, 64), (36, 64), (32, 32)):
    z, rows = torch.randn(1, 4, h, w), []

    def row(name, run):
        try:
            rows.append((name, *run()))
        except Exception as missing:  # not installed, or an operation that it does not know
            print(f"{name} is left out: {missing}", file=sys.stderr)

    row("wavedream", lambda: in_program(h, w))
    row("wavedream, half", lambda: in_program(h, w, "half"))
    exported = Painter().eval()
    # Plain numbers in the trace make doubles of what they meet, which no runtime convolves.
    hooks = [module.register_forward_pre_hook(lambda _, inputs: tuple(t.float() for t in inputs))
             for module in exported.modules() if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))]
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "box.onnx"
        matmul = torch.Tensor.__matmul__
        # OpenVINO 2026.4 trips over the scaled product with a vector.
        torch.Tensor.__matmul__ = lambda x, y: (x * y).sum(-1) if y.ndim == 1 else matmul(x, y)
        try:
            with torch.inference_mode():
                torch.onnx.export(exported, (z,), str(model), input_names=["z"], dynamo=False, opset_version=18)
        except Exception as failed:  # whatever the exporter does not know
            print(f"no ONNX: {failed}", file=sys.stderr)
        else:
            row("ONNX Runtime", lambda: in_onnxruntime(model, z))
            row("OpenVINO", lambda: in_openvino(model, z))
    torch.Tensor.__matmul__ = matmul
    for hook in hooks:
        hook.remove()
    row("PyTorch", lambda: in_torch(Painter().eval(), z))
    print(f"{8*w}x{8*h} in {a.steps}, {a.threads} threads:")
    for name, per_s, p50 in rows:
        ours = f", wavedream is {rows[0][1] / per_s:.2f} times as fast" if rows[0][0] == "wavedream" and name != "wavedream" else ""
        print(f"  {name:<16}{per_s:7.1f} pictures/s, half within {p50:6.1f} ms{ours}")
