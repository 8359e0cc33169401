"""Training tests compute in one thread."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """The work is too small for several threads, which would wait for those of other processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
