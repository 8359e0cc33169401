"""Effect of the resize filter on masks: python benchmarks/resize.py [--video VIDEO] [--frames 100] [--model NAME]

Meta's video predictor resizes frames with PIL's bicubic filter, its image predictor and ours bilinearly with
antialiasing. The same clip is tracked twice, once with its frames resized by PIL beforehand, from one click on the
demo scene's car (or at the middle of VIDEO). Printed are the mean difference of the network's input pixels, 0 .. 255,
and the IoU of the two masks.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from sam2_ros.checkpoints.load import load_model
from sam2_ros.data.video_reader import VideoReader
from sam2_ros.scenes.demo_scene import demo_scene
from sam2_ros.tracking.prompt import Click, Prompt
from sam2_ros.tracking.tracker import Tracker

CAR = Click(90, 287)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a video file or a folder of images")
    parser.add_argument("--frames", type=int, default=100, help="at most")
    parser.add_argument("--model")
    parser.add_argument("--checkpoint")
    options = parser.parse_args()
    model = load_model(options.model, options.checkpoint)
    frames = VideoReader(options.video) if options.video else demo_scene(options.frames).frames
    ours, theirs = Tracker(model), Tracker(model)
    pixels, agreement = [], []
    for index, image in enumerate(track(islice(frames, options.frames), "tracking twice", total=options.frames)):
        height, width = image.shape[:2]
        rows, columns = model.config.shape(height, width)
        bicubic = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BICUBIC))
        bilinear = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR))
        pixels.append(np.abs(bicubic.astype(int) - bilinear).mean())
        ours.step(image)
        theirs.step(replace(theirs.encode(bicubic), height=height, width=width))
        if index == 0:
            click = Click(width / 2, height / 2) if options.video else CAR
            ours.prompt(Prompt(clicks=(click,)))
            theirs.prompt(Prompt(clicks=(click,)))
        mask, other = (tracker.newest.masklets[0].mask for tracker in (ours, theirs))
        if (union := np.count_nonzero(mask | other)) > 0:
            agreement.append(np.count_nonzero(mask & other) / union)
    print(f"{model.config.name}: {len(pixels)} frames of {width}x{height} at {columns}x{rows}")
    print(f"pixels differ by {np.mean(pixels):.2f} of 255 in the mean")
    print(f"IoU of the masks: median {np.median(agreement):.3f}, mean {np.mean(agreement):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
