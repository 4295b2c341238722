"""Stable Diffusion's peer: PyTorch on a checkpoint of the true shapes with random numbers, and the program on the same.

    python benches/stable_diffusion.py FOLDER [--kind turbo|sd15] [--size 512] [--threads 2] [--program target/release/wavedream]
    python benches/stable_diffusion.py FOLDER --device cuda

Writes the checkpoint (2 to 2.5 GB, float16) into FOLDER if it is not there, as diffusers would, and prints the seconds of
U-Net and TAESD for one step, PyTorch and the program in float32, bfloat16 and float16. On a card both are in
float16, from the noise to the bytes of the picture in the memory of the computer: the program with and without CUDA
graphs, PyTorch as it stands and compiled (torch.compile, max-autotune, which records CUDA graphs). Needs torch, diffusers
and transformers.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import warnings

# What is imported below looks for a module called pytorch and must not find the file beside this one.
sys.path.remove(str(pathlib.Path(__file__).resolve().parent))

import torch  # noqa: E402
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("folder", type=pathlib.Path)
a.add_argument("--kind", choices=("turbo", "sd15"), default="turbo")
a.add_argument("--size", type=int, default=512, help="of the picture, a multiple of 64")
a.add_argument("--threads", type=int, default=2)
a.add_argument("--pictures", type=int, help="of PyTorch's (3, or 200 on a card)")
a.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
a.add_argument("--program", default=str(ROOT / "target/release/wavedream"))
a = a.parse_args()
torch.set_num_threads(a.threads)
warnings.filterwarnings("ignore")
turbo = a.kind == "turbo"
on_card = a.device == "cuda"
pictures = a.pictures or (200 if on_card else 3)
width = 1024 if turbo else 768
latent = (1, 4, a.size // 8, a.size // 8)


def save(part, module, name):
    """Numbers of about the spread that makes a layer keep the size of what goes through it."""
    folder = a.folder / part
    folder.mkdir(parents=True, exist_ok=True)
    config = module.config if isinstance(module.config, dict) else module.config.to_dict()
    config = {k: v for k, v in dict(config).items() if not k.startswith("_")}
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": type(module).__name__}, default=str))
    tensors = {}
    for key, like in module.state_dict().items():
        if "position_ids" in key:
            continue
        tensor = torch.empty(like.shape, dtype=torch.float16)
        if like.ndim == 1:
            tensor.fill_(1.0 if "norm" in key and key.endswith("weight") else 0.0)
        else:
            tensor.copy_(torch.rand(like.shape).sub_(0.5).mul_(3.4 / (like.numel() // like.shape[0]) ** 0.5))
        tensors[key] = tensor
    save_file(tensors, folder / f"{name}.fp16.safetensors")


def write():
    torch.manual_seed(0)
    with torch.device("meta"):
        parts = {
            "unet": UNet2DConditionModel(sample_size=64, cross_attention_dim=width, use_linear_projection=turbo,
                                         attention_head_dim=[5, 10, 20, 20] if turbo else 8),
            "vae": AutoencoderKL(block_out_channels=(128, 256, 512, 512), latent_channels=4, layers_per_block=2,
                                 down_block_types=("DownEncoderBlock2D",) * 4, sample_size=512,
                                 up_block_types=("UpDecoderBlock2D",) * 4),
            "taesd": AutoencoderTiny(),
            "text_encoder": CLIPTextModel(CLIPTextConfig(
                vocab_size=49408, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=23 if turbo else 12,
                num_attention_heads=width // 64, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407,
                hidden_act="gelu" if turbo else "quick_gelu")),
        }
    for part, module in parts.items():
        save(part, module, "model" if part == "text_encoder" else "diffusion_pytorch_model")
    scheduler = {"beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "epsilon"}
    scheduler |= {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"} if turbo else {
        "_class_name": "PNDMScheduler", "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}
    (a.folder / "scheduler").mkdir(exist_ok=True)
    (a.folder / "scheduler/scheduler_config.json").write_text(json.dumps(scheduler))
    (a.folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))


def in_torch(dtype):
    open_part = lambda kind, part: kind.from_pretrained(a.folder / part, variant="fp16", torch_dtype=dtype)  # noqa: E731
    unet = open_part(UNet2DConditionModel, "unet").eval().to(memory_format=torch.channels_last)
    decoder = open_part(AutoencoderTiny, "taesd").eval().to(memory_format=torch.channels_last)
    text, best = torch.randn(1, 77, width, dtype=dtype), (9e9, 0, 0)
    with torch.inference_mode():
        for _ in range(pictures):
            z = torch.randn(latent, dtype=dtype)
            begin = time.perf_counter()
            answer = unet(z, 999, text).sample
            between = time.perf_counter()
            decoder.decode(answer)
            end = time.perf_counter()
            best = min(best, (end - begin, between - begin, end - between))
    return best


def on_card_in_torch(compiled):
    """Seconds of a picture: that half stay below, and all of them together."""
    open_part = lambda kind, part: kind.from_pretrained(a.folder / part, variant="fp16", torch_dtype=torch.float16)  # noqa: E731
    unet = open_part(UNet2DConditionModel, "unet").eval().to(a.device, memory_format=torch.channels_last)
    taesd = open_part(AutoencoderTiny, "taesd").eval().to(a.device, memory_format=torch.channels_last)
    text, time_of_noise = torch.randn(1, 77, width, dtype=torch.float16, device=a.device), torch.tensor(999, device=a.device)

    def paint(z):
        # A step of Euler from the noisiest time to none, as SD-Turbo takes it.
        clean = z * 14.6146 - 14.6146 * unet(z, time_of_noise, text, return_dict=False)[0]
        picture = taesd.decode(clean, return_dict=False)[0]
        rgb = ((picture[0].float() * 0.5 + 0.5).clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0)
        return torch.cat([rgb, torch.full_like(rgb[..., :1], 255)], 2)

    paint = torch.compile(paint, mode="max-autotune", fullgraph=True) if compiled else paint
    here = torch.empty(a.size, a.size, 4, dtype=torch.uint8, pin_memory=a.device == "cuda")
    noise = [torch.randn(latent, dtype=torch.float16) for _ in range(4)]
    noise = [z.pin_memory() for z in noise] if a.device == "cuda" else noise
    took = []
    with torch.inference_mode():
        for i in range(pictures + 10):
            begin = time.perf_counter()
            here.copy_(paint(noise[i % 4].to(a.device, non_blocking=True)))
            took.append(time.perf_counter() - begin)
    took = sorted(took[10:])
    return took[len(took) // 2], sum(took)


def in_program(precision, graphs=True):
    command = [a.program, "bench", "--model", str(a.folder), "--decoder", "taesd", "--precision", precision,
               "--size", f"{a.size}x{a.size}", "--device", a.device, "--seconds", "10" if on_card else "6", "--json"]
    environment = os.environ | ({} if graphs else {"WAVEDREAM_CUDA_GRAPHS": "0"})
    report = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
    return tuple(report[part]["p50_ms"] / 1e3 for part in ("picture", "denoise", "decode")), report


if not (a.folder / "model_index.json").exists():
    write()
if on_card:
    print(torch.cuda.get_device_name())
    ours = {}
    for graphs in (False, True):
        (whole, unet, decoder), report = in_program("half", graphs)
        ours[graphs] = report["pictures_per_s"]
        print(f"wavedream {'with' if graphs else 'without'} CUDA graphs: {ours[graphs]:.1f} pictures/s, {1e3 * whole:.2f} ms "
              f"(U-Net {1e3 * unet:.2f}, TAESD and bytes {1e3 * decoder:.2f})", flush=True)
    for compiled in (False, True):
        half, all_together = on_card_in_torch(compiled)
        rate = pictures / all_together
        print(f"PyTorch {torch.__version__} {'compiled' if compiled else 'as it stands'}: {rate:.1f} pictures/s, "
              f"{1e3 * half:.2f} ms; wavedream is {ours[True] / rate:.2f} times as fast", flush=True)
    sys.exit()
for precision in ("float32", "bfloat16", "float16"):
    ours, report = in_program("half" if precision == "float16" else precision)
    peer = in_torch(getattr(torch, precision))
    for name, (whole, unet, decoder) in (("wavedream", ours), ("PyTorch", peer)):
        print(f"{precision} {name:<10} {whole:5.2f} s: U-Net {unet:5.2f} s, TAESD {decoder:5.2f} s")
    print(f"{precision} wavedream is {peer[0] / ours[0]:.2f} times as fast; {report['peak_memory_mb']:.0f} MB at most", flush=True)
