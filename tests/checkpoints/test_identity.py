"""Models are recognised by their weights, and misfits explained."""

from __future__ import annotations

import re

import torch
from checkpoint_assertions import refused

from sam2_ros.checkpoints.load import load_model
from sam2_ros.checkpoints.save import save_weights
from sam2_ros.model.config import CONFIGS
from sam2_ros.model.sam2 import SAM2


def test_model_is_recognised_by_its_weights(model, tmp_path):
    save_weights(model, tmp_path / "unnamed.safetensors")
    again = load_model(checkpoint=tmp_path / "unnamed.safetensors", device="cpu")
    assert again.config.name == "default" and again.dtype == torch.float32 and not again.training


def test_mismatches_name_the_nearest_model_and_the_first_keys(tmp_path):
    with torch.device("meta"):
        small = SAM2(CONFIGS["sam2.1_hiera_small"]).state_dict()
    weights = {key: torch.zeros(1).expand(value.shape) for key, value in small.items()}
    weights["no_obj_ptr"] = torch.zeros(1, 7)
    weights["extra"] = weights.pop("no_mem_embed")
    torch.save({"model": weights}, tmp_path / "odd.pt")
    for message in (refused(tmp_path / "odd.pt"), refused(tmp_path / "odd.pt", name="default")):
        assert "looks like sam2.1_hiera_small with 3 keys that differ: " in message
        assert "no_obj_ptr has shape (1, 7) instead of (1, 256)" in message
        assert "no_mem_embed is missing" in message and "extra is unexpected" in message
    message = refused(tmp_path / "odd.pt", name="sam2.1_hiera_small")
    assert "does not fit the model 'sam2.1_hiera_small': " in message and "extra is unexpected" in message

    torch.save({f"blocks.{i}.weight": torch.zeros(2) for i in range(9)}, tmp_path / "other.pt")
    assert "those of another network: blocks.0.weight, blocks.1.weight" in refused(tmp_path / "other.pt")
    decoder = {key: value for key, value in weights.items() if key.startswith("sam_mask_decoder.")}
    torch.save(decoder, tmp_path / "part.pt")
    assert re.search(r"a part of a model, \d+ of \d+ weights of sam2", refused(tmp_path / "part.pt"))
    adapters = {"base_model.model.image_encoder.trunk.blocks.0.attn.qkv.lora_A.weight": torch.zeros(2, 2)}
    torch.save(adapters, tmp_path / "lora.pt")
    assert "LoRA adapters: merge them" in refused(tmp_path / "lora.pt")
