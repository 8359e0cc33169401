"""Training tests compute in one thread."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """The work is too small to share, and other processes' threads would be waited for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
