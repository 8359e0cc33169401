"""Recipes: files of settings, and their mistakes."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from sam2_ros.training.recipe import FOLDER, NAMES, Recipe, RecipeError, load


def recipe(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_default_recipe_explains_every_setting():
    text = (FOLDER / "default.toml").read_text()
    assert load("default") == Recipe()
    for part in fields(Recipe):
        table = re.search(rf"^\[{part.name}\](.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)[1]
        lines = re.findall(r"^(?:# )?(\w+) = .*$", table, re.MULTILINE)
        assert sorted(lines) == sorted(field.name for field in fields(getattr(Recipe(), part.name)))


@pytest.mark.parametrize("name", NAMES)
def test_recipe_round_trip(name, tmp_path):
    assert load(recipe(tmp_path / "copy.toml", load(name).to_toml())) == load(name)


def test_recipe_file_overrides_its_base(tmp_path):
    recipe(tmp_path / "a/base.toml", 'base = "fine-tuning"\n[stage]\nminutes = 8\nsize = 512\n[learning]\nlr = 1\n')
    changed = load(recipe(tmp_path / "own.toml", 'base = "a/base.toml"\n[stage]\nsize = "auto"\n'))
    base = load("fine-tuning")
    assert changed.stage == replace(base.stage, minutes=8.0, steps=None) and base.stage.steps == 2000
    assert changed.learning == replace(base.learning, lr=1.0) and isinstance(changed.learning.lr, float)
    assert changed.prompting == load("paper").prompting


def test_circular_bases_are_refused(tmp_path):
    recipe(tmp_path / "one.toml", 'base = "two.toml"')
    two = recipe(tmp_path / "two.toml", 'base = "one.toml"')
    with pytest.raises(RecipeError, match=r"one\.toml: its `base` two\.toml is based on this recipe"):
        load(two)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stage]\nstep = 3", "[stage] there is no setting `step`; did you mean `steps`?"),
        ("[stage]\nencoder_lr = 3", "[stage] there is no setting `encoder_lr`; it belongs to [learning]"),
        ("[learning]\nxyz = 3", "[learning] there is no setting `xyz`"),
        ("[lerning]\nlr = 3", "there is no table [lerning]; did you mean `learning`?"),
        ("lr = 3e-4", "there is no table [lr]; it belongs to [learning]"),
        ("stage = 3", "[stage] must be a table"),
        ("[stage]\nsteps = 3.5", '[stage] `steps` must be a whole number or "auto", not 3.5'),
        ("[stage]\nclips = true", "[stage] `clips` must be a whole number, not true"),
        ('[learning]\nlr = "1e-3"', '[learning] `lr` must be a number, not "1e-3"'),
        ('[learning]\nlr = "auto"', '[learning] `lr` must be a number, not "auto"'),
        ("[learning]\nmuon = 1", "[learning] `muon` must be true or false, not 1"),
        ("[stage]\naspect = 1.5", '[stage] `aspect` must be text in quotes or "auto", not 1.5'),
        ("[stage]\nframes = 0", "[stage] `frames` must be at least 1, not 0"),
        ("[prompting]\nbox = 1.5", "[prompting] `box` must be within 0 .. 1, not 1.5"),
        ("[stage]\ntables = 0.6\nphotographs = 0.6", "`tables` (0.6) and `photographs` (0.6) add up to more than all"),
        ("[stage]\nsmallest_size = 160", "`smallest_size` (160) is larger than `size` (128)"),
        ("[losses]\nfocal = nan", "[losses] `focal` must be at least 0, not nan"),
        ("[prompting]\nbox = 0.6", "[prompting] `mask` (0.5) and `box` (0.6) add up to more than all first prompts"),
        ("[prompting]\nmin_corrections = 9", "[prompting] `min_corrections` .. `max_corrections` is 9 .. 2"),
        ("base = 3", "`base` must be the name or the file of a recipe"),
        ('base = "papr"', "there is no recipe `papr`: no file, and none of default, fine-tuning, "),
        ("[stage\n", "Expected ']' at the end of a table declaration"),
    ],
)
def test_recipe_mistakes_are_named(text, message, tmp_path):
    with pytest.raises(RecipeError, match=re.escape(message)) as raised:
        load(recipe(tmp_path / "own.toml", text))
    assert "own.toml" in str(raised.value) or "papr" in message


def test_an_unknown_recipe_is_an_error_that_names_the_nearest():
    with pytest.raises(RecipeError, match=r"there is no recipe `fine_tuning`: .*did you mean `fine-tuning`\?"):
        load("fine_tuning")
