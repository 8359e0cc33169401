"""TF32 is set through the switch that the program uses, and restored afterwards."""

import subprocess
import sys

import pytest
import torch

from sam2_ros.acceleration.cuda.tf32 import NEW, products_round, rounding_as_well

WAYS = {
    "pass": False,
    "torch.set_float32_matmul_precision('high')": True,
    "torch.backends.cuda.matmul.allow_tf32 = True": True,
}
if NEW:
    WAYS |= {
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'": True,
        "torch.backends.fp32_precision = 'tf32'": True,
        "torch.backends.fp32_precision = 'ieee'": False,
    }


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_tf32_setting_of_every_pytorch_api(way):
    code = f"import torch; from sam2_ros.acceleration.cuda.tf32 import products_round; {way}; print(products_round())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.strip() == str(WAYS[way])


def test_tf32_setting_is_restored():
    before = products_round(), torch.get_float32_matmul_precision()
    with rounding_as_well(True):
        assert products_round()
    with rounding_as_well(False):
        assert products_round() is before[0]
    assert (products_round(), torch.get_float32_matmul_precision()) == before
