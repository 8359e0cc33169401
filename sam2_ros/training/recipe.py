"""Recipes of training: all settings of a stage, read from TOML files.

Those in `recipes/` ship with the package and are called by their names; `recipes/default.toml` explains every setting.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sam2_ros.scenes.synthetic import SceneSettings
from sam2_ros.training.augmentation import Augmentation
from sam2_ros.training.losses import LossWeights
from sam2_ros.training.optimizer import Learning
from sam2_ros.training.plan import Prompting
from sam2_ros.training.settings import Count, Index, NonNegative, Share, changed, suggestion, to_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "recipes"
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))
"""The recipes that ship with the package."""


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file and says why."""


@dataclass(frozen=True)
class Stage:
    """The samples of a stage, and its length."""

    size: Count | None = 128
    """Images have about as many pixels as a square with this side, a multiple of 32. None: the model's own size."""
    smallest_size: Count | None = None
    """Batches are shrunk to sizes from this one to `size`, drawn for each. None: all have `size`."""
    aspect: str | None = None
    """Aspect of images, as `SAM2Config.aspect`: "image" is that of the first clip; scenes are square then. None: the
    model's own."""
    frames: Count = 1
    """Frames of a sample. 1: still images."""
    gap: Count = 1
    """Maximum distance of a sample's frames in the clip, in annotated frames. Scenes are made that much longer."""
    uses: Count = 3
    """Number of times each scene is used, with other objects and frames, mirrored and in other colours."""
    clips: Count = 16
    """Clips in a batch of one process."""
    objects: Count = 4
    """Maximum number of objects from each clip."""
    min_area: Share = 5e-4
    """Minimum share of the first frame that an object covers; smaller ones are used only if there is no larger one. 0:
    all are used."""
    max_area: Share = 1.0
    """Maximum share of the first frame that an object of a clip, not of a scene, covers; larger ones are skipped.
    Paper: 0.9 for still images."""
    still_share: Share = 0.0
    """Share of the steps whose batches are still images instead of clips."""
    still_images: Count | None = None
    """Still images in the place of each clip. None: as many as it has frames, which costs the encoder the same."""
    still_objects: Count = 4
    """Maximum number of objects from each still image."""
    pretrained: bool = False
    """Without `--init`, start from the model's released weights, downloaded where needed, instead of random ones."""
    new_memory: bool = False
    """Reinitialise memory attention, whatever the initial weights."""
    minutes: NonNegative | None = None
    steps: Count | None = None
    """Length of the stage; exactly one of the two is given."""
    easy: bool = False
    """Scenes with fewer, larger and slower objects and better images, to begin with."""
    materials: Share = 1.0
    """Degree to which the parts of an object differ; scenes with less are easier to segment from one click."""
    vanishing: Share = 0.0
    """Share of objects that vanish for some frames, which teaches presence."""
    tables: Share = 0.0
    """Share of scenes with toys on tables, as in the demo. `gap` has no effect on these."""
    photographs: Share = 0.0
    """Share of scenes made of photographs with masks (`--photographs`)."""
    parts: Share = 0.0
    """Share of scenes in which each part of a thing is an object, so that among the masks for one click there are the
    whole and the part."""
    lookalikes: Share = 0.25
    """Share of things that have a twin, which teaches to tell by motion and place what looks alike."""
    simulated: bool = False
    """Add some scenes simulated by MuJoCo, which take many times as long as drawn ones."""
    first_seed: Index = 0
    """Seed of the first scene, so that a later stage sees other scenes than an earlier one."""
    workers: Index = 1
    """Processes that make samples, for each process that trains."""

    def __post_init__(self) -> None:
        if self.size is not None and self.smallest_size is not None and self.smallest_size > self.size:
            raise ValueError(f"`smallest_size` ({self.smallest_size}) is larger than `size` ({self.size})")
        if self.tables + self.photographs > 1:
            raise ValueError(
                f"`tables` ({self.tables}) and `photographs` ({self.photographs}) add up to more than all scenes"
            )

    def scenes(self, height: int, width: int) -> SceneSettings:
        """Settings of this stage's synthetic scenes, whose images have this height and width, pixels."""
        objects = (3, 7) if self.frames == 1 else (2, 5)
        settings = SceneSettings(
            height=height,
            width=width,
            frames=self.frames * self.gap,
            objects=objects,
            materials=self.materials,
            vanishing=self.vanishing,
            parts=self.parts,
            lookalikes=self.lookalikes,
        )
        if not self.easy:
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
    """All settings of a stage; each part is a table of the file."""

    stage: Stage = field(default_factory=Stage)
    learning: Learning = field(default_factory=Learning)
    prompting: Prompting = field(default_factory=Prompting)
    losses: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def changed(self, tables: Mapping[str, Any]) -> Recipe:
        """Replace settings, given as in a file: table -> name -> value. A new length of the stage replaces the old.

        Raises:
            RecipeError: a table or setting is unknown, or a value is of the wrong type or out of range.
        """
        recipe = self
        for part, values in tables.items():
            if part not in _PARTS:
                raise RecipeError(f"there is no table [{part}]{suggestion(part, _PARTS)}" + _where(part))
            if not isinstance(values, Mapping):
                raise RecipeError(f"[{part}] must be a table")
            settings = getattr(recipe, part)
            if part == "stage" and not values.keys().isdisjoint(("minutes", "steps")):
                settings = replace(settings, minutes=None, steps=None)
            try:
                recipe = replace(recipe, **{part: changed(settings, values)})
            except ValueError as error:
                misplaced = next((_where(name, part) for name in values if not hasattr(settings, name)), "")
                raise RecipeError(f"[{part}] {error}{misplaced}") from error
        return recipe

    def to_toml(self) -> str:
        """The text of a file with every setting."""
        tables = ("\n".join([f"[{part}]", *to_table(getattr(self, part))]) for part in _PARTS)
        return "\n\n".join(tables) + "\n"


_PARTS = tuple(part.name for part in fields(Recipe))


def load(recipe: str | Path) -> Recipe:
    """Read a recipe.

    A file has the tables of `Recipe`. It may name another recipe as its `base`, by name or by a path relative to the
    file, and then holds only the differences; without one, omitted settings are those of `default`.

    Args:
        recipe: one of `NAMES`, or a TOML file.

    Raises:
        RecipeError: there is no such recipe, it is no TOML, or a setting is unknown or wrong.
    """
    return _load(recipe, Path(), ())


def _load(recipe: str | Path, folder: Path, derived: tuple[Path, ...]) -> Recipe:
    """A recipe, by name or by a path relative to a folder; those in `derived` are based on it."""
    file = FOLDER / f"{recipe}.toml" if str(recipe) in NAMES else folder / recipe
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = f"no file, and none of {', '.join(NAMES)}{suggestion(str(recipe), NAMES)}"
        raise RecipeError(f"there is no recipe `{recipe}`: {known}") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{file}: {error}") from error
    base = tables.pop("base", None)
    if base is not None and not isinstance(base, str):
        raise RecipeError(f"{file}: `base` must be the name or the file of a recipe")
    derived = (*derived, file.resolve())
    if base is not None and (file.parent / base).resolve() in derived:
        raise RecipeError(f"{file}: its `base` {base} is based on this recipe")
    start = Recipe() if base is None else _load(base, file.parent, derived)
    try:
        return start.changed(tables)
    except RecipeError as error:
        raise RecipeError(f"{file}: {error}") from error


def _where(name: str, but: str = "") -> str:
    """The table that a misplaced setting belongs to, as the end of a sentence; empty if it is unknown everywhere."""
    parts = [part.name for part in fields(Recipe) if part.name != but and hasattr(part.default_factory, name)]  # type: ignore[misc]
    return f"; it belongs to [{parts[0]}]" if parts else ""
