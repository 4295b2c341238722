"""Write the shipped model (float16 safetensors) and the reference that the Rust implementation is tested against.

    python models/training/export.py --run models/training/runs/box        the averaged weights of a training run
    python models/training/export.py --random 1 --box X --reference Y      random weights, to test kernels with

The reference is computed in float32 from the weights after they were rounded to float16, so both sides compute from
the same numbers. Its encoder input is the clamped decoder output, so that no picture need be stored twice.
"""
import argparse
import pathlib

import torch
from safetensors.torch import save_file

import network

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPES = {"square": (16, 16), "wide": (12, 20)}


def random_box(seed: int) -> network.Box:
    """A Box whose every weight matters: layers that start at zero get small random values."""
    torch.manual_seed(seed)
    box = network.Box()
    for p in box.parameters():
        if p.abs().max() == 0:
            torch.nn.init.normal_(p, std=0.03)
    box.encoder.mean.copy_(torch.tensor([0.1, -0.2, 0.3, -0.4]))
    box.encoder.std.copy_(torch.tensor([0.5, 0.8, 1.1, 1.4]))
    return box


@torch.no_grad()
def reference(box: network.Box) -> dict:
    """Inputs and outputs of every part, batch 1, float32; see README.md for the names."""
    r = torch.Generator().manual_seed(34)
    genre = torch.zeros(1, len(network.GENRES))
    genre[0, 0], genre[0, 5] = 0.7, 0.3
    mood = torch.tensor([[0.4, -0.6]])
    scene = torch.tensor([[0.5, 0.0, -0.4, 0.8]])
    present = (scene != 0).float()
    context = box.denoiser.scene_tokens(scene, present)
    out = {"genre": genre, "mood": mood, "scene": scene, "context": context}
    cases = {"": (None, None), ".scene": (scene, context), ".context": (None, context)}
    for name, (h, w) in SHAPES.items():
        z = torch.randn(1, 4, h, w, generator=r)
        out[f"{name}.z"] = z
        for case, (asked, tokens) in cases.items():
            for steps in (1, 2, 4):
                out[f"{name}.latent.steps{steps}{case}"] = box.estimate(z, genre, mood, asked, tokens, steps)[0]
    size = network.feature_size(scene[:, 2])
    out["square.blurs"], out["square.whole"] = network.blurs(out["square.z"], size), network.whole(out["square.z"])
    out["wide.guides"] = box.denoiser.see(out["wide.z"], mood, scene)[0][:, -network.GUIDES:]
    picture = box.sample(out["wide.z"], genre, mood, scene, context)
    out["wide.picture.steps1.scene"] = picture
    out["wide.encoded"] = box.encoder(picture.clamp(-1, 1))
    return {k: v.contiguous().float() for k, v in out.items()}


def export(box: network.Box, box_path, reference_path, minutes: float, seed: int, note: str = ""):
    half = {k: v.detach().half().contiguous() for k, v in box.state_dict().items()}
    meta = {"wavedream": "box", "version": "2", "genres": ",".join(network.GENRES), "scene": ",".join(network.SCENE),
            "sigmas": ",".join(f"{s:g}" for s in network.SIGMAS), "tall": ",".join(f"{a:g}x{d:g}" for a, d in network.TALL),
            "trained_minutes": f"{minutes:.0f}",
            "seed": str(seed), "note": note}
    for path in (box_path, reference_path):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_file(half, str(box_path), meta)
    box.load_state_dict({k: v.float() for k, v in half.items()})
    save_file(reference(box.eval()), str(reference_path), {"made_by": "models/training/export.py"})
    for p in (box_path, reference_path):
        print(f"{p}: {pathlib.Path(p).stat().st_size / 1e6:.2f} MB")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--run", help="folder of a training run")
    a.add_argument("--random", type=int, help="random weights of this seed instead of a run")
    a.add_argument("--box", default=ROOT / "models/box/box.safetensors")
    a.add_argument("--reference", default=ROOT / "tests/fixtures/box_reference.safetensors")
    a = a.parse_args()
    torch.set_num_threads(2)
    if a.random is not None:
        export(random_box(a.random), a.box, a.reference, 0, a.random, "random weights, for tests only")
    elif a.run:
        import train
        box, minutes, seed, note = train.load_box(a.run)
        export(box, a.box, a.reference, minutes, seed, note)
    else:
        raise SystemExit("say --run FOLDER or --random SEED")


if __name__ == "__main__":
    main()
