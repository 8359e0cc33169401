"""Time of automatic masks beside other generators: python benchmarks/everything.py [--reference SAM2] [--points 16]

These sides take turns, image by image, in one process, on the same weights:

- ours: `AutomaticMaskGenerator.generate`, from a camera's image to run lengths;
- reference, with --reference SAM2, a checkout of github.com/facebookresearch/sam2 (needs torchvision and hydra-core):
  `SAM2AutomaticMaskGenerator` on Meta's network, built with the same sizes; of `default` too, with square images;
- transformers: its mask generation pipeline on `Sam2Model`, where it can be loaded (needs torchvision).

Weights of Meta's models are random; they have the speed of trained ones. Their thresholds are chosen so that as many
masks pass as with trained weights on photographs: a third by predicted IoU, of these a half by stability. `default` has
its shipped weights, and the thresholds that suit it. "agree" is the share of our masks for which the side has one of
IoU > 0.95: all, where images have the network's own size and nobody resizes them (--image 1024x1024; 320x320 of
`default`). On a busy machine, --cpu-time measures the processor's time instead of the wall's.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the node does

import argparse
import platform
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers.inputs import Inputs
from peers.task import Task
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sam2_ros.checkpoints.load import load_model
from sam2_ros.checkpoints.names import VIDEO_ONLY
from sam2_ros.evaluation.everything import overlaps
from sam2_ros.model.config import CONFIGS, SAM2Config
from sam2_ros.model.sam2 import SAM2
from sam2_ros.scenes.synthetic import SceneSettings, SyntheticScenes
from sam2_ros.tracking import rle
from sam2_ros.tracking.automatic_masks import AutomaticMaskGenerator, EverythingSettings

AGREEING_IOU = 0.95
BY_IOU, BY_STABILITY = 1 / 3, 1 / 2
"""Shares of masks that pass, with random weights."""
Masks = list[np.ndarray]
Side = tuple[Callable[[np.ndarray], Any], Callable[[Any], Masks]]
"""What is timed, and the masks of its result."""


def ours(model: SAM2, settings: EverythingSettings) -> Side:
    return AutomaticMaskGenerator(model, settings).generate, lambda found: [one.mask for one in found]


def reference(model: SAM2, settings: EverythingSettings, checkout: Path) -> Side:
    """Meta's generator on Meta's network with the weights of ours."""
    sys.path.insert(0, str(checkout))
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
    from sam2.build_sam import build_sam2
    from sam2.modeling.sam.mask_decoder import MaskDecoder
    from sam2.modeling.sam.transformer import TwoWayTransformer

    config = model.config
    file, overrides = "configs/sam2.1/sam2.1_hiera_t.yaml", _overrides(config)
    theirs = build_sam2(file, device="cpu", hydra_overrides_extra=overrides, apply_postprocessing=False)
    stride = 4
    for block in theirs.image_encoder.trunk.blocks:
        if block.q_stride and not block.window_size:  # not foreseen there: the whole map as one window
            block.window_size = config.image_size // stride
        stride *= 2 if block.q_stride else 1
    if config.name == "default":  # these sizes are constants there
        theirs.sam_mask_decoder = MaskDecoder(
            transformer_dim=config.dim,
            transformer=TwoWayTransformer(2, config.dim, config.decoder_heads, config.feedforward),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=config.iou_head_dim,
            use_high_res_features=True,
            iou_prediction_use_sigmoid=True,
            pred_obj_scores=True,
            pred_obj_scores_mlp=True,
            use_multimask_token_for_obj_ptr=True,
        ).eval()
    weights = {key: value for key, value in model.state_dict().items() if not VIDEO_ONLY.match(key)}
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    wrong = [key for key in missing if not VIDEO_ONLY.match(key)] + unexpected
    if wrong:
        raise ValueError(f"the networks differ: {', '.join(wrong[:5])}")
    names = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    generator = SAM2AutomaticMaskGenerator(theirs, **names, output_mode="uncompressed_rle")
    side = config.image_size
    generator.predictor._bb_feat_sizes = [(side // stride, side // stride) for stride in (4, 8, 16)]
    return generator.generate, lambda found: [
        rle.decode(one["segmentation"]["counts"], *one["segmentation"]["size"]) for one in found
    ]


def _overrides(config: SAM2Config) -> list[str]:
    """Sizes of a network, in Meta's configuration."""
    hiera, dim = config.hiera, config.dim

    def numbers(values: tuple[int, ...]) -> str:
        return f"[{','.join(map(str, values))}]"

    trunk, neck = "model.image_encoder.trunk", "model.image_encoder.neck"
    return [
        f"++model.image_size={config.image_size}",
        f"++{trunk}.embed_dim={hiera.embed_dim}",
        f"++{trunk}.num_heads={hiera.heads}",
        f"++{trunk}.stages={numbers(hiera.blocks)}",
        f"++{trunk}.global_att_blocks={numbers(hiera.global_blocks)}",
        f"++{trunk}.window_spec={numbers(hiera.windows)}",
        f"++{trunk}.window_pos_embed_bkg_spatial_size={numbers(hiera.position_grid)}",
        f"++{neck}.d_model={dim}",
        f"++{neck}.position_encoding.num_pos_feats={dim}",
        f"++{neck}.backbone_channel_list={numbers(hiera.dims[::-1])}",
    ]


def transformers(folder: str, settings: EverythingSettings) -> Side:
    """The pipeline of Hugging Face's transformers."""
    from PIL import Image
    from transformers import Sam2ImageProcessor, Sam2Model, Sam2Processor, logging, pipeline

    logging.set_verbosity_error()
    model = Sam2Model.from_pretrained(folder).eval()
    side = model.config.vision_config.image_size if hasattr(model.config.vision_config, "image_size") else 1024
    images = Sam2ImageProcessor(
        size={"height": side, "width": side}, mask_size={"height": side // 4, "width": side // 4}
    )
    generate = pipeline(
        "mask-generation", model=model, image_processor=images, processor=Sam2Processor(images), device="cpu"
    )

    def run(image: np.ndarray) -> Any:
        return generate(
            Image.fromarray(image),
            points_per_crop=settings.points_per_side,
            points_per_batch=settings.points_per_batch,
            pred_iou_thresh=settings.pred_iou_thresh,
            stability_score_thresh=settings.stability_score_thresh,
            stability_score_offset=settings.stability_score_offset,
            crops_nms_thresh=settings.box_nms_thresh,
            output_rle_mask=True,
        )

    return run, lambda found: [np.asarray(mask).astype(bool) for mask in found["masks"]]


def passing(model: SAM2, image: np.ndarray, points: int) -> EverythingSettings:
    """Settings whose thresholds let as many masks pass as of trained weights; boxes, all alike, suppress none."""
    few = EverythingSettings(
        points_per_side=min(points, 8), pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1
    )
    found = AutomaticMaskGenerator(model, few).generate(image)
    least = float(np.quantile([one.iou for one in found], 1 - BY_IOU))
    stability = float(np.nanquantile([one.stability for one in found if one.iou > least], 1 - BY_STABILITY))
    return replace(few, points_per_side=points, pred_iou_thresh=least, stability_score_thresh=stability)


def agreement(mine: Masks, theirs: Masks) -> float:
    """Share of our masks for which the other side has one that is almost equal."""
    if not mine or not theirs:
        return float(not mine and not theirs)
    return float((overlaps(mine, np.stack(theirs)).max(axis=1) > AGREEING_IOU).mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["default", "sam2.1_hiera_tiny"])
    parser.add_argument("--points", type=int, default=16, help="points per side, of all but `default` (suited)")
    parser.add_argument("--image", nargs="+", default=["640x480"], metavar="WxH", help="sizes of images")
    parser.add_argument("--reference", type=Path, metavar="SAM2", help="checkout of github.com/facebookresearch/sam2")
    parser.add_argument("--alone", action="store_true", help="without transformers")
    parser.add_argument("--images", type=int, default=3, help="measured images of each side, after one to warm up")
    parser.add_argument("--cpu-time", action="store_true", help="measure the processor's time, summed over threads")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    console = Console()
    console.width = max(console.width, 110)  # tables in a file would be cut to 80 columns
    console.print("$ python " + shlex.join(sys.argv), highlight=False)
    console.print(
        f"{platform.machine()} CPU, {options.threads} threads, load {os.getloadavg()[0]:.1f}, float32\n",
        highlight=False,
    )
    for name in options.model:
        for size in options.image:
            compare(console, name, size, options)
    return 0


def compare(console: Console, name: str, size: str, options: argparse.Namespace) -> None:
    """Measure all sides with one model at one size of images, and print their table."""
    width, height = map(int, size.split("x"))
    scene = SyntheticScenes(SceneSettings(height, width, frames=options.images + 1, objects=(3, 5), leaving=0)).scene(3)
    sides: dict[str, Side] = {}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        if name == "default":
            model = load_model(device="cpu", aspect="1:1")  # the reference takes squares alone
            settings = EverythingSettings.suited_to(model.config)
        else:
            from transformers.utils import logging

            logging.disable_progress_bar()
            task = Task(name, CONFIGS[name].image_size, 1, "float32", "cpu", options.threads)
            Inputs.write(task, folder)
            model = load_model(name, folder, "cpu")
            settings = passing(model, scene.frames[0], options.points)
        sides["ours"] = ours(model, settings)
        if options.reference:
            sides["reference"] = reference(model, settings, options.reference)
        if name != "default" and not options.alone:
            try:
                sides["transformers"] = transformers(folder, settings)
            except ImportError as error:
                console.print(f"without transformers: {error}", style="dim")
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    masks: dict[str, Masks] = {}
    now = time.process_time if options.cpu_time else time.perf_counter
    for index in track(range(options.images + 1), f"{name}, {size}", console=console, transient=True):
        for side in list(sides)[:: 1 if index % 2 else -1]:  # no side is always the first
            generate, masks_of = sides[side]
            start = now()
            found = generate(scene.frames[index])
            seconds[side].append(now() - start)
            masks[side] = masks_of(found)
    settings_words = f"IoU > {settings.pred_iou_thresh:.3g}, stability >= {settings.stability_score_thresh:.3g}"
    table = Table(
        f"{name}, images of {size}, {settings.points_per_side} x {settings.points_per_side} points, {settings_words}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for column in ("CPU s an image" if options.cpu_time else "s an image", "least", "times ours", "masks", "agree"):
        table.add_column(column, justify="right")
    medians = {side: float(np.median(times[1:])) for side, times in seconds.items()}
    for side, times in seconds.items():
        table.add_row(
            side,
            f"{medians[side]:.2f}",
            f"{min(times[1:]):.2f}",
            f"{medians[side] / medians['ours']:.1f}",
            str(len(masks[side])),
            f"{100 * agreement(masks['ours'], masks[side]):.1f} %",
        )
    console.print(table)
    console.print()


if __name__ == "__main__":
    sys.exit(main())
