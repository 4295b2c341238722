"""Trains the box on CPU: `autoencoder`, then `flow`, then `finish`, each with a budget in minutes; see README.md.

    python models/training/train.py flow --run models/training/runs/box --minutes 90

Each stage saves its whole state every few minutes to <run>/<stage>.pt and goes on from there when started again; its
random numbers come from (seed, stage, start, worker). Two worker threads each do half of every batch with one-threaded
kernels and the gradients are averaged: on a shared machine this is 2 to 5 times as fast as kernels on two threads.
"""
import argparse
import copy
import json
import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import torch
from safetensors.torch import load_file

import data
import network
from optimizer import Optimizer

WORKERS = 2
STAGES = ("autoencoder", "flow", "finish")
TRAINED = {"autoencoder": ("encoder", "decoder"), "flow": ("denoiser",), "finish": ("denoiser", "decoder")}
PEAK_LR = {"autoencoder": 2e-3, "flow": 1.5e-3, "finish": 1e-3}
FIRST = 0.7                   # share of the pairs that train the first step; the others train the next ones
# Of the loss, a genre: those of low contrast and large forms would be the last to be learnt.
WEIGHTS = torch.tensor([1.0, 3.0, 1.0, 1.4, 3.5, 1.0, 2.2, 1.1])
LATENT_NOISE = 0.05           # added to latents while the decoder learns


def reconstruction_loss(out, picture, weight=1.0):
    d = out - picture
    return (weight * d.abs()).mean() + 0.5 * (weight * d * d).mean() + data.gradient_loss(weight * out, weight * picture)


class Autoencoder:
    """Crops of 128 pixels of pictures of all genres; latents are pulled to zero mean and unit deviation."""

    def __init__(self, box, seed, worker, args):
        self.box = box
        self.pool = data.Pool((32, 32), 512, seed, keep_pictures=True, first=0.1, genres=args.genres, reuse=12)
        self.r = torch.Generator().manual_seed(seed + 1)
        self.log = {}

    def loss(self, share, progress):
        size, n = (128, 12) if share < 0.8 else (256, 3)
        b = self.pool.batch(n)
        y, x = (8 * torch.randint((256 - size) // 8 + 1, (2,), generator=self.r)).tolist()
        picture = data.from_bytes(b["picture"][..., y:y + size, x:x + size])
        z = self.box.encoder.raw(picture)
        mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
        out = self.box.decoder(z + LATENT_NOISE * torch.randn(z.shape, generator=self.r))
        self.log = per_genre((out.clamp(-1, 1) - picture).square().mean((1, 2, 3)) / 4, b["genre"])
        return reconstruction_loss(out, picture) + 0.02 * (mean.square().mean() + (std - 1).square().mean())


def choose_shape(share, progress, last=False):
    """Mostly 256 pixels first, then more and more of 512 pixels and 16:9."""
    large = 0.05 + 0.15 * progress
    if share < large:
        return (64, 64)
    if share < 2 * large:
        return (36, 64)
    return (16, 16) if not last and share > 0.8 + 0.2 * progress else (32, 32)


class Flow:
    """The latent of the picture that z draws: from z alone in most pairs, in the others from z and an earlier estimate."""

    def __init__(self, box, seed, worker, args, picture_weight=0.0):
        self.box, self.picture_weight = box, picture_weight
        capacity = {(16, 16): 2048, (32, 32): 1024, (64, 64): 256, (36, 64): 384}
        if picture_weight:
            capacity = {s: n // 4 for s, n in capacity.items()}
        self.pools = {s: data.Pool(s, n, seed + i, box.encoder, picture_weight > 0, args.genres)
                      for i, (s, n) in enumerate(capacity.items())}
        self.r = torch.Generator().manual_seed(seed + 7)
        self.log = {}

    @torch.no_grad()
    def before(self, b, context, sight, first):
        """(estimate, time) for each pair: nothing at 0 for the first ones, the model's own estimate, sometimes moved towards
        the truth as later steps should, for the others."""
        n = len(b["z"])
        t, estimate = torch.zeros(n), torch.zeros_like(b["z"])
        rows = slice(first, n)
        if first < n:
            part = lambda v: None if v is None else v[rows]
            own, _ = self.box.denoiser(b["z"][rows], None, t[rows], b["genre"][rows], b["mood"][rows], None, part(context),
                                       (sight[0][rows], sight[1][rows]))
            better = (torch.rand(n - first, generator=self.r) - 0.7).clamp(min=0)
            estimate[rows] = torch.lerp(own, b["x"][rows], better[:, None, None, None])
            t[rows] = torch.randint(1, 4, (n - first,), generator=self.r) / 4
        return estimate, t

    def loss(self, share, progress):
        shape = choose_shape(share, progress, self.picture_weight > 0)
        n = data.SHAPES[shape]
        none = torch.rand(1, generator=self.r) < 0.5
        b = self.pools[shape].batch(n, "none" if none else "any")
        context = None if none else self.box.denoiser.scene_tokens(b["scene"], b["present"])
        first = max(1, int(n * FIRST + torch.rand(1, generator=self.r).item()))
        sight = self.box.denoiser.see(b["z"], b["mood"], b["scene"])
        estimate, t = self.before(b, context, sight, first)
        x, features = self.box.denoiser(b["z"], estimate, t, b["genre"], b["mood"], None, context, sight)
        error = (x - b["x"]).square().mean((1, 2, 3))
        weight = b["genre"] @ WEIGHTS
        self.log = per_genre(error[:first].detach(), b["genre"][:first])
        if first < n:
            self.log |= {"next." + g: e for g, e in per_genre(error[first:].detach(), b["genre"][first:]).items()}
        loss = (error * weight).mean()
        if self.picture_weight:
            out = self.box.decoder(x, features)
            picture = data.from_bytes(b["picture"])
            mse = (out.detach().clamp(-1, 1) - picture).square().mean((1, 2, 3)) / 4
            self.log |= {"mse." + g: e for g, e in per_genre(mse[:first], b["genre"][:first]).items()}
            loss = loss + self.picture_weight * reconstruction_loss(out, picture, weight[:, None, None, None])
        return loss


def finish(box, seed, worker, args):
    """The flow and the decoded picture against the drawn one, end to end."""
    return Flow(box, seed, worker, args, picture_weight=2.0)


TASKS = {"autoencoder": Autoencoder, "flow": Flow, "finish": finish}


def per_genre(error, genre):
    """{genre: mean error} over the pictures of one genre alone."""
    out = {}
    for g, name in enumerate(network.GENRES):
        rows = genre[:, g] == 1
        if rows.any():
            out[name] = float(error[rows].mean())
    return out


def rate(elapsed, total, warm=60.0, fall=0.45):
    """Warm-up over a minute, then level, then linearly down to a hundredth over the last `fall` of the budget."""
    if elapsed < warm:
        return max(0.02, elapsed / warm)
    left = (total - elapsed) / (fall * total)
    return max(0.01, min(1.0, left))


def save(path, state):
    torch.save(state, str(path) + ".part")
    os.replace(str(path) + ".part", path)


def load_box(run):
    """The averaged weights of the last stage that has a state -> (box, minutes trained, seed, note)."""
    box, weights, minutes, seed, note = network.Box(), None, 0.0, 0, []
    for stage in STAGES:
        path = pathlib.Path(run) / f"{stage}.pt"
        if path.exists():
            s = torch.load(path, weights_only=True)
            weights = s["average"]
            minutes, seed = minutes + s["elapsed"] / 60, s["seed"]
            note.append(f"{stage} {s['elapsed'] / 60:.0f} min {s['step']} steps")
    if weights is None:
        raise SystemExit(f"{run} holds no state of a stage")
    box.load_state_dict(weights)
    return box.eval(), minutes, seed, ", ".join(note)


@torch.no_grad()
def measure_latents(box, args):
    """Sets the encoder's mean and deviation from pictures of all genres, and the decoder to match."""
    pool = data.Pool((32, 32), 256, args.seed + 99, keep_pictures=True)
    b = pool.batch(256)
    z = torch.cat([box.encoder.raw(data.from_bytes(p)) for p in b["picture"].split(16)])
    box.encoder.mean.copy_(z.mean((0, 2, 3)))
    box.encoder.std.copy_(z.std((0, 2, 3)))
    first = box.decoder.conv_in              # learnt on latents as they came: takes normalised ones from now on
    first.bias.add_((first.weight.sum((2, 3)) * box.encoder.mean).sum(1))
    first.weight.mul_(box.encoder.std[:, None, None])
    print("latent mean", box.encoder.mean.tolist(), "std", box.encoder.std.tolist(), flush=True)


def train(stage, args):
    run = pathlib.Path(args.run)
    run.mkdir(parents=True, exist_ok=True)
    path = run / f"{stage}.pt"
    torch.manual_seed(args.seed)
    box = network.Box()
    before = STAGES[: STAGES.index(stage)]
    if args.weights:
        box.load_state_dict({k: v.float() for k, v in load_file(args.weights).items()})
    elif before:
        state = torch.load(run / f"{before[-1]}.pt", weights_only=True)
        box.load_state_dict(state["average"])
    box.to(memory_format=torch.channels_last)
    average = copy.deepcopy(box).requires_grad_(False)
    parts = TRAINED[stage]
    named = [(n, p) for n, p in box.named_parameters() if n.startswith(parts)]
    for n, p in box.named_parameters():
        p.requires_grad_(n.startswith(parts))
    params = [p for _, p in named]
    optimizer = Optimizer(named, muon=stage == "autoencoder")
    step, elapsed, starts = 0, 0.0, 0
    if path.exists():
        s = torch.load(path, weights_only=True)
        box.load_state_dict(s["box"])
        average.load_state_dict(s.get("average_raw", s["average"]))
        optimizer.load_state_dict(s["optimizer"])
        step, elapsed, starts = s["step"], s["elapsed"], s["starts"]
        print(f"goes on from step {step}, {elapsed / 60:.1f} min", flush=True)
    base = args.seed * 10_000 + STAGES.index(stage) * 1000 + starts * 100
    tasks = [TASKS[stage](box, base + 10 * w, w, args) for w in range(WORKERS)]
    shares = torch.Generator().manual_seed(base + 5)
    executor = ThreadPoolExecutor(WORKERS)
    total, lr_peak = args.minutes * 60, args.lr or PEAK_LR[stage]
    averages, seen, norms = {}, 0, 0.0
    began = saved = told = time.time()
    start = elapsed
    log = open(run / f"{stage}.jsonl", "a", buffering=1)

    def work(job):
        task, share, progress = job
        loss = task.loss(share, progress)
        return loss.detach(), torch.autograd.grad(loss, params, allow_unused=True)

    def state():
        return {"box": box.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(),
                "step": step, "elapsed": elapsed, "starts": starts + 1, "seed": args.seed}

    while elapsed < total:
        progress = elapsed / total
        share = torch.rand(1, generator=shares).item()
        results = list(executor.map(work, [(t, share, progress) for t in tasks]))
        grads = []
        for p, gs in zip(params, zip(*(r[1] for r in results))):
            gs = [g for g in gs if g is not None]
            grads.append(sum(gs) / WORKERS if gs else torch.zeros_like(p))
        lr = lr_peak * rate(elapsed, total)
        norm = optimizer.step(grads, lr, executor.map)
        with torch.no_grad():
            keep = min(args.ema, (1 + step) / (10 + step))
            own = box.state_dict()
            for k, v in average.state_dict().items():
                v.lerp_(own[k], 1 - keep)
        step += 1
        now = time.time()
        elapsed = start + now - began
        norms = max(norms, norm)
        for r, t in zip(results, tasks):
            for k, v in {"loss": float(r[0]), **t.log}.items():
                averages[k] = averages.get(k, v) * 0.98 + v * 0.02
        if now - told > 20:
            row = {"step": step, "min": round(elapsed / 60, 2), "step_s": round((now - told) / (step - seen), 3),
                   "lr": round(lr, 6), "norm": round(norms, 3), **{k: round(v, 4) for k, v in sorted(averages.items())}}
            print(json.dumps(row), flush=True)
            log.write(json.dumps(row) + "\n")
            told, seen, norms = now, step, 0.0
        if now - saved > args.save_minutes * 60:
            save(path, state())
            saved = now
    last = state()
    if stage == "autoencoder":
        last["average_raw"] = copy.deepcopy(average).state_dict()
        measure_latents(average, args)
    save(path, last)
    print(f"{stage}: {step} steps in {elapsed / 60:.1f} min", flush=True)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("stage", choices=STAGES)
    a.add_argument("--run", required=True)
    a.add_argument("--minutes", type=float, required=True, help="of the whole stage, earlier starts counted in")
    a.add_argument("--from", dest="weights", help="start from an exported box instead of the stage before")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--lr", type=float)
    a.add_argument("--ema", type=float, default=0.998)
    a.add_argument("--save-minutes", type=float, default=3)
    a.add_argument("--genres", type=lambda s: [float(v) for v in s.split(",")], help="shares of the eight genres")
    args = a.parse_args()
    torch.set_num_threads(1)
    train(args.stage, args)


if __name__ == "__main__":
    main()
