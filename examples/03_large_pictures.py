"""Train on tiles of large pictures and judge one at full resolution.

python examples/03_large_pictures.py GOOD PICTURE [OUT] [SECONDS] [TILE]   (TILE: side of a tile in native pixels)
"""

import sys

from diffusionad import Inspector, train


def main(good, picture, out="runs/large", seconds="600", tile="256"):
    settings = ("data.fit=tile", f"data.tile=[{tile}, {tile}]")
    run = train(good, out, preset="tiny", max_time=float(seconds), settings=settings)
    verdict = Inspector.load(run.bundle.folder)(picture)
    print(
        f"{verdict.verdict}, score {verdict.score:.4f}, {len(verdict.regions)} regions of {verdict.native_size} pixels"
    )
    for region in verdict.regions[:10]:
        print("  x, y, width, height:", region.box, "peak", round(region.peak, 3))


if __name__ == "__main__":
    main(*sys.argv[1:])
