"""Train on good pictures for some seconds, then judge a folder of new ones.

python examples/01_train_and_judge.py [GOOD] [NEW] [OUT] [SECONDS]   (run `diffusionad demo` first for the defaults)
"""

import sys
from pathlib import Path

from diffusionad import Inspector, train


def main(good="runs/demo/sample_set", new="runs/demo/sample_set/test", out="runs/demo/example", seconds="180"):
    run = train(good, out, preset="tiny", max_time=float(seconds))
    print("The bundle is in", run.bundle.folder)
    inspector = Inspector.load(run.bundle.folder)
    for verdict in inspector.stream(sorted(Path(new).rglob("*.png"))):
        print(f"{verdict.verdict:>9}  {verdict.score:.4f}  {verdict.path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
