"""Where bfloat16 pays."""

import torch


def is_native(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 itself. One that has to emulate it takes many times as long."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        abilities = getattr(torch.cpu, "get_capabilities", dict)()  # older PyTorch does not say
        return any(able for name, able in abilities.items() if name.endswith("bf16"))
    return True
