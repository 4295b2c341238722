"""Measures the exported box against held-out drawn pictures and writes REPORT.md and its sheets.

    python models/training/evaluate.py

Held-out means noises of a seed that training never uses; training never sees a picture twice anyway.
"""
import argparse
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open

import data
import measures
import network
import pictures

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HELD_OUT = 777_000_000
STEPS = (1, 2, 4)
WORKERS = ThreadPoolExecutor(2)       # of one-threaded kernels, as in train.py


def load(path):
    box = network.Box()
    with safe_open(str(path), "pt") as f:
        box.load_state_dict({k: f.get_tensor(k).float() for k in f.keys()})
        meta = f.metadata()
    return box.eval().to(memory_format=torch.channels_last), meta


def asked(genre, n):
    """Conditions of n pictures of one genre, neutral mood and scene."""
    weights = F.one_hot(torch.full((n,), genre), data.GENRES).float()
    return weights, torch.zeros(n, 2), torch.zeros(n, data.SCENE)


def sample(box, z, weights, mood, scene=None, steps=1):
    def part(i):
        with torch.no_grad():
            asked = context = None
            if scene is not None:
                asked = scene[i:i + 4]
                context = box.denoiser.scene_tokens(asked, (asked != 0).float())
            return box.sample(z[i:i + 4], weights[i:i + 4], mood[i:i + 4], asked, context, steps).clamp(-1, 1)
    return torch.cat(list(WORKERS.map(part, range(0, len(z), 4))))


def draw(genre, z, mood, scene):
    def part(i):
        with torch.no_grad():
            return pictures.draw(genre, z[i:i + 4], mood[i:i + 4], scene[i:i + 4]).clamp(-1, 1)
    return torch.cat(list(WORKERS.map(part, range(0, len(z), 4))))


def noise(n, shape, seed):
    return torch.randn(n, 4, *shape, generator=torch.Generator().manual_seed(HELD_OUT + seed))


def save(rows, path, scale=1.0, quality=84):
    """Rows of pictures as one image with thin gaps."""
    rows = [torch.cat([F.pad(p, (2, 2, 2, 2), value=-1) for p in r], 2) for r in rows]
    x = torch.cat(rows, 1).permute(1, 2, 0)
    image = Image.fromarray(((x.clamp(-1, 1) + 1) * 127.5).round().byte().numpy())
    if scale != 1:
        image = image.resize((int(image.width * scale), int(image.height * scale)), Image.LANCZOS)
    image.save(path, quality=quality)


def sheets(box, out):
    for g, name in enumerate(network.GENRES):
        weights, mood, scene = asked(g, 4)
        z = noise(4, (32, 32), g)
        rows = [draw(g, z, mood, scene)]
        rows += [sample(box, z, weights, mood, steps=s) for s in STEPS]
        save(rows, out / f"{name}.jpg")
    for shape, file, scale in (((64, 64), "512.jpg", 0.75), ((36, 64), "wide.jpg", 0.75)):
        rows = []
        for g in range(data.GENRES):
            weights, mood, scene = asked(g, 1)
            rows.append(sample(box, noise(1, shape, 100 + g), weights, mood)[0])
        save([rows[:4], rows[4:]], out / file, scale)
    knobs = torch.zeros(9, 6)
    for i, (knob, v) in enumerate(((0, -1), (0, 1), (1, -1), (1, 1), (2, 0.7), (3, -1), (4, 1), (5, 1))):
        knobs[i + 1, knob] = v
    rows = []
    for g in (0, 3, 4, 7):
        weights, _, _ = asked(g, 9)
        z = noise(1, (32, 32), 200 + g).expand(9, -1, -1, -1)
        rows.append(sample(box, z, weights, knobs[:, :2], knobs[:, 2:]))
    save(rows, out / "knobs.jpg", 0.5)
    rows = []
    for a, b in ((0, 1), (2, 5), (4, 6), (3, 7)):
        w = torch.linspace(0, 1, 7)
        weights = torch.zeros(7, data.GENRES)
        weights[:, a], weights[:, b] = 1 - w, w
        rows.append(sample(box, noise(1, (32, 32), 300 + a).expand(7, -1, -1, -1), weights, torch.zeros(7, 2)))
    save(rows, out / "mixes.jpg", 0.5)


def fidelity(box, n=8):
    """PSNR to the drawn picture of the same noise: a row a genre."""
    rows = []
    for g, name in enumerate(network.GENRES):
        weights, mood, scene = asked(g, n)
        z = noise(n, (32, 32), 400 + g)
        drawn = draw(g, z, mood, scene)
        coded = box.decoder(box.encoder(drawn))
        made = {s: sample(box, z, weights, mood, steps=s) for s in STEPS}
        db = [measures.psnr(v, drawn).mean() for v in
              (drawn.mean(0, keepdim=True).expand_as(drawn), measures.blurred(drawn), *made.values(), coded)]
        sharp = [measures.sharpness(v) for v in (drawn, coded, made[1], made[4])]
        rows.append(f"| {name} | " + " | ".join(f"{v:.1f}" for v in (*db, *sharp)) + " |")
    return rows


def distances(box, n=12):
    """Distribution distances to held-out drawn pictures, all genres together: a row a set of pictures."""
    features = measures.Features()
    sets = {k: [] for k in ("held out", "drawn (other noises)", "1 step", "2 steps", "4 steps", "drawn, through the autoencoder",
                            "drawn, blurred by 2 px", "mean picture of each genre")}
    for g in range(data.GENRES):
        weights, mood, scene = asked(g, n)
        z = noise(n, (32, 32), 500 + g)
        held = draw(g, noise(n, (32, 32), 600 + g), mood, scene)
        drawn = draw(g, z, mood, scene)
        made = [sample(box, z, weights, mood, steps=s) for s in STEPS]
        coded = box.decoder(box.encoder(drawn)).clamp(-1, 1)
        mean = drawn.mean(0, keepdim=True).expand_as(drawn)
        for k, v in zip(sets, (held, drawn, *made, coded, measures.blurred(drawn), mean)):
            sets[k].append(v)
    sets = {k: torch.cat(v) for k, v in sets.items()}
    held = sets.pop("held out")
    held_features = features(held)
    return [f"| {k} | {measures.patch_distance(v, held):.1f} | {measures.frechet(features(v), held_features):.1f} |"
            for k, v in sets.items()]


def diversity(box, n=64):
    """Pairwise difference of 64 one-step pictures of a genre (0..255, root mean square), and of the drawn ones."""
    rows = []
    for g, name in enumerate(network.GENRES):
        weights, mood, scene = asked(g, n)
        z = noise(n, (32, 32), 700 + g)
        row = []
        for v in (sample(box, z, weights, mood), draw(g, z, mood, scene)):
            v = F.avg_pool2d(v, 4).flatten(1)
            d = torch.cdist(v, v) / v.shape[1] ** 0.5 * 127.5
            nearest = (d + torch.eye(n) * 1e9).min(1).values.min()
            row += [float(d.sum() / (n * n - n)), float(nearest)]
        rows.append(f"| {name} | " + " | ".join(f"{v:.0f}" for v in row) + " |")
    return rows


def films(box, out, count=19):
    x = measures.signal(2.5)
    rows, strips = [], []
    made = {"flow": measures.flow_film(x, count), "paper": measures.paper_film(x, count)}
    for g, name in enumerate(network.GENRES):
        weights, mood, scene = asked(g, count)
        row = []
        for kind, z in made.items():
            film = sample(box, z, weights, mood)
            row += [measures.step_of(film, 1), measures.step_of(film, 9)]
            if kind == "flow":
                strips.append(F.avg_pool2d(film[:19:3], 4))
                drawn = draw(g, z[:8], mood[:8], scene[:8])
                drawn_step = measures.step_of(drawn, 1)
        rows.append(f"| {name} | {row[0]:.1f} | {row[1]:.1f} | {drawn_step:.1f} | {row[2]:.1f} | {row[3]:.1f} |")
    save(strips, out / "film.jpg")
    return rows


def costs(box):
    rows = []
    for h, w in ((64, 64), (36, 64), (32, 32)):
        weights, mood, _ = asked(0, 1)
        d = network.flops(box.denoiser, torch.randn(1, 4, h, w), None, torch.zeros(1), weights, mood) / 1e9
        k = network.flops(box.decoder, torch.randn(1, 4, h, w), torch.randn(1, 64, h, w)) / 1e9
        rows.append(f"| {8 * w}x{8 * h} | {d:.2f} | {k:.2f} | {d + k:.2f} | {2 * d + k:.2f} | {4 * d + k:.2f} |")
    return rows


TABLES = (
    ("Fidelity to the picture that the noise draws", fidelity,
     "dB of 8 held-out noises a genre at 256x256 (higher is closer), and sharpness (mean difference of neighbouring "
     "pixels, 0..255). The mean picture and a blur of 2 pixels are yardsticks; the autoencoder shows what four numbers a cell carry without the denoiser's features.",
     "| genre | mean picture | blurred | 1 step | 2 steps | 4 steps | autoencoder | sharpness: drawn | autoencoder | 1 step | 4 steps |"),
    ("Distance of the distributions", distances,
     "To 96 held-out drawn pictures of other noises (lower is nearer): sliced Wasserstein distance of 7x7 patches on a "
     "pyramid (x 1000), and Fréchet distance on the features of a fixed random network (x 1000). The first row is the floor.",
     "| pictures | patches | Fréchet |"),
    ("Diversity over 64 noises", diversity,
     "Root mean square difference of pairs of one-step pictures (0..255, at quarter size): mean of all pairs, and the "
     "nearest pair; then the same of the drawn pictures.",
     "| genre | 1 step, mean | nearest | drawn, mean | nearest |"),
    ("Smoothness of films", films,
     "One step, 512x512, 30 pictures a second from synthetic 1/f noise (32 channels, 512 Hz): mean difference of "
     "consecutive pictures and of pictures nine apart, 0..255. `flow`: a sample keeps its cell until it is overwritten; "
     "`paper`: a second of signal, reshaped. `drawn`: the training pictures of the same `flow` noises.",
     "| genre | flow, 1 apart | 9 apart | drawn, 1 apart | paper, 1 apart | 9 apart |"),
    ("Cost", costs, "GFLOP a picture (two a multiply-add).", "| size | denoiser | decoder | 1 step | 2 steps | 4 steps |"),
)


@torch.no_grad()
def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--box", default=ROOT / "models/box/box.safetensors")
    a.add_argument("--out", default=HERE)
    a.add_argument("--sheets-only", action="store_true")
    a = a.parse_args()
    torch.set_num_threads(1)
    box, meta = load(a.box)
    out = pathlib.Path(a.out) / "report"
    out.mkdir(parents=True, exist_ok=True)
    sheets(box, out)
    if a.sheets_only:
        return
    text = ["# What the box has learnt", "", f"Written by evaluate.py. Trained on two CPU cores: {meta['note']} "
            f"({meta['trained_minutes']} minutes in all), seed {meta['seed']}.", ""]
    notes = pathlib.Path(a.out) / "NOTES.md"
    if notes.exists():
        text += [notes.read_text().strip(), ""]
    for title, function, words, head in TABLES:
        start = time.time()
        rows = function(box, out) if function is films else function(box)
        text += [f"## {title}", words, "", head, "|" + "---|" * (head.count("|") - 1), *rows, ""]
        print("\n".join(text[-len(rows) - 4:]), f"\n{time.time() - start:.0f} s", flush=True)
    text += ["## Sheets", "Rows of the genre sheets: drawn by the generator from held-out noise, then made by the model from the "
             "same noise in 1, 2 and 4 steps.", ""]
    text += [f"![{p.stem}](report/{p.name})" for p in sorted(out.glob("*.jpg"))]
    (pathlib.Path(a.out) / "REPORT.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
