"""Detection of native bfloat16."""

import torch


def is_native(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 natively; emulation takes many times as long."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # unknown to older PyTorch
        return any(supported for name, supported in capabilities.items() if name.endswith("bf16"))
    return True
