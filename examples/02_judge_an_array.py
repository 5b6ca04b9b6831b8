"""Judge an array, as a camera gives it, and keep what the part should have looked like.

python examples/02_judge_an_array.py [BUNDLE] [PICTURE] [OUT]
"""

import sys

import numpy as np
from PIL import Image

from diffusionad import Inspector


def main(bundle="runs/demo/run/bundle", picture="runs/demo/sample_set/test/scratch/000.png", out="runs/demo/norm.png"):
    array = np.asarray(Image.open(picture).convert("RGB"))  # [H, W, 3] uint8; uint16 and [H, W] are taken too
    verdict = Inspector.load(bundle)(array)
    print(verdict.verdict, f"score {verdict.score:.4f}, threshold {verdict.threshold}, p-value {verdict.p_value}")
    for region in verdict.regions:
        print("defect at (x, y, width, height)", region.box, f"peak {region.peak:.2f}")
    Image.fromarray(verdict.reconstruction).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
