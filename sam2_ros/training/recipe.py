"""What a training is told to do, and the recipes that have a name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sam2_ros.scenes.synthetic import SceneSettings
from sam2_ros.training.augmentation import PAPER_AUGMENTATION, Augmentation
from sam2_ros.training.losses import PAPER_WEIGHTS, Weights
from sam2_ros.training.optimizer import Learning
from sam2_ros.training.plan import PAPER_PROMPTING, Prompting


@dataclass(frozen=True)
class Stage:
    """What is learnt from, and for how long."""

    size: int | None = 128
    """Pictures have about as many pixels as a square with this side, a multiple of 32. None: the network's own."""
    aspect: str | None = None
    """Of the pictures, as `SAM2Config.aspect`: "image" is that of the first clip; scenes are square then. None: the
    network's own."""
    frames: int = 1
    """1: still images."""
    gap: int = 1
    """Frames of a sample are up to so many (annotated) frames of the clip apart. Scenes are made that much longer."""
    uses: int = 3
    """How often each scene is used, with other objects and frames, mirrored and in other colours."""
    clips: int = 16
    """In one batch of one process."""
    objects: int = 4
    """At most so many of each clip."""
    smallest: float = 5e-4
    """Objects that cover less of the first frame, 0 .. 1, are learnt only where there is no larger one. 0: all are."""
    largest: float = 1.0
    """Objects of clips that cover more of the first frame, 0 .. 1, are not learnt; those of scenes are. The paper's is
    0.9, for still images."""
    still_share: float = 0.0
    """How many of the steps, 0 .. 1, are with still images instead of clips."""
    still_images: int | None = None
    """So many in the place of each clip. None: as many as it has frames, which gives the encoder as much to do."""
    still_objects: int = 4
    """At most so many of each of these."""
    pretrained: bool = False
    """Without `--init`, starts from the weights that belong to the model; Meta's are fetched. Else from nothing."""
    minutes: float | None = None
    steps: int | None = None
    """The stage ends after so many minutes or steps."""
    calm: bool = False
    """Scenes with fewer, larger and slower things in better pictures, to begin with."""
    materials: float = 1.0
    """How little the parts of a thing may have in common, 0 .. 1; less makes scenes that a click can explain."""
    vanishing: float = 0.0
    """How many things are gone at once for some frames, 0 .. 1, which teaches to say so."""
    tables: float = 0.0
    """How many of the scenes, 0 .. 1, show toys on tables, as the demo does. `gap` has no effect on these."""
    simulated: bool = False
    """A few of the scenes are simulated by MuJoCo, which takes many times as long as drawing them."""
    first_seed: int = 0
    """Of the scenes, so that a later stage sees other ones than an earlier."""
    workers: int = 1
    """Processes that make samples, for each that trains."""

    def scenes(self, height: int, width: int) -> SceneSettings:
        """What synthetic scenes of this stage are like, at so many pixels."""
        many = (3, 7) if self.frames == 1 else (2, 5)
        settings = SceneSettings(
            height=height,
            width=width,
            frames=self.frames * self.gap,
            objects=many,
            materials=self.materials,
            vanishing=self.vanishing,
        )
        if not self.calm:
            return settings
        return replace(
            settings,
            objects=(2, 4),
            size=(0.15, 0.9),
            speed=(0.1, 7.0),
            camera_speed=(0.0, 4.0),
            occlusion=0.5,
            lookalikes=0.5,
            lighting=0.3,
            blur=0.15,
            noise=0.3,
            low_resolution=0.05,
        )


@dataclass(frozen=True)
class Recipe:
    """All of it."""

    stage: Stage = field(default_factory=Stage)
    learning: Learning = field(default_factory=Learning)
    prompting: Prompting = field(default_factory=Prompting)
    weights: Weights = field(default_factory=Weights)
    augmentation: Augmentation = field(default_factory=Augmentation)


_PAPER_LEARNING = Learning(
    lr=3e-4,
    encoder_lr=0.2,
    layer_decay=0.9,
    drop_path=0.1,
    weight_decay=0.1,
    beta2=0.999,
    clip_gradient=0.1,
    warm_up=15_000,
    ema=0.0,
    checkpointing=True,
)

PAPER = Recipe(
    Stage(
        size=None,
        frames=8,
        clips=1,
        objects=3,
        smallest=0.0,
        still_share=0.15,
        still_images=1,
        still_objects=64,
        steps=150_000,
        workers=4,
    ),
    _PAPER_LEARNING,
    PAPER_PROMPTING,
    PAPER_WEIGHTS,
    PAPER_AUGMENTATION,
)
"""The paper's full training on videos, and on still images where some are given. Its rates are meant for batches of 256
clips: as many processes."""

PAPER_IMAGES = Recipe(
    Stage(size=None, frames=1, clips=1, objects=64, smallest=0.0, largest=0.9, steps=90_000, workers=4),
    replace(_PAPER_LEARNING, lr=4e-4, encoder_lr=1.0, warm_up=1000),
    PAPER_PROMPTING,
    PAPER_WEIGHTS,
    Augmentation(grey=0, brightness=0, contrast=0, tint=0),
)
"""The paper's training on still images, before that on videos: batches of 256, mirrored and nothing more."""

FINE_TUNING = replace(
    PAPER,
    stage=replace(PAPER.stage, still_share=0.0, pretrained=True, steps=2000),
    learning=replace(_PAPER_LEARNING, lr=5e-6, encoder_lr=0.6, last_lr=0.1, warm_up=100, ema=0.995),
)
"""The paper's recipe with the small rates at which Meta's released weights are fine-tuned on one data set."""

FINE_TUNING_DEFAULT = Recipe(
    replace(FINE_TUNING.stage, frames=6, clips=3, steps=300, workers=1),
    replace(FINE_TUNING.learning, lr=2e-4, last_lr=0.05, warm_up=20, clip_gradient=1.0, ema=0.98, checkpointing=False),
    replace(PAPER_PROMPTING, corrected=0.3, fewest_corrections=1, corrections=2),
    PAPER_WEIGHTS,
    replace(PAPER_AUGMENTATION, degrees=0.0, shear=0.0),
)
"""The default model is far from where it could be: it learns at a higher rate, from several small clips at a time."""

SCRATCH = Recipe(
    Stage(size=128, frames=1, gap=4, uses=6, clips=32, objects=4, steps=3500, calm=True),
    Learning(lr=8e-4, last_lr=0.3, muon=True),
    Prompting(mask=0.0, box=0.2, corrected=0.15),
    Weights(shared=1.0, cross_entropy=2.0, affinity=1.0),
)
"""The first stage of the default model: an encoder that starts from nothing, on two CPU cores. docs/default-model.md"""

RECIPES = {
    "paper": PAPER,
    "paper-images": PAPER_IMAGES,
    "fine-tuning": FINE_TUNING,
    "fine-tuning-default": FINE_TUNING_DEFAULT,
    "scratch": SCRATCH,
}
