"""Everything that makes the network faster than its plain PyTorch."""
