"""The streaming step through PyTorch's compiler, which fuses what lies between the matrix products."""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import torch
from torch import Tensor

from sam2_ros.model.cpu_kernels.library import has_cpu_kernels
from sam2_ros.model.sam2 import SAM2, Decoded, ImageFeatures, Memories
from sam2_ros.system import stopping
from sam2_ros.system.cache import private_folder

log = logging.getLogger("sam2_ros")


def _kept_in() -> Path:
    """Where compiled code is: not in PyTorch's folder in /tmp, which does not last and may be made by anybody first."""
    try:
        return private_folder("compiled")
    except OSError as error:
        log.warning("what is compiled cannot be kept, so that it is compiled anew at every start: %s", error)
        folder = mkdtemp(prefix="sam2_ros-")
        atexit.register(rmtree, folder, ignore_errors=True)
        return Path(folder)


class CompiledSAM2:
    """Stands in for `SAM2` in a `Tracker`: what is done for every image is compiled, what prompts need is not.

    Sizes that change when objects come and go are symbols in the compiled code. What the compiler has to know all the
    same is whether there is one object or several, and whether all of them remember equally much. `warm_up` compiles
    for all of these, so that nothing has to be compiled while images wait.

    Args:
        model: in eval mode, on a CPU. Its weights become constants of the compiled code: they must not change. So does
            the shape of images: where the network would see each in its own, it sees squares.

    Raises:
        NotImplementedError: the model is on another device. PyTorch 2.11 fails to compile it for a GPU; there are
            CUDA graphs instead.
        TypeError: it is no PyTorch model but, for instance, exported graphs.
    """

    def __init__(self, model: SAM2) -> None:
        if not isinstance(model, SAM2):
            raise TypeError(f"{type(model).__name__} can't be compiled, only PyTorch models can; use accelerate='off'")
        if model.device.type != "cpu":
            raise NotImplementedError(f"models are compiled for CPUs only so far, and this one is on {model.device}")
        if has_cpu_kernels(torch.float32):
            log.warning("compiled code does without our kernels for this CPU: accelerate='off' is likely to be faster")
        if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(_kept_in())
        # Not where it is defined, because this alone loads the compiler: half a second, and 150 MB.
        torch.compiler.assume_constant_result(has_cpu_kernels)
        self.model = model
        self.config = model.config.fixed()
        self._encode_image = torch.compile(model.encode_image, fullgraph=True, options=_OPTIONS)
        self._track = torch.compile(model.track, fullgraph=True, options=_OPTIONS)

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def encode_image(self, image: Tensor) -> ImageFeatures:
        return self._encode_image(image.contiguous())

    def track(self, features: ImageFeatures, memories: Memories) -> tuple[Decoded, Tensor]:
        """Not compiled where there is one memory alone: on the first frame after a prompt, or after a long absence."""
        if memories.maps.shape[1] == 1 or memories.pointers.shape[1] <= 1:
            return self.model.track(features, memories)
        return self._track(features, _laid_out(memories))

    @torch.no_grad()
    def warm_up(self) -> None:
        """Compiles everything, in the precision (autocast) in which it is called. The first time this takes a minute or
        two; what was compiled is kept in `private_folder("compiled")`, and found there by the next start.

        Raises:
            RuntimeError: there is no C++ compiler, or it failed.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler tells its developers what it does with our tables
            self._compile_all()

    def _compile_all(self) -> None:
        config = self.config
        try:
            features = self.encode_image(torch.zeros(1, 3, *config.shape(1, 1)))
            # In the types in which things are remembered; autocast decides.
            decoded = self.model.decode(self.model.without_memory(features), features)
            map = self.model.encode_memory(features, decoded.mask_logits, decoded.presence_logit, prompted=True)
            maps, pointers = 5, 7  # equal symbols would have to be equal ever after
            for objects in (1, 3):
                map_age, pointer_age = (torch.arange(1, k + 1).expand(objects, k) for k in (maps, pointers))
                memories = Memories(
                    map.expand(objects, maps, -1, -1, -1),
                    map_age % (config.recent_memories + 1),
                    decoded.pointer.expand(objects, pointers, -1),
                    pointer_age,
                )
                for some in (False, True)[:objects]:
                    stopping.check("compiling")
                    if some:
                        memories = replace(memories, map_valid=map_age > 1, pointer_valid=pointer_age > 1)
                    self._track(features, _laid_out(memories, symbols=True))
        except torch._inductor.exc.InductorError as error:
            raise RuntimeError(
                f"the network could not be compiled; is there a C++ compiler (g++)? accelerate off needs none.\n{error}"
            ) from error


_OPTIONS = {"freezing": True}  # weights are constants, laid out as the processor's matrix products want them


def _laid_out(memories: Memories, symbols: bool = False) -> Memories:
    """The same, always laid out alike in memory, and either no or two masks.

    Args:
        symbols: numbers of objects and memories are not to be taken for constants.
    """
    valid = [memories.map_valid, memories.pointer_valid]
    if any(x is not None for x in valid):
        ages = (memories.map_age, memories.pointer_age)
        valid = [torch.ones_like(age, dtype=torch.bool) if x is None else x for x, age in zip(valid, ages, strict=True)]
    tensors = (memories.maps, memories.map_age, memories.pointers, memories.pointer_age, *valid)
    laid_out = [None if x is None else x.clone(memory_format=torch.contiguous_format) for x in tensors]
    if symbols:
        for x in laid_out:
            for dim in range(2):
                if x is not None and x.shape[dim] > 1:
                    torch._dynamo.mark_dynamic(x, dim)
    return Memories(*laid_out)
