"""Writes the reference for tests/encoder: a signal encoder with random weights, an input, and its tokens by PyTorch.

    python tests/encoder/make_reference.py tests/fixtures                  the small one (two files)
    python tests/encoder/make_reference.py --full DIR                      128 channels, 24 blocks of 1024 (600 MB)

The module is written from the paper's table (arXiv 2306.16934): a convolution over patches, fixed sin-cos positions,
pre-norm blocks with qkv bias, perceptrons as wide as a token, GELU(erf), a last layer norm, no class token.
`encoder_small.safetensors` has the encoder with plain names and `reference.input`, `reference.tokens`;
`encoder_checkpoint.pth` the same weights as a torch checkpoint whose config is a pickled class.
"""
import argparse
import math
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file


def sin_cos(tokens, width):
    """(1, tokens + 1, width), the class slot zero."""
    k = torch.arange(width // 2, dtype=torch.float64) / (width // 2)
    angle = torch.arange(tokens, dtype=torch.float64)[:, None] / 10_000 ** k
    rows = torch.cat([angle.sin(), angle.cos()], 1)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), rows])[None].float()


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(w // self.heads)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, w))


class Perceptron(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width), Perceptron(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, channels, patch, width):
        super().__init__()
        self.proj = nn.Conv1d(channels, width, patch, patch)

    def forward(self, x):
        return self.proj(x).transpose(1, 2)


class Encoder(nn.Module):
    def __init__(self, channels, window, patch, width, depth, heads):
        super().__init__()
        self.patch_embed = PatchEmbed(channels, patch, width)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos_embed = nn.Parameter(sin_cos(window // patch, width), requires_grad=False)
        self.mask_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        x = self.patch_embed(x) + self.pos_embed[:, 1:]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Config:
    """Stands for the class that their checkpoints pickle beside the weights."""

    def __init__(self):
        self.seed, self.name = 2022, "a class that nobody has"


def shaken(module):
    """Weights far enough from their start that each of them shows in the result."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "pos_embed" not in name:
                p.add_(torch.randn_like(p) * (0.1 if p.dim() == 1 else 0.5 / math.sqrt(p[0].numel())))
    return module.eval()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("--full", action="store_true")
    args = a.parse_args()
    torch.manual_seed(7)
    sizes = (128, 512, 4, 1024, 24, 16) if args.full else (6, 64, 4, 32, 2, 4)
    encoder = shaken(Encoder(*sizes))
    x = torch.randn(1, sizes[0], sizes[1])
    with torch.no_grad():
        tokens = encoder(x)
    state = {k: v.detach().contiguous() for k, v in encoder.state_dict().items()}
    names = ("channels", "window", "patch", "width", "depth", "heads")
    head = {"wavedream": "encoder", "version": "1", "rate": "64", **{k: str(v) for k, v in zip(names, sizes)}}
    args.folder.mkdir(parents=True, exist_ok=True)
    save_file({**state, "reference.input": x[0], "reference.tokens": tokens[0]},
              args.folder / f"encoder_{'full' if args.full else 'small'}.safetensors", head)
    checkpoint = {f"cond_stage_model.mae.{k}": v for k, v in state.items()}
    checkpoint["cond_stage_model.dim_mapper.weight"] = torch.randn(8, sizes[3])
    if args.full:
        save_file(checkpoint, args.folder / "checkpoint_full.safetensors")
    else:
        torch.save({"model_state_dict": checkpoint, "config": Config(), "state": torch.get_rng_state()},
                   args.folder / "encoder_checkpoint.pth")


if __name__ == "__main__":
    main()
