"""Contact sheet of training pictures.

python sheet.py out.png [genre ...] [--size 64x64] [--n 4] [--seed 1] [--moods | --film | --mix]
"""
import argparse
import time

import torch
from PIL import Image

from network import GENRES
from pictures import draw, draw_mix


def tile(rows_of_pictures):
    """A list of rows, each (b, 3, H, W) in -1..1, as one image with a thin gap."""
    rows = []
    for r in rows_of_pictures:
        r = torch.nn.functional.pad(r, (2, 2, 2, 2), value=-1)
        rows.append(torch.cat(list(r), 2))
    x = torch.cat(rows, 1).permute(1, 2, 0)
    return Image.fromarray(((x + 1) * 127.5).round().clamp(0, 255).byte().numpy())


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out")
    a.add_argument("genres", nargs="*", default=[])
    a.add_argument("--size", default="64x64")
    a.add_argument("--n", type=int, default=4)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--moods", action="store_true", help="columns: neutral, calm, vivid, dark, bright, hue, warmth, density, horizon")
    a.add_argument("--film", action="store_true", help="columns: a noise that turns by 0.1 radian a picture")
    a.add_argument("--mix", action="store_true", help="collages of the two genres named")
    a = a.parse_args()
    torch.set_num_threads(1)
    h, w = map(int, a.size.split("x"))
    gen = torch.Generator().manual_seed(a.seed)
    rows = []
    for name in a.genres or GENRES:
        k = GENRES.index(name)
        z = torch.randn(a.n, 4, h, w, generator=gen)
        mood, scene = torch.zeros(a.n, 2), torch.zeros(a.n, 4)
        if a.moods:
            knobs = torch.zeros(13, 6)
            for i, (knob, v) in enumerate(((0, -1), (0, 1), (1, -1), (1, 1), (2, -.6), (2, .6), (3, -1), (3, 1), (4, -1), (4, 1), (5, -1), (5, 1))):
                knobs[i + 1, knob] = v
            z, mood, scene = z[:1].expand(13, -1, -1, -1), knobs[:, :2], knobs[:, 2:]
        if a.film:
            z2 = torch.randn(1, 4, h, w, generator=gen)
            f = 0.1 * torch.arange(a.n)[:, None, None, None]
            z = f.cos() * z[:1] + f.sin() * z2
        if a.mix:
            weights = torch.zeros(a.n, len(GENRES))
            t = torch.linspace(0, 1, a.n)
            weights[:, GENRES.index(a.genres[0])] = 1 - t
            weights[:, GENRES.index(a.genres[1])] += t
            rows.append(draw_mix(weights, z[:1].expand(a.n, -1, -1, -1), mood, scene))
            break
        start = time.time()
        rows.append(draw(k, z, mood, scene))
        print(f"{name}: {time.time() - start:.2f} s for {len(z)} pictures of {8 * w}x{8 * h}")
    tile(rows).save(a.out)


if __name__ == "__main__":
    main()
