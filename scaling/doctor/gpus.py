"""GPUs, as PyTorch sees them."""

from collections.abc import Iterator
from pathlib import Path

from scaling.findings import Finding, fine, problem
from scaling.units import format_bytes

_DRIVER = Path("/proc/driver/nvidia/version")


def check(driver: Path = _DRIVER) -> Iterator[Finding]:
    """Which there are; a machine with NVIDIA's driver of whose GPUs PyTorch sees none is amiss."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield problem(f"PyTorch cannot be loaded: {error}", "GPUs", "install it again")
        return
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            its = torch.cuda.get_device_properties(number)
            yield fine(f"{its.name}, {format_bytes(its.total_memory)}", f"GPU {number}")
    elif driver.exists():
        yield problem(
            f"there is a driver of NVIDIA and PyTorch {torch.__version__} sees no GPU",
            "GPUs",
            "see what nvidia-smi says and whether CUDA_VISIBLE_DEVICES is empty; a PyTorch for "
            "CPUs, or for a later CUDA than the driver's, sees none",
        )
    else:
        yield fine("none; trials train on CPUs", "GPUs")
